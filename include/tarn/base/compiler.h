/*
 * The only file that knows GNU extensions. Everything else is C11 and POSIX.1-2008.
 */
#ifndef TARN_BASE_COMPILER_H
#define TARN_BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#define WARN_UNUSED __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_arg) \
    __attribute__((format(printf, (format_index), (first_arg))))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NO_INLINE     __attribute__((noinline))
#define COLD          __attribute__((cold))
#define LIKELY(x)     __builtin_expect(!!(x), 1)
#define UNLIKELY(x)   __builtin_expect(!!(x), 0)

/* The struct that embeds `member` at `ptr`: the way back from a libev watcher or a list link. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* True when the result does not fit; *out is then unspecified. */
#define add_overflow(a, b, out) __builtin_add_overflow((a), (b), (out))
#define sub_overflow(a, b, out) __builtin_sub_overflow((a), (b), (out))
#define mul_overflow(a, b, out) __builtin_mul_overflow((a), (b), (out))

/* Asks for the cache line at p, into the second level: the first has few buffers for lines under
 * way, and a batch of look-ups would wait for them (a million keys: 47 ns per key, so it is 20).
 *
 * The empty asm is there because gcc takes a function that does nothing but prefetch for one
 * without effects, and drops the calls of it. */
#define PREFETCH(p)                                \
    do {                                           \
        const void *prefetch_at = (p);             \
        __asm__ volatile("" : : "r"(prefetch_at)); \
        __builtin_prefetch(prefetch_at, 0, 2);     \
    } while (0)

__extension__ typedef unsigned __int128 uint128;

/* The upper half of the full product: x * n / 2^64. */
static inline uint64_t mul_high_u64(uint64_t a, uint64_t b)
{
    return (uint64_t)(((uint128)a * b) >> 64);
}

/* Both halves of the full product, folded: every bit of the operands reaches every bit of the
 * result. */
static inline uint64_t mul_fold_u64(uint64_t a, uint64_t b)
{
    uint128 product = (uint128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Zero bits below the lowest one; x is not 0. */
static inline unsigned ctz64(uint64_t x)
{
    return (unsigned)__builtin_ctzll(x);
}

/* Zero bits above the highest one; x is not 0. */
static inline unsigned clz64(uint64_t x)
{
    return (unsigned)__builtin_clzll(x);
}

static inline unsigned bits_set(uint64_t x)
{
    return (unsigned)__builtin_popcountll(x);
}

/* Memory that an allocator of ours hands out in pieces: what is free is poisoned, so that
 * AddressSanitizer finds stale references. Without it these are nothing. */
#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
void __asan_poison_memory_region(void const volatile *p, size_t n);
void __asan_unpoison_memory_region(void const volatile *p, size_t n);
#define memory_poison(p, n)   __asan_poison_memory_region((p), (n))
#define memory_unpoison(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define memory_poison(p, n)   ((void)(p), (void)(n))
#define memory_unpoison(p, n) ((void)(p), (void)(n))
#endif

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
