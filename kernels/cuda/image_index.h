/* image_index.h: an index over the packs of channels-last images [B,H,W,packs], taken apart: whose pixel, which channels. */
#ifndef DRIFT_CUDA_IMAGE_INDEX_H
#define DRIFT_CUDA_IMAGE_INDEX_H

#include "cuda_kernel.h"

struct image_index {
    int64_t b;
    int32_t y, x, c; /* c: which pack */
};

__device__ inline image_index image_index_of(int64_t i, int32_t H, int32_t W, int32_t packs)
{
    image_index at;
    if (i <= 0xffffffffLL) { /* divisions of 64 bits take several times as long */
        const uint32_t n = (uint32_t)i, pixel = n / (uint32_t)packs, row = pixel / (uint32_t)W, b = row / (uint32_t)H;
        at.b = b;
        at.y = (int32_t)(row - b * (uint32_t)H);
        at.x = (int32_t)(pixel - row * (uint32_t)W);
        at.c = (int32_t)(n - pixel * (uint32_t)packs);
        return at;
    }
    const int64_t pixel = i / packs, row = pixel / W;
    at.b = row / H;
    at.y = (int32_t)(row % H);
    at.x = (int32_t)(pixel % W);
    at.c = (int32_t)(i % packs);
    return at;
}

#endif
