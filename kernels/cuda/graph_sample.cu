/* graph_sample.cu: writes the word that a graph's random streams begin at. The value travels as the launch's argument, so
 * it cannot be overtaken by that of the next launch. */
#include "cuda_kernel.h"

__global__ void set_sample(int64_t *word, int64_t sample) { *word = sample; }

extern "C" void dr_cuda_set_sample(cuda *c, int64_t sample)
{
    dr_kargs a = {};
    a.backend = c;
    a.op = "graph";
    DR_LAUNCH(&a, set_sample, 1, 1, 0, c->sample, sample);
}
