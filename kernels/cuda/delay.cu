/* delay.cu: a kernel that takes a while. Short kernels are measured behind it: the host has queued them all by the time
 * that it ends, so that what is measured is the device alone. */
#include "cuda_kernel.h"

extern "C" void dr_cuda_delay(const dr_kargs *a, void *scratch);

__global__ void delay(float *scratch, float factor, int steps)
{
    float v = 1.0f;
    for (int i = 0; i < steps; i++) v = v * factor + 1.0f; /* each step waits for the one before it */
    *scratch = v;
}

void dr_cuda_delay(const dr_kargs *a, void *scratch) { DR_LAUNCH(a, delay, 1, 1, 0, (float *)scratch, 0.5f, 100000); }
