/*
 * Makes allocations of the code under test fail on purpose. Linked to every unit test; does nothing
 * until asked. The C library's own allocations are not reached.
 */
#ifndef TARN_TESTS_FAULT_ALLOC_H
#define TARN_TESTS_FAULT_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* From now on `good` allocations succeed and the next `bad` fail; the rest succeeds again. */
void fault_alloc_arm(size_t good, size_t bad);

/* Back to normal. True when an allocation has failed since fault_alloc_arm(). */
bool fault_alloc_disarm(void);

#endif
