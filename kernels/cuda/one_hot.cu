/* one_hot.cu: y[.., c] = 1 where c is the id, else 0. An id outside is complained of, and gives zeros. */
#include "cuda_kernel.h"

__global__ void one_hot(const int32_t *ids, float *y, int64_t n, int64_t classes, dr_cuda_complaint *complaint)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= n) return;
    const int64_t position = n <= 0xffffffffLL ? (uint32_t)i / (uint32_t)classes : i / classes;
    const int64_t c = i - position * classes, id = ids[position];
    if (c == 0 && (id < 0 || id >= classes)) complain(complaint, DR_COMPLAINT_ID_OUTSIDE, id, classes);
    y[i] = c == id ? 1.0f : 0.0f;
}

static void one_hot(const dr_kargs *a) /* ids i32 [..] -> y f32 [..,classes] */
{
    const int64_t classes = ((const dr_one_hot_attr *)a->attr)->classes, n = dr_numel(&a->out[0]);
    if (n == 0) return;
    DR_LAUNCH(a, one_hot, (unsigned)dr_blocks_for(n, 256), 256, 0, (const int32_t *)dr_in(a, 0), (float *)dr_out(a, 0), n,
              classes, dr_cuda_complain_to(a));
}

DR_KERNEL(one_hot, DR_F32, one_hot)
