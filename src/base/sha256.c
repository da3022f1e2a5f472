/*
 * SHA-256 as FIPS 180-4 writes it down: the message, a one bit, zeroes and the length in bits, in
 * blocks of 64 bytes; each block is spread to 64 words and stirred into eight.
 *
 * Small and plain: it is run once per AUTH. The rotations and sums take the same time whatever the
 * bytes, so the time tells the length of a message and nothing else.
 */
#include "tarn/base/sha256.h"

#include <stdint.h>

#define BLOCK_BYTES 64
#define ROUNDS      64

static const uint32_t round_constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static uint32_t load_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void spread(const unsigned char block[BLOCK_BYTES], uint32_t w[ROUNDS])
{
    for (int i = 0; i < 16; i++) {
        w[i] = load_be32(block + (size_t)i * 4);
    }
    for (int i = 16; i < ROUNDS; i++) {
        const uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        const uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
}

static void stir(uint32_t state[8], const unsigned char block[BLOCK_BYTES])
{
    uint32_t w[ROUNDS], v[8];
    spread(block, w);
    memcpy(v, state, sizeof(v));
    for (int i = 0; i < ROUNDS; i++) {
        const uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        const uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        const uint32_t t1 = v[7] + s1 + choice + round_constants[i] + w[i];
        const uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        const uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        memmove(v + 1, v, 7 * sizeof(v[0]));
        v[4] += t1;
        v[0] = t1 + s0 + majority;
    }
    for (int i = 0; i < 8; i++) {
        state[i] += v[i];
    }
}

void sha256(struct strview in, unsigned char out[SHA256_BYTES])
{
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    unsigned char last[2 * BLOCK_BYTES] = {0};
    const unsigned char *bytes = (const void *)in.data;
    const size_t whole = in.len / BLOCK_BYTES * BLOCK_BYTES, rest = in.len - whole;
    for (size_t at = 0; at < whole; at += BLOCK_BYTES) {
        stir(state, bytes + at);
    }
    if (rest > 0) {
        memcpy(last, bytes + whole, rest);
    }
    last[rest] = 0x80;
    const size_t last_len = rest + 9 <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
    for (size_t i = 0; i < 8; i++) {
        last[last_len - 1 - i] = (unsigned char)((uint64_t)in.len * 8 >> (8 * i));
    }
    for (size_t at = 0; at < last_len; at += BLOCK_BYTES) {
        stir(state, last + at);
    }
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        out[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

bool sha256_eq(const unsigned char a[SHA256_BYTES], const unsigned char b[SHA256_BYTES])
{
    unsigned differences = 0;
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        differences |= (unsigned)(a[i] ^ b[i]);
    }
    return differences == 0;
}
