/* sha256.c: SHA-256 of memory and of files.     FIPS 180-4, section 6.2
 *   h[0..7] <- h + compress(h, 64-byte block), over the message padded with 1, zeros and its length in bits */
#include <drift.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct sha256 {
    uint32_t h[8];
    uint8_t block[64];
    size_t filled; /* bytes waiting in block */
    uint64_t bytes;
} sha256;

static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void compress(uint32_t h[8], const uint8_t block[64])
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
        uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) h[i] += v[i];
}

static void start(sha256 *s)
{
    *s = (sha256){ .h = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                          0x5be0cd19 } };
}

static void add(sha256 *s, const uint8_t *data, size_t bytes)
{
    s->bytes += bytes;
    while (bytes > 0) {
        if (s->filled == 0 && bytes >= 64) {
            compress(s->h, data);
            data += 64;
            bytes -= 64;
            continue;
        }
        size_t n = 64 - s->filled < bytes ? 64 - s->filled : bytes;
        memcpy(s->block + s->filled, data, n);
        s->filled += n;
        data += n;
        bytes -= n;
        if (s->filled < 64) return;
        compress(s->h, s->block);
        s->filled = 0;
    }
}

static void finish(sha256 *s, uint8_t out[32])
{
    const uint64_t bits = s->bytes * 8;
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
    add(s, (const uint8_t[64]){ 0x80 }, s->filled < 56 ? 56 - s->filled : 120 - s->filled);
    add(s, length, sizeof length);
    for (int i = 0; i < 32; i++) out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

static void hex_of(const uint8_t digest[32], char hex[65])
{
    for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* out: the digest. [any] */
void dr_sha256(const void *data, size_t bytes, uint8_t out[32])
{
    sha256 s;
    start(&s);
    add(&s, data, bytes);
    finish(&s, out);
}

/* hex: 64 digits and a NUL. [any] */
void dr_sha256_hex(const void *data, size_t bytes, char hex[65])
{
    uint8_t digest[32];
    dr_sha256(data, bytes, digest);
    hex_of(digest, hex);
}

/* DR_ENOTFOUND where there is no such file, DR_EIO where it cannot be read; hex is then "". */
dr_status dr_sha256_file(const char *path, char hex[65])
{
    hex[0] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return dr_fail(errno == ENOENT ? DR_ENOTFOUND : DR_EIO, "%s: cannot open: %s", path, strerror(errno));
    sha256 s;
    start(&s);
    uint8_t chunk[1 << 16];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n > 0) {
            add(&s, chunk, (size_t)n);
        } else if (errno != EINTR) {
            dr_status status = dr_fail(DR_EIO, "%s: cannot read: %s", path, strerror(errno));
            close(fd);
            return status;
        }
    }
    close(fd);
    uint8_t digest[32];
    finish(&s, digest);
    hex_of(digest, hex);
    return DR_OK;
}
