/* emulated.h: CUDA C on the processor: with it a C++ compiler makes the kernels of kernels/cuda for tests. The threads of a
 * block are fibers (fake/block_fibers.cpp), one running at a time, which change at barriers and warp shuffles; blocks
 * come one after another. A launch goes to the fake runtime (fake/fake.h), which runs it or records it in a graph.
 * Shared memory is static, or a fresh allocation of exactly the launch's bytes, so that AddressSanitizer sees what lies
 * outside; it also sees what lies outside of a kernel's tensors, though the host's allocations are larger. Environment: DRIFT_CUDA_EMULATED_ORDER=reverse runs threads and blocks from the last to the first. */
#ifndef DRIFT_TESTS_CUDA_EMULATED_H
#define DRIFT_TESTS_CUDA_EMULATED_H

#include "cuda_backend.h"

#include <cuda_runtime_api.h>
#include <vector_functions.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

#undef __shared__
#define __shared__ static
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __grid_constant__
#define __grid_constant__

/* ---- what block_fibers.cpp does ------------------------------------------------------------------------------------ */

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
static const int warpSize = 32;

enum dr_warp_operation { DR_WARP_SYNC, DR_WARP_SHUFFLE, DR_WARP_BALLOT };

/* Waits until the block's threads that have not ended are here; the number of those whose predicate is not 0, and in
 * *all of all. */
int dr_emulated_barrier(int predicate, int *all, const char *file, int line);

/* Waits until the lanes of the mask that have not ended are here. A shuffle returns the value of lane `source`, a ballot
 * the lanes whose value is not 0. */
uint64_t dr_emulated_warp(dr_warp_operation operation, unsigned mask, uint64_t value, int source, const char *file,
                          int line);
int dr_emulated_lane(void);
void *dr_emulated_shared(void);

struct dr_emulated_launch_of {
    dim3 grid, block;
    size_t shared;
    void (*thread)(const void *arguments); /* runs one thread */
};
/* arguments: trivially copyable, copied. Of the memory that a's tensors lie in, the kernel may touch these alone. */
void dr_emulated_submit(const dr_kargs *a, const char *kernel, const dr_emulated_launch_of *launch,
                        const void *arguments, size_t bytes);

template <typename K, typename... P>
static inline void dr_emulated_launch(const dr_kargs *a, const char *name, dim3 grid, dim3 block, size_t shared,
                                      K kernel, P... arguments)
{
    auto once = [=]() { kernel(arguments...); };
    typedef decltype(once) closure;
    static_assert(std::is_trivially_copyable<closure>::value, "a kernel's arguments are plain structs and numbers");
    const dr_emulated_launch_of launch = { grid, block, shared,
                                           [](const void *of) { (*static_cast<const closure *>(of))(); } };
    dr_emulated_submit(a, name, &launch, &once, sizeof once);
}

