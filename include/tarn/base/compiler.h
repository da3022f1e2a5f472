/*
 * The only file that knows GNU extensions. Everything else is C11 and POSIX.1-2008.
 */
#ifndef TARN_BASE_COMPILER_H
#define TARN_BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#define WARN_UNUSED __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_arg)                                                       \
    __attribute__((format(printf, (format_index), (first_arg))))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NO_INLINE     __attribute__((noinline))
#define COLD          __attribute__((cold))
#define PREFETCH(p)   __builtin_prefetch((p), 0, 3)
#define LIKELY(x)     __builtin_expect(!!(x), 1)
#define UNLIKELY(x)   __builtin_expect(!!(x), 0)

/* The struct that embeds `member` at `ptr`: the way back from a libev watcher or a list link. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* True when the result does not fit; *out is then unspecified. */
#define add_overflow(a, b, out) __builtin_add_overflow((a), (b), (out))
#define sub_overflow(a, b, out) __builtin_sub_overflow((a), (b), (out))
#define mul_overflow(a, b, out) __builtin_mul_overflow((a), (b), (out))

/* The low half of a * b; the high half goes to *high. */
static inline uint64_t mul_wide(uint64_t a, uint64_t b, uint64_t *high)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;

    *high = (uint64_t)(product >> 64);
    return (uint64_t)product;
}

/* Zero bits below the lowest one; x is not 0. */
static inline unsigned ctz64(uint64_t x)
{
    return (unsigned)__builtin_ctzll(x);
}

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
