/* The intrusive list. */
#include "tarn/base/list.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

struct thing {
    int value;
    struct list link;
};

static struct thing *thing_of(struct list *link)
{
    return container_of(link, struct thing, link);
}

/* The values in order as one decimal number. */
static int digits(struct list *l)
{
    int number = 0;
    list_for_each (it, l) {
        number = number * 10 + thing_of(it)->value;
    }
    int backwards = 0;
    int unit = 1;
    for (struct list *it = l->prev; it != l; it = it->prev) {
        backwards += unit * thing_of(it)->value;
        unit *= 10;
    }
    assert_int_equal(number, backwards);
    return number;
}

static void list__keeps_order(void **state)
{
    struct list l;
    list_init(&l);
    assert_true(list_is_empty(&l));
    struct thing a = {.value = 1};
    struct thing b = {.value = 2};
    struct thing c = {.value = 3};
    list_push_back(&l, &b.link);
    list_push_back(&l, &c.link);
    list_push_front(&l, &a.link);
    assert_false(list_is_empty(&l));
    assert_int_equal(digits(&l), 123);
    list_remove(&b.link);
    assert_int_equal(digits(&l), 13);
    assert_ptr_equal(list_pop_front(&l), &a.link);
    assert_ptr_equal(list_pop_front(&l), &c.link);
    assert_null(list_pop_front(&l));
}

static void list__remove_is_harmless_when_in_no_list(void **state)
{
    struct list l;
    list_init(&l);
    struct thing a = {.value = 1};
    list_remove(&a.link); /* zeroed */
    list_push_back(&l, &a.link);
    list_remove(&a.link);
    list_remove(&a.link); /* twice */
    assert_true(list_is_empty(&l));
    list_push_back(&l, &a.link);
    assert_int_equal(digits(&l), 1);
}

static void list__safe_walk_may_remove_the_current(void **state)
{
    struct list l;
    list_init(&l);
    struct thing things[9];
    for (int i = 0; i < 9; i++) {
        things[i] = (struct thing){.value = i + 1};
        list_push_back(&l, &things[i].link);
    }
    list_for_each_safe (it, &l) {
        if (thing_of(it)->value % 2 == 0) {
            list_remove(it);
        }
    }
    assert_int_equal(digits(&l), 13579);
}

static void list__splice_moves_all(void **state)
{
    struct list to;
    struct list from;
    list_init(&to);
    list_init(&from);
    struct thing things[4];
    for (int i = 0; i < 4; i++) {
        things[i] = (struct thing){.value = i + 1};
        list_push_back(i < 2 ? &to : &from, &things[i].link);
    }
    list_splice_back(&to, &from);
    assert_int_equal(digits(&to), 1234);
    assert_true(list_is_empty(&from));
    list_splice_back(&to, &from); /* nothing left */
    assert_int_equal(digits(&to), 1234);
    list_splice_back(&from, &to); /* into an empty list */
    assert_int_equal(digits(&from), 1234);
    assert_true(list_is_empty(&to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list__keeps_order),
        cmocka_unit_test(list__remove_is_harmless_when_in_no_list),
        cmocka_unit_test(list__safe_walk_may_remove_the_current),
        cmocka_unit_test(list__splice_moves_all),
    };
    return cmocka_run_group_tests_name("base/list", tests, NULL, NULL);
}
