/* fake.h: a CUDA without a GPU, for tests: memory is malloc'd, work is done at once on the processor, or recorded while a
 * stream is captured and done by each launch of the graph. It checks what it is asked (a violation is reported, counted, and
 * makes the process fail), records the order of calls, and lets the n-th call fail.
 *
 *   fake_calls.c      the table, the record, failures, violations     fake_memory.c    allocations
 *   fake_runtime.c    errors, the device, copies                       fake_queue.c     work that waits
 *   fake_streams.c    streams, events, graphs                          block_fibers.cpp runs kernels
 *   fake_cudnn*.c, fake_cublaslt*.c   compute on the processor         fake_exports.c   for specs in Lua */
#ifndef DRIFT_TESTS_FAKE_H
#define DRIFT_TESTS_FAKE_H

#include "cuda_backend.h"

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FAKE_FOR_TESTS __attribute__((visibility("default"))) /* a test finds it with dlsym: fake_control.h */

/* ---- for the fakes of libraries ------------------------------------------------------------------------------------- */

/* The first thing in each fake call: records it. true: this call is to fail. */
bool fake_call(const char *name);

/* What a caller did wrong. */
__attribute__((format(printf, 1, 2))) void fake_violation(const char *format, ...);

/* Queues run(closure) on a stream: now, or as a node of the graph that is captured there. The closure is copied; words in
 * it that point into device memory say what the node uses. */
void fake_submit(cudaStream_t stream, const char *name, void (*run)(void *closure), const void *closure, size_t bytes);

/* Do bytes at p lie within one live allocation on the device? bytes may be 0: is p inside one? */
bool fake_on_device(const void *p, size_t bytes);

/* What a library's handle, descriptor, ... is counted as, so that leaks are found: +1 when made, -1 when destroyed. */
void fake_alive(const char *what, int change);

/* Fill in their part of the table; defined by fake_cudnn.c and fake_cublaslt.c. */
void fake_cudnn_calls(dr_cuda_calls *calls) __attribute__((weak));
void fake_cublaslt_calls(dr_cuda_calls *calls) __attribute__((weak));

/* ---- within the runtime ----------------------------------------------------------------------------------------------- */

typedef enum fake_kind { FAKE_DEVICE, FAKE_PINNED } fake_kind;

void fake_runtime_calls(dr_cuda_calls *calls);
cudaError_t fake_result(cudaError_t error);     /* is the last error from now on, unless it is none */
cudaError_t fake_last_error(bool clear);
cudaError_t fake_sticky(void);                  /* cudaSuccess, or what every call returns now */
void fake_make_sticky(cudaError_t error);       /* a kernel failed: nothing more works */

cudaError_t fake_malloc(void **memory, size_t bytes, fake_kind kind);
cudaError_t fake_free(void *memory, fake_kind kind);
void fake_memory_info(size_t *left, size_t *all);
bool fake_inside(const void *p, size_t bytes, fake_kind kind);  /* all of the bytes, in one live allocation */
bool fake_touches(const void *p, size_t bytes, fake_kind kind); /* any of them, in any live allocation */
int64_t fake_serial(const void *p);             /* of the allocation that p lies in; 0: none */
bool fake_lives(int64_t serial);
typedef struct fake_range {
    const char *from, *to;
} fake_range;
/* Of each allocation that one of these lies in, AddressSanitizer lets through these alone; and all again. */
void fake_fence(const fake_range *range, int n);
void fake_unfence(const fake_range *range, int n);
int fake_memory_leaks(void);                    /* reports each on stderr */

/* ---- for tests ---------------------------------------------------------------------------------------------------------- */

FAKE_FOR_TESTS void fake_fail_at(int64_t n);                     /* the n-th call from now fails, from 1; 0: none */
FAKE_FOR_TESTS bool fake_has_failed(void);                       /* has that call come? */
FAKE_FOR_TESTS int64_t fake_count(void);                         /* calls since the start, or fake_forget() */
FAKE_FOR_TESTS const char *fake_name_of(int64_t i);              /* of call i, from 0; NULL past the last */
FAKE_FOR_TESTS void fake_forget(void);                           /* the record, sticky and last errors; not what lives */
FAKE_FOR_TESTS int fake_leaks(void);                             /* what still lives; reported on stderr */
FAKE_FOR_TESTS int fake_violations(void);                        /* so far */
FAKE_FOR_TESTS void fake_expect_violations(void);                /* sets their number to 0: a test wanted them */
FAKE_FOR_TESTS void fake_devices(int n, int error, int driver);  /* what cudaGetDeviceCount and DriverGetVersion say */
FAKE_FOR_TESTS void fake_late(bool on);                          /* work is done as late as it may be */
FAKE_FOR_TESTS void fake_memory_limit(size_t bytes);             /* of the device; more is cudaErrorMemoryAllocation */

#ifdef __cplusplus
}
#endif
#endif
