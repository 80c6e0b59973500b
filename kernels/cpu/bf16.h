/* bf16.h: bf16 is the upper half of an f32. Rounding is to the nearest, ties to even; NaN stays NaN. The arithmetic is
 * on whole numbers, without branches: it becomes vector code on every processor, and keeps subnormal numbers, which
 * AVX512-BF16's own instruction would make 0. */
#ifndef DRIFT_CPU_BF16_H
#define DRIFT_CPU_BF16_H

#include "vector_math.h"

VM_INLINE float dr_bf16_value(uint16_t bits) { return vm_from_bits((int32_t)((uint32_t)bits << 16)); }

VM_INLINE uint16_t dr_bf16_nearest(float x)
{
    const uint32_t bits = (uint32_t)vm_to_bits(x);
    const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16; /* a carry runs into the exponent, rightly */
    const uint32_t nan = (bits >> 16 & 0x8000) | 0x7FC0;
    return (uint16_t)((bits & 0x7FFFFFFF) > 0x7F800000 ? nan : rounded);
}

/* ---- elements of f32 and of bf16 tensors as floats, so that one text of a loop serves both ------------------------ */

/* type: DR_F32 or DR_BF16, a constant where these are called. */
VM_INLINE float dr_load(int type, const void *x, int64_t i)
{
    return type == DR_F32 ? ((const float *)x)[i] : dr_bf16_value(((const uint16_t *)x)[i]);
}

VM_INLINE void dr_store(int type, void *y, int64_t i, float value)
{
    if (type == DR_F32) ((float *)y)[i] = value;
    else ((uint16_t *)y)[i] = dr_bf16_nearest(value);
}

/* The address of element i. */
VM_INLINE const void *dr_from(int type, const void *x, int64_t i)
{
    return (const char *)x + i * (type == DR_F32 ? 4 : 2);
}
VM_INLINE void *dr_into(int type, void *y, int64_t i) { return (char *)y + i * (type == DR_F32 ? 4 : 2); }

#endif
