/* wrong_kernels.cpp: kernels with the mistakes that the emulation is there to find, for emulation_finds_mistakes.c. */
#include "emulated.h"
#include "cuda_kernel.h"
#include "fake.h"

__attribute__((noinline)) static float next_of(const float *p) { return p[1]; }

template <typename T> static __global__ void reads_past_shared(T *y)
{
    __shared__ T part[32];
    part[threadIdx.x] = T(1);
    __syncthreads();
    y[threadIdx.x] = next_of(part + threadIdx.x); /* the last thread reads past the end */
}

__global__ void reads_past_dynamic_shared(float *y)
{
    DR_SHARED(float, part);
    part[threadIdx.x] = 1.0f;
    __syncthreads();
    y[threadIdx.x] = part[threadIdx.x + 1];
}

__global__ void writes_past_output(float *y) { y[threadIdx.x + 1] = 1.0f; }

__global__ void lacks_a_barrier(float *y) /* each thread reads its neighbour's word */
{
    __shared__ float part[32];
    part[threadIdx.x] = (float)threadIdx.x + 1.0f;
    y[threadIdx.x] = part[(threadIdx.x + 31) % 32];
}

__global__ void diverges(float *y)
{
    if (threadIdx.x < 16) __syncthreads();
    else __syncwarp(0xffff0000u), __syncthreads();
    y[threadIdx.x] = 0.0f;
}

__global__ void waits_for_ever(float *y)
{
    if (threadIdx.x < 16) __syncwarp();
    else __syncthreads();
    y[threadIdx.x] = 0.0f;
}

__global__ void shuffles_apart(float *y)
{
    const float v = (float)threadIdx.x;
    y[threadIdx.x] = threadIdx.x < 16 ? __shfl_xor_sync(0xffffffffu, v, 1)
                                      : __shfl_down_sync(0xffffffffu, v, 1);
}

__global__ void is_right(float *y) /* ends early, votes, shuffles among half a warp, and sums by a barrier */
{
    __shared__ int sum;
    if (threadIdx.x >= 30) return;
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    atomicAdd(&sum, (int)threadIdx.x);
    const int even = __syncthreads_count(threadIdx.x % 2 == 0);
    float v = (float)threadIdx.x;
    if (threadIdx.x < 16) v = __shfl_down_sync(0xffffu, v, 4, 8);
    y[threadIdx.x] = v + 100.0f * (float)sum + 1e5f * (float)even; /* 435 and 15 */
}

/* Runs one on an output of 32 floats, whose view has n elements. [kernel] */
extern "C" FAKE_FOR_TESTS void fake_run_wrong_kernel(const char *name, void *backend, float *y, int64_t n);
void fake_run_wrong_kernel(const char *name, void *backend, float *y, int64_t n)
{
    dr_view out = {};
    out.data = y;
    out.rank = 1;
    out.shape[0] = n;
    out.stride[0] = 1;
    dr_kargs a = {};
    a.n_out = 1;
    a.out = &out;
    a.backend = backend;
    a.op = "wrong";
    if (!strcmp(name, "reads_past_shared")) DR_LAUNCH(&a, reads_past_shared<float>, 1, 32, 0, y);
    if (!strcmp(name, "reads_past_dynamic_shared")) DR_LAUNCH(&a, reads_past_dynamic_shared, 1, 32, 32 * sizeof(float), y);
    if (!strcmp(name, "writes_past_output")) DR_LAUNCH(&a, writes_past_output, 1, 32, 0, y);
    if (!strcmp(name, "lacks_a_barrier")) DR_LAUNCH(&a, lacks_a_barrier, 1, 32, 0, y);
    if (!strcmp(name, "diverges")) DR_LAUNCH(&a, diverges, 1, 32, 0, y);
    if (!strcmp(name, "waits_for_ever")) DR_LAUNCH(&a, waits_for_ever, 1, 32, 0, y);
    if (!strcmp(name, "shuffles_apart")) DR_LAUNCH(&a, shuffles_apart, 1, 32, 0, y);
    if (!strcmp(name, "is_right")) DR_LAUNCH(&a, is_right, 1, 32, 0, y);
    if (!strcmp(name, "launched_too_large")) DR_LAUNCH(&a, is_right, 1, 2048, 0, y);
}
