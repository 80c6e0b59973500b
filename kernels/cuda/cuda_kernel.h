/* cuda_kernel.h: what a .cu file includes. A file has its device functions, its __global__ kernels, and the host's
 * functions that launch them and end in DR_KERNEL. Kernels are templates over the element type, float or bf16.
 *
 *   DR_LAUNCH(a, kernel, grid, block, shared, arguments...)      kernel<<<grid, block, shared, stream>>>(arguments...)
 *   DR_LAUNCH(a, (scale_rows<T, 4>), ...)                        where the kernel's name has a comma
 *
 * tests/cuda/emulated.h stands in for the compiler's part where kernels are compiled for the processor: threads of a
 * block one after another between barriers, with the same index variables and shuffles. So: no inline assembly but that
 * of tensor_core.h, which has a form for the processor; no cooperative groups, no textures; shared memory is
 * `__shared__ T name[CONSTANT]` or DR_SHARED(T, name), at most one of the latter in a kernel. */
#ifndef DRIFT_CUDA_KERNEL_H
#define DRIFT_CUDA_KERNEL_H

#include "cuda_backend.h"

#ifdef DRIFT_CUDA_EMULATED
#include "emulated.h"
#else
#include <cuda_bf16.h>
#define DR_LAUNCH(a, kernel, grid, block, shared, ...) \
    (kernel<<<(grid), (block), (shared), dr_cuda_stream(a)>>>(__VA_ARGS__), dr_cuda_launched((a), #kernel))
/* Memory of the size that the launch gives. */
#define DR_SHARED(T, name) \
    extern __shared__ __align__(16) unsigned char dr_dynamic_shared[]; \
    T *name = reinterpret_cast<T *>(dr_dynamic_shared)
#endif

typedef __nv_bfloat16 bf16;

/* ---- elements: arithmetic is in float ----------------------------------------------------------------------------- */
__device__ inline float to_float(float v) { return v; }
__device__ inline float to_float(bf16 v) { return __bfloat162float(v); }
template <typename T> __device__ inline T from_float(float v);
template <> __device__ inline float from_float<float>(float v) { return v; }
template <> __device__ inline bf16 from_float<bf16>(float v) { return __float2bfloat16_rn(v); }

template <typename T> __device__ inline float load(const T *p, int64_t i) { return to_float(p[i]); }
template <typename T> __device__ inline void store(T *p, int64_t i, float v) { p[i] = from_float<T>(v); }

/* N elements moved as one: of 16 bytes at most. p + i must be aligned to their size. */
template <typename T, int N> struct alignas(N * sizeof(T)) pack {
    T v[N];
};
template <typename T, int N> __device__ inline pack<T, N> load_pack(const T *p, int64_t i)
{
    return *reinterpret_cast<const pack<T, N> *>(p + i);
}
template <typename T, int N> __device__ inline void store_pack(T *p, int64_t i, const pack<T, N> &v)
{
    *reinterpret_cast<pack<T, N> *>(p + i) = v;
}
template <typename T> __host__ __device__ constexpr int widest() { return 16 / (int)sizeof(T); }

/* Its elements as floats; a bf16 is the upper half of a float. */
template <typename T, int N> __device__ inline void floats_of(float (&v)[N], const pack<T, N> &p)
{
    if constexpr (sizeof(T) == 2 && N % 2 == 0) {
        const uint32_t *pairs = reinterpret_cast<const uint32_t *>(p.v);
        for (int i = 0; i < N; i += 2) {
            v[i] = __uint_as_float(pairs[i / 2] << 16);
            v[i + 1] = __uint_as_float(pairs[i / 2] & 0xffff0000u);
        }
    } else {
        for (int i = 0; i < N; i++) v[i] = to_float(p.v[i]);
    }
}

/* N floats, rounded: two at a time, which bf16 has an instruction for. */
template <typename T, int N> __device__ inline pack<T, N> pack_of(const float (&v)[N])
{
    pack<T, N> p;
    if constexpr (sizeof(T) == 2 && N % 2 == 0) {
        for (int i = 0; i < N; i += 2)
            *reinterpret_cast<__nv_bfloat162 *>(&p.v[i]) = __floats2bfloat162_rn(v[i], v[i + 1]);
    } else {
        for (int i = 0; i < N; i++) p.v[i] = from_float<T>(v[i]);
    }
    return p;
}

/* N floats, four at a time where N is a multiple: p must then be aligned to 16 bytes. */
template <int N> __device__ inline void load_floats(float (&v)[N], const float *p)
{
    constexpr int M = N % 4 == 0 ? 4 : 1;
    for (int i = 0; i < N; i += M) {
        const pack<float, M> some = load_pack<float, M>(p, i);
        for (int k = 0; k < M; k++) v[i + k] = some.v[k];
    }
}

/* Can all of these be moved in packs of N? Tensors and rows begin where the size in elements is a multiple of it. */
static inline bool dr_aligned(const void *p, size_t bytes) { return ((uintptr_t)p & (bytes - 1)) == 0; }

/* The first complaint stays; the host reads it when it waits. */
__device__ inline void complain(dr_cuda_complaint *c, int32_t what, int64_t value, int64_t limit)
{
    if (atomicCAS(&c->what, DR_COMPLAINT_NONE, what) != DR_COMPLAINT_NONE) return;
    c->value = value;
    c->limit = limit;
}

#endif
