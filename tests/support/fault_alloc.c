/*
 * The linker sends malloc, calloc and realloc of the test's objects here (-Wl,--wrap); the real
 * ones, or those of a sanitizer, stand behind. For tests with one thread.
 */
#include "fault_alloc.h"

#include <errno.h>
#include <stdint.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static size_t good_left = SIZE_MAX;
static size_t bad_left;
static bool has_failed;

void fault_alloc_arm(size_t good, size_t bad)
{
    good_left = good;
    bad_left = bad;
    has_failed = false;
}

bool fault_alloc_disarm(void)
{
    bool failed = has_failed;
    fault_alloc_arm(SIZE_MAX, 0);
    return failed;
}

static bool must_fail(void)
{
    if (good_left > 0) {
        good_left -= good_left != SIZE_MAX;
        return false;
    }
    if (bad_left == 0) {
        return false;
    }
    bad_left--;
    has_failed = true;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : __real_realloc(old, size);
}
