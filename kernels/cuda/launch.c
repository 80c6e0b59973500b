/* launch.c: around a kernel's launch: memory for its intermediate results, its error, and what it complained of. */
#include "cuda_calls.h"
#include "cuda_graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

dr_status dr_cuda_error(cuda *c, cudaError_t error, const char *what)
{
    if (error == cudaSuccess) return DR_OK;
    (void)c->calls->cudaGetLastError(); /* what can be cleared is */
    c->lost = c->lost || c->calls->cudaPeekAtLastError() != cudaSuccess;
    if (error == cudaErrorMemoryAllocation) return dr_fail(DR_ENOMEM, "%s: out of memory on cuda:%lld", what, (long long)c->index);
    const bool sticky = error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure ||
                        error == cudaErrorMisalignedAddress || error == cudaErrorIllegalInstruction ||
                        error == cudaErrorAssert || error == cudaErrorLaunchTimeout;
    c->lost = c->lost || sticky;
    if (error == cudaErrorNoKernelImageForDevice) {
        return dr_fail(DR_EUNSUPPORTED, "%s: no kernels in this build for compute capability %d.%d; build with "
                                        "-DDRIFT_CUDA_ARCHITECTURES=%d%d", what, c->major, c->minor, c->major, c->minor);
    }
    return dr_fail(DR_EINTERNAL, "%s: %s (%s)%s", what, c->calls->cudaGetErrorString(error), c->calls->cudaGetErrorName(error),
                   sticky && !c->sync ? "; it may be of an earlier kernel: DRIFT_SYNC=1 names the one" : "");
}

void dr_cuda_launched(const dr_kargs *a, const char *kernel)
{
    cuda *c = a->backend;
    char what[128];
    cudaError_t error = c->calls->cudaGetLastError();
    if (error == cudaSuccess && c->sync && !c->capturing) error = c->calls->cudaStreamSynchronize(c->stream);
    if (error == cudaSuccess) return;
    snprintf(what, sizeof what, "%s: kernel %s", a->op, kernel);
    dr_cuda_error(c, error, what);
}

void dr_cuda_refuse(const dr_kargs *a, dr_status code, const char *format, ...)
{
    char message[400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    dr_fail(code, "%s: %s", a->op, message);
}

/* Its size doubles, so that what graphs keep of earlier ones is less than what is in use. */
void *dr_cuda_workspace(const dr_kargs *a, size_t bytes)
{
    cuda *c = a->backend;
    void **workspace = &c->workspace[c->lane];
    size_t *has = &c->workspace_bytes[c->lane];
    if (bytes <= *has) return *workspace;
    const size_t larger = bytes > 2 * *has ? bytes : 2 * *has;
    void *memory = NULL;
    if (dr_cuda_error(c, c->calls->cudaMalloc(&memory, larger), a->op) != DR_OK) return NULL;
    if (*workspace && dr_cuda_keep_workspace(c, *workspace) != DR_OK) {
        c->calls->cudaFree(memory);
        return NULL;
    }
    *workspace = memory;
    *has = larger;
    return memory;
}

dr_cuda_complaint *dr_cuda_complain_to(const dr_kargs *a)
{
    cuda *c = a->backend;
    if (c->complaint->what == DR_COMPLAINT_NONE) snprintf(c->complaint->op, sizeof c->complaint->op, "%s", a->op);
    return c->complaint;
}

dr_status dr_cuda_read_complaint(cuda *c)
{
    const dr_cuda_complaint found = *(volatile dr_cuda_complaint *)c->complaint;
    if (found.what == DR_COMPLAINT_NONE) return DR_OK;
    memset(c->complaint, 0, sizeof *c->complaint);
    return dr_fail(DR_EINVAL, "%s: id %lld is outside 0..%lld", found.op, (long long)found.value,
                   (long long)(found.limit - 1));
}
