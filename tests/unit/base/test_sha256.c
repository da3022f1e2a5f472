/* SHA-256 against the examples of its standard. */
#include "tarn/base/sha256.h"

#include <stdio.h>
#include <stdlib.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void assert_digest(struct strview in, const char *expected)
{
    unsigned char digest[SHA256_BYTES];
    char text[2 * SHA256_BYTES + 1];
    sha256(in, digest);
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    assert_string_equal(text, expected);
}

static void sha256__examples_of_the_standard(void **state)
{
    assert_digest(strview_str(""),
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_digest(strview_str("abc"),
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_digest(strview_str("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void sha256__a_million_letters(void **state)
{
    char *letters = malloc(1000000);
    assert_non_null(letters);
    memset(letters, 'a', 1000000);
    assert_digest(strview_of(letters, 1000000),
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(letters);
}

/* One block holds at most 55 bytes beside its padding, and 64 are a whole one. */
static void sha256__lengths_around_a_block(void **state)
{
    char letters[64];
    memset(letters, 'a', sizeof(letters));
    assert_digest(strview_of(letters, 55),
                  "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    assert_digest(strview_of(letters, 56),
                  "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
    assert_digest(strview_of(letters, 64),
                  "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

static void sha256__digests_compare(void **state)
{
    unsigned char a[SHA256_BYTES], b[SHA256_BYTES];
    sha256(strview_str("a"), a);
    memcpy(b, a, sizeof(b));
    assert_true(sha256_eq(a, b));
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        b[i] ^= 1;
        assert_false(sha256_eq(a, b));
        b[i] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256__examples_of_the_standard),
        cmocka_unit_test(sha256__a_million_letters),
        cmocka_unit_test(sha256__lengths_around_a_block),
        cmocka_unit_test(sha256__digests_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