#define DR_LAUNCH(a, kernel, grid, block, shared, ...) \
    (dr_emulated_launch((a), #kernel, dim3(grid), dim3(block), (size_t)(shared), \
                        [](auto... dr_p) { kernel(dr_p...); }, __VA_ARGS__), \
     dr_cuda_launched((a), #kernel))
#define DR_SHARED(T, name) T *name = static_cast<T *>(dr_emulated_shared())

template <typename F> static inline cudaError_t cudaFuncSetAttribute(F *, cudaFuncAttribute, int) { return cudaSuccess; }

/* ---- barriers, shuffles, votes --------------------------------------------------------------------------------------- */

#define DR_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

static inline void __syncthreads(DR_HERE)
{
    int all;
    dr_emulated_barrier(0, &all, file, line);
}
static inline int __syncthreads_count(int predicate, DR_HERE)
{
    int all;
    return dr_emulated_barrier(predicate, &all, file, line);
}
static inline int __syncthreads_or(int predicate, DR_HERE)
{
    int all;
    return dr_emulated_barrier(predicate, &all, file, line) > 0;
}
static inline int __syncthreads_and(int predicate, DR_HERE)
{
    int all;
    return dr_emulated_barrier(predicate, &all, file, line) == all;
}
static inline void __syncwarp(unsigned mask = 0xffffffffu, DR_HERE)
{
    dr_emulated_warp(DR_WARP_SYNC, mask, 0, 0, file, line);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate, DR_HERE)
{
    return (unsigned)dr_emulated_warp(DR_WARP_BALLOT, mask, predicate != 0, 0, file, line);
}
static inline int __any_sync(unsigned mask, int predicate, DR_HERE) { return __ballot_sync(mask, predicate, file, line) != 0; }
static inline int __all_sync(unsigned mask, int predicate, DR_HERE) { return __ballot_sync(mask, !predicate, file, line) == 0; }

template <typename T>
static inline T dr_emulated_shuffle(unsigned mask, T v, int source, const char *file, int line)
{
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable<T>::value, "a shuffle moves 8 bytes at most");
    uint64_t word = 0;
    memcpy(&word, &v, sizeof v);
    word = dr_emulated_warp(DR_WARP_SHUFFLE, mask, word, source, file, line);
    memcpy(&v, &word, sizeof v);
    return v;
}
/* Lanes are in groups of `width`; a source outside the own group is the own lane. */
template <typename T> static inline T __shfl_sync(unsigned mask, T v, int source, int width = 32, DR_HERE)
{
    const int lane = dr_emulated_lane();
    return dr_emulated_shuffle(mask, v, (lane & ~(width - 1)) | (source & (width - 1)), file, line);
}
template <typename T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned step, int width = 32, DR_HERE)
{
    const int lane = dr_emulated_lane(), from = lane - (int)step;
    return dr_emulated_shuffle(mask, v, from < (lane & ~(width - 1)) ? lane : from, file, line);
}
template <typename T> static inline T __shfl_down_sync(unsigned mask, T v, unsigned step, int width = 32, DR_HERE)
{
    const int lane = dr_emulated_lane(), from = lane + (int)step;
    return dr_emulated_shuffle(mask, v, from > (lane | (width - 1)) ? lane : from, file, line);
}
template <typename T> static inline T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, DR_HERE)
{
    const int lane = dr_emulated_lane(), from = lane ^ bits;
    return dr_emulated_shuffle(mask, v, from > (lane | (width - 1)) ? lane : from, file, line);
}

static inline void __threadfence(void) { }
static inline void __threadfence_block(void) { }
static inline void __threadfence_system(void) { }

/* ---- memory ---------------------------------------------------------------------------------------------------------- */

template <typename T> static inline T __ldg(const T *p) { return *p; }
template <typename T> static inline T __ldcg(const T *p) { return *p; }
template <typename T> static inline T __ldcs(const T *p) { return *p; }
template <typename T> static inline T __ldca(const T *p) { return *p; }
template <typename T> static inline T __ldlu(const T *p) { return *p; }
template <typename T> static inline void __stcg(T *p, T v) { *p = v; }
template <typename T> static inline void __stcs(T *p, T v) { *p = v; }
template <typename T> static inline void __stwb(T *p, T v) { *p = v; }
template <typename T> static inline void __stwt(T *p, T v) { *p = v; }

#define DR_ATOMIC(name, next) \
    template <typename T, typename U> static inline T name(T *p, U given) \
    { \
        const T old = *p, v = (T)given; \
        *p = next; \
        return old; \
    }
DR_ATOMIC(atomicAdd, old + v)
DR_ATOMIC(atomicSub, old - v)
DR_ATOMIC(atomicExch, v)
DR_ATOMIC(atomicMax, old > v ? old : v)
DR_ATOMIC(atomicMin, old < v ? old : v)
DR_ATOMIC(atomicAnd, old & v)
DR_ATOMIC(atomicOr, old | v)
DR_ATOMIC(atomicXor, old ^ v)
DR_ATOMIC(atomicInc, old >= v ? T(0) : T(old + 1))
template <typename T, typename U, typename V> static inline T atomicCAS(T *p, U expected, V v)
{
    const T old = *p;
    if (old == (T)expected) *p = (T)v;
    return old;
}

