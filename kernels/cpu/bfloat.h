/* bfloat.h: bf16 is the upper half of an f32. Rounding is to the nearest, ties to even; NaN stays NaN. Without
 * branches, so that a loop over them becomes vector code; unlike AVX512-BF16's own conversion, it keeps subnormals. */
#ifndef DRIFT_CPU_BFLOAT_H
#define DRIFT_CPU_BFLOAT_H

#include <stdint.h>
#include <string.h>

static inline float dr_bf16_value(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, sizeof x);
    return x;
}

static inline uint16_t dr_bf16_nearest(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16; /* a carry runs into the exponent, as it should */
    const uint32_t nan = (bits >> 16 & 0x8000u) | 0x7FC0u;
    return (uint16_t)((bits & 0x7FFFFFFFu) > 0x7F800000u ? nan : rounded);
}

#endif
