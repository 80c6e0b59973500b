/* fake_runtime.c: CUDA's runtime without a GPU: errors, a device, its memory, copies. */
#include "fake_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cudaError_t last_error, sticky;
static int devices = 1, devices_error, driver_version = 13000;

/* ---- errors ----------------------------------------------------------------------------------------------------------- */

cudaError_t fake_result(cudaError_t error)
{
    if (error != cudaSuccess) last_error = error;
    return error;
}

cudaError_t fake_last_error(bool clear)
{
    const cudaError_t error = sticky != cudaSuccess ? sticky : last_error;
    if (clear) last_error = cudaSuccess;
    return error;
}

cudaError_t fake_sticky(void) { return sticky; }
void fake_make_sticky(cudaError_t error) { sticky = error; }

cudaError_t fake_wrong(const char *call, const char *what) /* a violation, as an error */
{
    fake_violation("%s: %s", call, what);
    return fake_result(cudaErrorInvalidValue);
}

/* What each call begins with: the error that it returns at once, if it does. */
cudaError_t fake_begin(const char *call, cudaError_t if_chosen)
{
    if (fake_call(call)) return fake_result(if_chosen);
    return sticky;
}

/* While a stream is captured in the global mode, these may not be called: they would wait for it. */
static cudaError_t not_while_capturing(const char *call)
{
    if (!fake_captured || fake_captured->mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
    fake_captured->ruined = true;
    fake_violation("%s while a stream is captured", call);
    return fake_result(cudaErrorStreamCaptureUnsupported);
}

static cudaError_t fake_cudaGetLastError(void) { return fake_last_error(true); }
static cudaError_t fake_cudaPeekAtLastError(void) { return fake_last_error(false); }

static const char *fake_cudaGetErrorName(cudaError_t error)
{
    switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorLaunchOutOfResources: return "cudaErrorLaunchOutOfResources";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    default: return "cudaErrorUnknown";
    }
}

static const char *fake_cudaGetErrorString(cudaError_t error) { return fake_cudaGetErrorName(error); }

/* ---- the device --------------------------------------------------------------------------------------------------------- */

void fake_devices(int n, int error, int driver)
{
    devices = n;
    devices_error = error;
    driver_version = driver;
}

static cudaError_t fake_cudaGetDeviceCount(int *n)
{
    BEGIN(cudaErrorNoDevice);
    *n = devices_error ? 0 : devices;
    return fake_result((cudaError_t)devices_error);
}

static cudaError_t fake_cudaSetDevice(int device)
{
    BEGIN(cudaErrorDevicesUnavailable);
    return device >= 0 && device < devices ? cudaSuccess : fake_result(cudaErrorInvalidDevice);
}

static cudaError_t fake_cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    BEGIN(cudaErrorInvalidDevice);
    if (device < 0 || device >= devices) return fake_result(cudaErrorInvalidDevice);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated");
    p->major = 9;
    p->minor = 0;
    p->multiProcessorCount = 132;
    p->totalGlobalMem = (size_t)80 << 30;
    p->sharedMemPerBlock = 48 << 10;
    p->sharedMemPerBlockOptin = 232448;
    p->sharedMemPerMultiprocessor = 233472;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsPerMultiProcessor = 2048;
    p->warpSize = 32;
    p->l2CacheSize = 50 << 20;
    return cudaSuccess;
}

static cudaError_t fake_cudaDriverGetVersion(int *version)
{
    *version = driver_version;
    return cudaSuccess;
}

static cudaError_t fake_cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

static cudaError_t fake_cudaMemGetInfo(size_t *left, size_t *all)
{
    BEGIN(cudaErrorUnknown);
    fake_memory_info(left, all);
    return cudaSuccess;
}

static cudaError_t fake_cudaMalloc(void **memory, size_t bytes)
{
    BEGIN(cudaErrorMemoryAllocation);
    const cudaError_t error = not_while_capturing("cudaMalloc");
    return error ? error : fake_result(fake_malloc(memory, bytes, FAKE_DEVICE));
}

/* A call that frees does so even where it is to fail: what is left in the process is the same as after a success. */
static cudaError_t fake_cudaFree(void *memory)
{
    const cudaError_t chosen = fake_begin("cudaFree", cudaErrorUnknown), capturing = not_while_capturing("cudaFree");
    if (capturing) return capturing;
    fake_finish(fake_queued);
    const cudaError_t error = fake_result(fake_free(memory, FAKE_DEVICE));
    return chosen ? chosen : error;
}

static cudaError_t fake_cudaHostAlloc(void **memory, size_t bytes, unsigned flags)
{
    (void)flags;
    BEGIN(cudaErrorMemoryAllocation);
    const cudaError_t error = not_while_capturing("cudaHostAlloc");
    return error ? error : fake_result(fake_malloc(memory, bytes, FAKE_PINNED));
}

