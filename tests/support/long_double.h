/* For tests whose results need all of long double's precision. */
#ifndef TARN_TESTS_LONG_DOUBLE_H
#define TARN_TESTS_LONG_DOUBLE_H

#include <float.h>
#include <stdbool.h>
#include <stdio.h>

/* valgrind computes long double with the precision of double. What needs more is checked in the
 * runs without valgrind; this says so in the output. */
static inline bool has_long_double(void)
{
    volatile long double one = 1;
    if (one + LDBL_EPSILON == one) {
        printf("# not checked: long double has no more precision than double here\n");
        return false;
    }
    return true;
}

#endif
