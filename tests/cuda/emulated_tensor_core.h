/* emulated_tensor_core.h: kernels/cuda/tensor_core.h for the processor. Lanes meet in memory that the warp shares. A
 * copy to shared memory is done when its thread waits for it and not before, so that a missing wait shows. */
#ifndef DRIFT_TESTS_CUDA_EMULATED_TENSOR_CORE_H
#define DRIFT_TESTS_CUDA_EMULATED_TENSOR_CORE_H

#include <cstdint>
#include <cstring>
#include <deque>

typedef uintptr_t shared_address;

inline shared_address shared_address_of(const void *p) { return (shared_address)p; }

/* ---- copies ------------------------------------------------------------------------------------------------------ */

struct emulated_copy {
    shared_address to;
    const void *from; /* NULL: zeros */
    bool closes;      /* no copy, a group's end */
};
inline std::deque<emulated_copy> emulated_copies[1024]; /* of each thread of the block */

inline std::deque<emulated_copy> &own_copies(void)
{
    return emulated_copies[threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)];
}

inline void copy_16(shared_address to, const void *from, bool there)
{
    if ((to & 15) != 0 || ((uintptr_t)from & 15) != 0) __builtin_trap();
    own_copies().push_back({ to, there ? from : NULL, false });
}

inline void close_group_of_copies(void) { own_copies().push_back({ 0, NULL, true }); }

template <int N> inline void wait_for_copies(void)
{
    std::deque<emulated_copy> &copies = own_copies();
    int groups = 0;
    for (const emulated_copy &c : copies) groups += c.closes;
    while (groups > N) {
        const emulated_copy c = copies.front();
        copies.pop_front();
        if (c.closes) groups--;
        else if (c.from) memcpy((void *)c.to, c.from, 16);
        else memset((void *)c.to, 0, 16);
    }
}

/* ---- a warp's matrices ------------------------------------------------------------------------------------------- */

struct emulated_operands {
    shared_address row;
    uint32_t a[4], b[2];
};
inline emulated_operands emulated_warps[32][32];

inline emulated_operands *own_warp(void)
{
    return emulated_warps[(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) / 32];
}

inline void emulated_load(uint32_t (&m)[4], shared_address row, bool transposed)
{
    emulated_operands *warp = own_warp();
    const int lane = dr_emulated_lane();
    warp[lane].row = row;
    if ((row & 15) != 0) __builtin_trap();
    __syncwarp();
    for (int i = 0; i < 4; i++) {
        uint16_t pair[2];
        for (int e = 0; e < 2; e++) {
            const int r = transposed ? lane % 4 * 2 + e : lane / 4, c = transposed ? lane / 4 : lane % 4 * 2 + e;
            pair[e] = ((const uint16_t *)warp[8 * i + r].row)[c];
        }
        memcpy(&m[i], pair, 4);
    }
    __syncwarp();
}
inline void load_matrices(uint32_t (&m)[4], shared_address row) { emulated_load(m, row, false); }
inline void load_matrices_transposed(uint32_t (&m)[4], shared_address row) { emulated_load(m, row, true); }

inline float emulated_half(uint32_t pair, int upper)
{
    return dr_emulated_bits<float>(upper ? pair & 0xffff0000u : pair << 16);
}

inline void multiply_add(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    emulated_operands *warp = own_warp();
    const int lane = dr_emulated_lane();
    memcpy(warp[lane].a, a, sizeof warp[lane].a);
    warp[lane].b[0] = b0;
    warp[lane].b[1] = b1;
    __syncwarp();
    for (int i = 0; i < 4; i++) {
        const int row = lane / 4 * 4, column = (lane % 4 * 2 + i % 2) * 4; /* the first of the lanes that have them */
        for (int k = 0; k < 16; k++) {
            const int from = k % 8 / 2, quarter = i / 2 + k / 8 * 2;
            sum[i] +=
                emulated_half(warp[row + from].a[quarter], k % 2) * emulated_half(warp[column + from].b[k / 8], k % 2);
        }
    }
    __syncwarp();
}

#endif
