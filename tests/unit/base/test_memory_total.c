/* The limits of cgroups, read from a made-up tree. */
#include "src/base/memory_total.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tarn/base/option.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

struct fixture {
    char root[64];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    snprintf(f->root, sizeof(f->root), "/tmp/tarn-cgroup-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(nftw(f->root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(f);
    return 0;
}

/* Writes a file below the root, with the folders on the way. */
static void put(struct fixture *f, const char *name, const char *text)
{
    char path[256];
    int len = snprintf(path, sizeof(path), "%s/%s", f->root, name);
    assert_true(len > 0 && (size_t)len < sizeof(path));
    for (char *slash = strchr(path + strlen(f->root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static uint64_t total(struct fixture *f)
{
    char membership[128];
    char mount[128];
    snprintf(membership, sizeof(membership), "%s/membership", f->root);
    snprintf(mount, sizeof(mount), "%s/mount", f->root);
    return memory_total_of_cgroups(membership, mount);
}

static void memory_total__v2_limit_is_found(void **state)
{
    put(*state, "membership", "0::/app/worker\n");
    put(*state, "mount/app/worker/memory.max", "104857600\n");
    assert_int_equal(total(*state), 104857600);
}

static void memory_total__smallest_limit_on_the_way_up_counts(void **state)
{
    put(*state, "membership", "0::/app/worker\n");
    put(*state, "mount/app/worker/memory.max", "max\n");
    put(*state, "mount/app/memory.max", "5000\n");
    put(*state, "mount/memory.max", "9000\n");
    assert_int_equal(total(*state), 5000);
}

static void memory_total__v1_limit_is_found(void **state)
{
    put(*state, "membership", "7:cpu,cpuacct:/other\n5:blkio,memory,pids:/app\n");
    put(*state, "mount/memory/app/memory.limit_in_bytes", "7000\n");
    put(*state, "mount/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put(*state, "mount/memory/other/memory.limit_in_bytes", "1\n");
    assert_int_equal(total(*state), 7000);
}

static void memory_total__only_the_memory_controller_counts(void **state)
{
    put(*state, "membership", "3:memoryx,xmemory:/app\n2:name=memory:/app\n");
    put(*state, "mount/memory/app/memory.limit_in_bytes", "7000\n");
    assert_true(total(*state) == UINT64_MAX);
}

static void memory_total__path_of_the_host_falls_back_to_the_mount(void **state)
{
    put(*state, "membership", "4:memory:/docker/0123abc\n");
    put(*state, "mount/memory/memory.limit_in_bytes", "8000\n");
    assert_int_equal(total(*state), 8000);
}

static void memory_total__root_cgroup_is_a_path_too(void **state)
{
    put(*state, "membership", "0::/\n");
    put(*state, "mount/memory.max", "4096\n");
    assert_int_equal(total(*state), 4096);
}

static void memory_total__nonsense_is_no_limit(void **state)
{
    assert_true(total(*state) == UINT64_MAX); /* no files at all */
    put(*state, "membership", "\n:\n::\n0\n0:\n0::/a\nmemory\n1:memory\nx::/a\n");
    put(*state, "mount/a/memory.max", "12 apples\n");
    put(*state, "mount/memory.max", "");
    assert_true(total(*state) == UINT64_MAX);
}

static void memory_total__long_paths_are_survived(void **state)
{
    static char line[10000];
    memset(line, 'x', sizeof(line) - 1);
    memcpy(line, "0::/", 4);
    put(*state, "membership", line);
    put(*state, "mount/memory.max", "77\n");
    assert_int_equal(total(*state), 77);
}

static void memory_total__this_machine_has_some(void **state)
{
    uint64_t bytes = option_memory_total();
    assert_true(bytes >= 1 << 20);
    assert_true(bytes < UINT64_C(1) << 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_total__v2_limit_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_total__smallest_limit_on_the_way_up_counts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(memory_total__v1_limit_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_total__only_the_memory_controller_counts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(memory_total__path_of_the_host_falls_back_to_the_mount,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(memory_total__root_cgroup_is_a_path_too, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_total__nonsense_is_no_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_total__long_paths_are_survived, setup, teardown),
        cmocka_unit_test(memory_total__this_machine_has_some),
    };
    return cmocka_run_group_tests_name("base/memory_total", tests, NULL, NULL);
}
