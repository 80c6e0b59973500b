/* bf16.h: the elements of f32 and of bf16 tensors as floats, so that one text of a loop serves both: `type` is DR_F32
 * or DR_BF16 and a constant where these are called. bf16 is the upper half of a float; what is stored is rounded to
 * nearest, ties to even, and NaN stays NaN. The arithmetic is on whole numbers, without branches: it becomes vector
 * code on every processor, and keeps subnormal numbers, which AVX512-BF16's own instruction would make 0. */
#ifndef DRIFT_CPU_BF16_H
#define DRIFT_CPU_BF16_H

#include "vector_math.h"

VM_INLINE float dr_load(int type, const void *x, int64_t i)
{
    if (type == DR_F32) return ((const float *)x)[i];
    return vm_from_bits((int32_t)((uint32_t)((const uint16_t *)x)[i] << 16));
}

VM_INLINE void dr_store(int type, void *y, int64_t i, float value)
{
    if (type == DR_F32) {
        ((float *)y)[i] = value;
        return;
    }
    const uint32_t bits = (uint32_t)vm_to_bits(value), rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    ((uint16_t *)y)[i] = (uint16_t)(value != value ? 0x7FC0 : rounded);
}

/* The address of element i. */
VM_INLINE const void *dr_from(int type, const void *x, int64_t i)
{
    return (const char *)x + i * (type == DR_F32 ? 4 : 2);
}
VM_INLINE void *dr_into(int type, void *y, int64_t i) { return (char *)y + i * (type == DR_F32 ? 4 : 2); }

#endif
