/* cpu_backend.h: what the kernels share: the backend's own struct, its memory for intermediate results, and how a range
 * of work is cut into blocks. */
#ifndef DRIFT_CPU_BACKEND_H
#define DRIFT_CPU_BACKEND_H

#include <drift/kernel.h>
#include <stdbool.h>

typedef struct dr_onednn dr_onednn;

typedef struct cpu { /* the component's struct; kernels find it in dr_kargs.backend */
    int64_t threads; /* parameter; 0 until open() has replaced it by the number of cores */
    dr_onednn *onednn;
    void *workspace;
    size_t workspace_bytes;
    char text[256];
} cpu;

/* Memory for one kernel call, 64-byte aligned, reused by the next call: not cleared. NULL after dr_fail. [kernel] */
void *dr_cpu_workspace(const dr_kargs *a, size_t bytes);

/* What kernels/cpu was compiled for, and whether the processor has it. NULL: it has; else what is missing. */
const char *dr_cpu_missing_feature(void);
const char *dr_cpu_instruction_set(void);
const char *dr_cpu_name(void); /* the processor's, as the system tells it */

/* Reductions are cut into blocks by size alone, and the blocks' results added in order, so that a result depends
 * neither on the number of threads nor on their timing. At most DR_CPU_BLOCKS, each of at least `least` items. */
enum { DR_CPU_BLOCKS = 64 };
typedef struct dr_blocks {
    int64_t count, size;
} dr_blocks;
static inline dr_blocks dr_cut(int64_t n, int64_t least)
{
    int64_t size = (n + DR_CPU_BLOCKS - 1) / DR_CPU_BLOCKS;
    if (size < least) size = least;
    return (dr_blocks){ .count = (n + size - 1) / size, .size = size };
}

/* Below this many elements a loop is done sooner by one thread than shared out. */
enum { DR_CPU_PARALLEL = 16384 };

/* An input that the caller may leave out. */
static inline void *dr_optional(const dr_kargs *a, int i)
{
    return i < a->n_in && a->in[i].rank >= 0 ? a->in[i].data : NULL;
}

static inline int64_t dr_min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* The product of shape[from..to). */
static inline int64_t dr_count(const dr_view *v, int from, int to)
{
    int64_t n = 1;
    for (int d = from; d < to; d++) n *= v->shape[d];
    return n;
}

#endif
