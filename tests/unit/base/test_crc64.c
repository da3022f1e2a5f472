/* CRC-64 against Redis's example and a simpler way to compute it. */
#include "tarn/base/crc64.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

/* Bit by bit. */
static uint64_t slow_crc64(const unsigned char *p, size_t len)
{
    uint64_t crc = 0;
    for (size_t i = 0; i < 8 * len; i++) {
        const uint64_t out = (crc ^ p[i / 8] >> i % 8) & 1;
        crc = crc >> 1 ^ (out != 0 ? UINT64_C(0x95ac9329ac4bc9b5) : 0);
    }
    return crc;
}

static void crc64__is_that_of_redis(void **state)
{
    unsigned char all[256];
    for (size_t i = 0; i < sizeof(all); i++) {
        all[i] = (unsigned char)(i * 167);
    }
    assert_true(crc64(0, "", 0) == 0);
    assert_true(crc64(0, "123456789", 9) == UINT64_C(0xe9c6d914c4b8d9ca));
    assert_true(crc64(0, all, sizeof(all)) == slow_crc64(all, sizeof(all)));
}

static void crc64__goes_on_from_a_checksum(void **state)
{
    assert_true(crc64(crc64(0, "1234", 4), "56789", 5) == crc64(0, "123456789", 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc64__is_that_of_redis),
        cmocka_unit_test(crc64__goes_on_from_a_checksum),
    };
    return cmocka_run_group_tests_name("crc64", tests, NULL, NULL);
}
