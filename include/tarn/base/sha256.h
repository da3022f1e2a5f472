/*
 * SHA-256 (FIPS 180-4): for keeping passwords, where the hash of the index, made for speed, will
 * not do.
 */
#ifndef TARN_BASE_SHA256_H
#define TARN_BASE_SHA256_H

#include <stdbool.h>

#include "tarn/base/strview.h"

#define SHA256_BYTES 32

void sha256(struct strview in, unsigned char out[SHA256_BYTES]);

/* Compares two digests in a time that does not depend on them. */
bool sha256_eq(const unsigned char a[SHA256_BYTES], const unsigned char b[SHA256_BYTES]);

#endif