static cudaError_t fake_cudaFreeHost(void *memory)
{
    const cudaError_t chosen = fake_begin("cudaFreeHost", cudaErrorUnknown), capturing = not_while_capturing("cudaFreeHost");
    if (capturing) return capturing;
    fake_finish(fake_queued);
    const cudaError_t error = fake_result(fake_free(memory, FAKE_PINNED));
    return chosen ? chosen : error;
}

/* ---- streams and what is fake_queued ------------------------------------------------------------------------------------- */

bool fake_is_stream(cudaStream_t s, const char *call)
{
    if (s && s->magic == STREAM) return true;
    fake_wrong(call, s ? "no stream that lives" : "the default stream; all work belongs on the device's own");
    return false;
}

typedef struct transfer {
    void *to;
    const void *from;
    size_t bytes;
    int value;
} transfer;

static void run_copy(void *closure)
{
    const transfer *t = closure;
    memmove(t->to, t->from, t->bytes);
}

static void run_set(void *closure)
{
    const transfer *t = closure;
    memset(t->to, t->value, t->bytes);
}

static const char *wrong_side(const void *p, size_t bytes, bool device, bool capturing)
{
    if (device) return fake_on_device(p, bytes) ? NULL : "a side that should be on the device is not within live memory there";
    if (fake_touches(p, bytes, FAKE_DEVICE)) return "a side that should be on the host is on the device";
    if (fake_touches(p, bytes, FAKE_PINNED) && !fake_inside(p, bytes, FAKE_PINNED)) return "it runs over the end of pinned memory";
    if (capturing && !fake_inside(p, bytes, FAKE_PINNED)) return "a graph's copy needs pinned memory";
    return NULL;
}

static cudaError_t fake_cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t s)
{
    BEGIN(cudaErrorInvalidValue);
    if (!fake_is_stream(s, "cudaMemcpyAsync")) return cudaErrorInvalidValue;
    if (kind != cudaMemcpyHostToDevice && kind != cudaMemcpyDeviceToHost && kind != cudaMemcpyDeviceToDevice)
        return fake_wrong("cudaMemcpyAsync", "the direction is not given");
    if (bytes == 0) return cudaSuccess;
    const bool capturing = s->capturing != NULL;
    const char *problem = wrong_side(to, bytes, kind != cudaMemcpyDeviceToHost, capturing);
    if (!problem) problem = wrong_side(from, bytes, kind != cudaMemcpyHostToDevice, capturing);
    if (problem) return fake_wrong("cudaMemcpyAsync", problem);
    const transfer t = { to, from, bytes, 0 };
    fake_submit(s, "cudaMemcpyAsync", run_copy, &t, sizeof t);
    const bool pageable = (kind == cudaMemcpyDeviceToHost && !fake_inside(to, bytes, FAKE_PINNED)) ||
                          (kind == cudaMemcpyHostToDevice && !fake_inside(from, bytes, FAKE_PINNED));
    if (pageable && !capturing) fake_finish(fake_queued); /* such a copy is not asynchronous */
    return cudaSuccess;
}

static cudaError_t fake_cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t s)
{
    BEGIN(cudaErrorInvalidValue);
    if (!fake_is_stream(s, "cudaMemsetAsync")) return cudaErrorInvalidValue;
    if (bytes == 0) return cudaSuccess;
    if (!fake_on_device(to, bytes)) return fake_wrong("cudaMemsetAsync", "not within live memory on the device");
    const transfer t = { to, NULL, bytes, value };
    fake_submit(s, "cudaMemsetAsync", run_set, &t, sizeof t);
    return cudaSuccess;
}

/* ---- the table -------------------------------------------------------------------------------------------------------- */

void fake_runtime_calls(dr_cuda_calls *calls)
{
    calls->cudaGetLastError = fake_cudaGetLastError;
    calls->cudaPeekAtLastError = fake_cudaPeekAtLastError;
    calls->cudaGetErrorName = fake_cudaGetErrorName;
    calls->cudaGetErrorString = fake_cudaGetErrorString;
    calls->cudaGetDeviceCount = fake_cudaGetDeviceCount;
    calls->cudaSetDevice = fake_cudaSetDevice;
    calls->cudaGetDeviceProperties = fake_cudaGetDeviceProperties;
    calls->cudaDriverGetVersion = fake_cudaDriverGetVersion;
    calls->cudaRuntimeGetVersion = fake_cudaRuntimeGetVersion;
    calls->cudaMemGetInfo = fake_cudaMemGetInfo;
    calls->cudaMalloc = fake_cudaMalloc;
    calls->cudaFree = fake_cudaFree;
    calls->cudaHostAlloc = fake_cudaHostAlloc;
    calls->cudaFreeHost = fake_cudaFreeHost;
    calls->cudaMemcpyAsync = fake_cudaMemcpyAsync;
    calls->cudaMemsetAsync = fake_cudaMemsetAsync;
    fake_stream_calls(calls);
}
