/*
 * SHA-256 by libmd; here is only what passwords need around it.
 */
#include "tarn/base/sha256.h"

#include <assert.h>
#include <sha2.h>

static_assert(SHA256_BYTES == SHA256_DIGEST_LENGTH, "libmd's digest has another size");

void sha256(struct strview in, unsigned char out[SHA256_BYTES])
{
    SHA2_CTX ctx;
    SHA256Init(&ctx);
    SHA256Update(&ctx, (const unsigned char *)in.data, in.len);
    SHA256Final(out, &ctx);
}

bool sha256_eq(const unsigned char a[SHA256_BYTES], const unsigned char b[SHA256_BYTES])
{
    unsigned differences = 0;
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        differences |= (unsigned)(a[i] ^ b[i]);
    }
    return differences == 0;
}
