/* fake_objects.h: the handles and descriptors that the fakes of cuDNN and cuBLASLt give out, remembered by address, so
 * that one which was destroyed, or is of another kind, is noticed wherever it is passed. And the floats of tensors. */
#ifndef DRIFT_TESTS_FAKE_OBJECTS_H
#define DRIFT_TESTS_FAKE_OBJECTS_H

#include "fake.h"

#include <string.h>

/* Cleared memory that lives until fake_object_destroy; kind is a string constant. NULL: out of memory. */
void *fake_object_create(const char *kind, size_t bytes);
/* `what`, the call's name, got p where a living object of this kind belongs. false after fake_violation. */
bool fake_object_is(const void *p, const char *kind, const char *what);
void fake_object_destroy(void *p);

/* Element i of a tensor, f32 or bf16 (rounded to nearest even). */
static inline float fake_load(const void *data, bool bf16, int64_t i)
{
    if (!bf16) return ((const float *)data)[i];
    const uint32_t bits = (uint32_t)((const uint16_t *)data)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float fake_rounded(float value, bool bf16)
{
    uint32_t bits;
    if (!bf16 || value != value) return value;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void fake_store(void *data, bool bf16, int64_t i, float value)
{
    uint32_t bits;
    if (!bf16) {
        ((float *)data)[i] = value;
        return;
    }
    value = fake_rounded(value, true);
    memcpy(&bits, &value, sizeof bits);
    ((uint16_t *)data)[i] = (uint16_t)(bits >> 16 | (value != value ? 0x40 : 0));
}

#endif