/* ---- numbers --------------------------------------------------------------------------------------------------------- */

#define DR_MIN_MAX(T) \
    static inline T min(T a, T b) { return b < a ? b : a; } \
    static inline T max(T a, T b) { return a < b ? b : a; }
DR_MIN_MAX(int)
DR_MIN_MAX(unsigned)
DR_MIN_MAX(long)
DR_MIN_MAX(unsigned long)
DR_MIN_MAX(long long)
DR_MIN_MAX(unsigned long long)
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
static inline double min(float a, double b) { return fmin(a, b); }
static inline double max(float a, double b) { return fmax(a, b); }
static inline double min(double a, float b) { return fmin(a, b); }
static inline double max(double a, float b) { return fmax(a, b); }
static inline unsigned min(int a, unsigned b) { return min((unsigned)a, b); }
static inline unsigned max(int a, unsigned b) { return max((unsigned)a, b); }
static inline unsigned min(unsigned a, int b) { return min(a, (unsigned)b); }
static inline unsigned max(unsigned a, int b) { return max(a, (unsigned)b); }

template <typename To, typename From> static inline To dr_emulated_bits(From v)
{
    To to;
    static_assert(sizeof to == sizeof v, "bits are kept");
    memcpy(&to, &v, sizeof to);
    return to;
}
static inline int __float_as_int(float v) { return dr_emulated_bits<int>(v); }
static inline unsigned __float_as_uint(float v) { return dr_emulated_bits<unsigned>(v); }
static inline float __int_as_float(int v) { return dr_emulated_bits<float>(v); }
static inline float __uint_as_float(unsigned v) { return dr_emulated_bits<float>(v); }
static inline long long __double_as_longlong(double v) { return dr_emulated_bits<long long>(v); }
static inline double __longlong_as_double(long long v) { return dr_emulated_bits<double>(v); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline int __mulhi(int a, int b) { return (int)((int64_t)a * b >> 32); }
__extension__ typedef unsigned __int128 dr_emulated_wide;
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    return (unsigned long long)((dr_emulated_wide)a * b >> 64);
}
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
static inline int __clzll(long long v) { return v ? __builtin_clzll((unsigned long long)v) : 64; }
static inline int __ffs(int v) { return __builtin_ffs(v); }

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline float sinpif(float x) { return (float)sin(M_PI * (double)x); }
static inline float cospif(float x) { return (float)cos(M_PI * (double)x); }
static inline double sinpi(double x) { return sin(M_PI * x); }
static inline double cospi(double x) { return cos(M_PI * x); }
static inline void sincospif(float x, float *s, float *c) { *s = sinpif(x), *c = cospif(x); }
static inline float normcdff(float x) { return 0.5f * erfcf(-x * 0.70710678f); }

/* macros, because glibc declares functions of these names, which do not exist */
#define __expf(x) expf(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __powf(x, y) powf(x, y)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __sincosf(x, s, c) sincosf(x, s, c)
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float __frsqrt_rn(float a) { return 1.0f / sqrtf(a); }
static inline float __frcp_rn(float a) { return 1.0f / a; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dsub_rn(double a, double b) { return a - b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline double __dsqrt_rn(double a) { return sqrt(a); }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

static inline int __float2int_rn(float x) { return (int)rintf(x); }
static inline int __float2int_rd(float x) { return (int)floorf(x); }
static inline int __float2int_ru(float x) { return (int)ceilf(x); }
static inline int __float2int_rz(float x) { return (int)x; }
static inline unsigned __float2uint_rn(float x) { return (unsigned)rintf(x); }
static inline unsigned __float2uint_rz(float x) { return (unsigned)x; }
static inline float __int2float_rn(int x) { return (float)x; }
static inline float __uint2float_rn(unsigned x) { return (float)x; }
static inline float __ll2float_rn(long long x) { return (float)x; }
static inline float __ull2float_rn(unsigned long long x) { return (float)x; }
static inline float __double2float_rn(double x) { return (float)x; }
static inline double __uint2double_rn(unsigned x) { return (double)x; }

#endif
