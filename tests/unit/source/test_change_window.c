/* Numbers of a changelog that are committed out of order. */
#include "src/source/change_window.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tarn/base/hash.h"

static bool add(struct change_window *w, int64_t number, int64_t now_ms)
{
    bool is_new = false;
    assert_int_equal(change_window_add(w, number, now_ms, &is_new), 0);
    return is_new;
}

/* "1-4 6-6": the holes. */
static void assert_holes(const struct change_window *w, const char *expected)
{
    char text[256] = "";
    for (size_t i = 0; i < w->count; i++) {
        const size_t at = strlen(text);
        (void)snprintf(text + at, sizeof(text) - at, "%s%lld-%lld", i > 0 ? " " : "",
                       (long long)w->holes[i].from, (long long)w->holes[i].to);
    }
    assert_string_equal(text, expected);
}

static void change_window__number_is_new_once(void **state)
{
    (void)state;
    struct change_window w = {0};
    change_window_reset(&w, 10);
    assert_false(add(&w, 9, 0));
    assert_false(add(&w, 10, 0));
    assert_true(add(&w, 11, 0));
    assert_false(add(&w, 11, 0));
    assert_true(add(&w, 15, 0));
    assert_holes(&w, "12-14");
    assert_true(add(&w, 13, 0));
    assert_holes(&w, "12-12 14-14");
    assert_false(add(&w, 13, 0));
    assert_true(add(&w, 14, 0));
    assert_true(add(&w, 12, 0));
    assert_holes(&w, "");
    assert_false(add(&w, 12, 0));
    change_window_fini(&w);
}

static void change_window__hole_is_given_up_after_the_overlap(void **state)
{
    (void)state;
    struct change_window w = {0};
    assert_true(add(&w, 3, 100));
    assert_true(add(&w, 5, 200));
    assert_holes(&w, "1-2 4-4");
    change_window_age(&w, 1099, 1000);
    assert_holes(&w, "1-2 4-4");
    change_window_age(&w, 1100, 1000);
    assert_holes(&w, "4-4");
    assert_false(add(&w, 2, 1100));
    assert_true(add(&w, 4, 1100));
    change_window_fini(&w);
}

static void change_window__part_of_a_hole_keeps_its_age(void **state)
{
    (void)state;
    struct change_window w = {0};
    assert_true(add(&w, 10, 0));
    assert_true(add(&w, 5, 900));
    assert_holes(&w, "1-4 6-9");
    change_window_age(&w, 1000, 1000);
    assert_holes(&w, "");
    change_window_fini(&w);
}

static void change_window__holes_are_bounded(void **state)
{
    (void)state;
    struct change_window w = {0};
    const int64_t added = CHANGE_HOLES_MAX + 100;
    for (int64_t i = 1; i <= added; i++) {
        assert_true(add(&w, 2 * i, i));
        assert_true(w.count <= CHANGE_HOLES_MAX);
    }
    assert_false(add(&w, 1, 0)); /* the oldest went */
    assert_true(add(&w, 2 * added - 1, 0));
    change_window_reset(&w, 7);
    assert_holes(&w, "");
    change_window_fini(&w);
}

/* Every number comes once, in any order. */
static void change_window__agrees_with_a_list_of_flags(void **state)
{
    (void)state;
    enum { NUMBERS = 500 };
    struct change_window w = {0};
    bool was_read[NUMBERS + 1] = {false};
    struct rng rng;
    rng_init_seed(&rng, 1);
    for (unsigned i = 0; i < 20 * NUMBERS; i++) {
        const int64_t number = 1 + (int64_t)rng_below(&rng, NUMBERS);
        assert_int_equal(add(&w, number, i), !was_read[number]);
        was_read[number] = true;
    }
    change_window_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(change_window__number_is_new_once),
        cmocka_unit_test(change_window__hole_is_given_up_after_the_overlap),
        cmocka_unit_test(change_window__part_of_a_hole_keeps_its_age),
        cmocka_unit_test(change_window__holes_are_bounded),
        cmocka_unit_test(change_window__agrees_with_a_list_of_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
