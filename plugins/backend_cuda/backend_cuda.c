/* backend_cuda.c: an NVIDIA GPU as a device: its memory, one stream on which all work is queued in order, kernels of
 * kernels/cuda, cuDNN, cuBLASLt. Copies to the device leave from pinned memory (upload.c), so that the host goes on;
 * copies to the host wait. Environment: DRIFT_SYNC=1 waits after each launch, so that an error names its kernel. */
#include "cuda_graph.h"
#include "libraries.h"
#include "upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const dr_param params[] = {
    DR_INT(cuda, index, 0, 0, 1023, "which device; drift devices lists them"),
    DR_BOOL(cuda, deterministic, 1, "only engines and kernels whose results do not change from run to run"),
    DR_BOOL(cuda, tf32, 0, "products and convolutions of f32 may round their factors to 10 bits (TF32)"),
    DR_BOOL(cuda, batch_invariant, 0, "an image's bits do not depend on its batch: no library chooses by it; slower"),
    DR_END
};

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static dr_status find_device(cuda *c)
{
    int n = 0, driver = 0, runtime = 0;
    const cudaError_t error = c->calls->cudaGetDeviceCount(&n);
    c->calls->cudaDriverGetVersion(&driver);
    c->calls->cudaRuntimeGetVersion(&runtime);
    if (error == cudaErrorInsufficientDriver && driver == 0) {
        return dr_fail(DR_EUNSUPPORTED, "backend cuda: this machine has no NVIDIA driver (libcuda.so.1)");
    }
    if (error == cudaErrorInsufficientDriver) {
        return dr_fail(DR_EUNSUPPORTED, "backend cuda: the driver knows CUDA %d.%d, this build needs %d.%d: install a newer driver",
                       driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    }
    if (error == cudaErrorNoDevice || (error == cudaSuccess && n == 0)) {
        return dr_fail(DR_EUNSUPPORTED, "backend cuda: no NVIDIA GPU can be seen (CUDA_VISIBLE_DEVICES hides some)");
    }
    if (error != cudaSuccess) return dr_cuda_error(c, error, "backend cuda: looking for devices");
    if (c->index < n) return DR_OK;
    return dr_fail(DR_EINVAL, "backend cuda: there is no cuda:%lld; this machine has cuda:0%s%.0d: see drift devices",
                   (long long)c->index, n > 1 ? " to cuda:" : "", n - 1);
}

static void say_device(const struct cudaDeviceProp *p, char *text, size_t bytes)
{
    snprintf(text, bytes, "%.200s, compute capability %d.%d, %.0f GiB", p->name, p->major, p->minor,
             (double)p->totalGlobalMem / 1073741824.0);
}

static dr_status ask_properties(cuda *c)
{
    struct cudaDeviceProp p;
    if (dr_cuda_error(c, c->calls->cudaSetDevice((int)c->index), "backend cuda: choosing the device") != DR_OK) return dr_failed();
    if (dr_cuda_error(c, c->calls->cudaGetDeviceProperties(&p, (int)c->index), "backend cuda: its properties") != DR_OK)
        return dr_failed();
    c->major = p.major;
    c->minor = p.minor;
    c->multiprocessors = p.multiProcessorCount;
    c->shared_per_block = p.sharedMemPerBlockOptin;
    say_device(&p, c->text, sizeof c->text);
    if (p.major >= 8) return DR_OK;
    return dr_fail(DR_EUNSUPPORTED, "backend cuda: %s has compute capability %d.%d; Drift needs 8.0 (Ampere) or newer", p.name,
                   p.major, p.minor);
}

static dr_status make_ready(cuda *c)
{
    const dr_cuda_calls *f = c->calls;
    void *memory = NULL;
    if (dr_cuda_error(c, f->cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "backend cuda: its stream") != DR_OK)
        return dr_failed();
    if (dr_cuda_error(c, f->cudaHostAlloc(&memory, sizeof *c->complaint, cudaHostAllocPortable | cudaHostAllocMapped),
                      "backend cuda: pinned memory") != DR_OK)
        return dr_failed();
    c->complaint = memset(memory, 0, sizeof *c->complaint);
    memory = NULL;
    const size_t words = 256 + DR_CUDA_LANES * DR_ARRIVALS * sizeof *c->arrivals; /* the sample's word, then counters */
    if (dr_cuda_error(c, f->cudaMalloc(&memory, words), "backend cuda") != DR_OK) return dr_failed();
    c->sample = memory;
    c->arrivals = (uint32_t *)memory + 64;
    if (dr_cuda_error(c, f->cudaMemsetAsync(memory, 0, words, c->stream), "backend cuda") != DR_OK) return dr_failed();
    c->upload = dr_cuda_upload_open(c);
    c->cublaslt = c->upload ? dr_cublaslt_open(c) : NULL;
    c->cudnn = c->cublaslt ? dr_cudnn_open(c) : NULL;
    return c->cudnn ? DR_OK : dr_failed();
}

static void close_device(void *self)
{
    cuda *c = self;
    const dr_cuda_calls *f = c->calls;
    if (!f) return;
    if (c->stream && !c->lost) f->cudaStreamSynchronize(c->stream);
    dr_cudnn_close(c->cudnn);
    dr_cublaslt_close(c->cublaslt);
    dr_cuda_upload_close(c->upload);
    dr_cuda_free_kept(c);
    for (int i = 0; i < DR_CUDA_LANES; i++) {
        if (c->workspace[i]) f->cudaFree(c->workspace[i]);
        if (i > 0 && c->lanes[i]) f->cudaStreamDestroy(c->lanes[i]);
    }
    if (c->sample) f->cudaFree(c->sample);
    if (c->complaint) f->cudaFreeHost(c->complaint);
    if (c->stream) f->cudaStreamDestroy(c->stream);
    c->calls = NULL;
}

static dr_status open_device(void *self)
{
    cuda *c = self;
    const char *sync = getenv("DRIFT_SYNC");
    dr_cuda_calls *table = dr_cuda_calls_table();
    c->calls = table;
    c->sync = sync && *sync && strcmp(sync, "0") != 0;
    if (find_device(c) == DR_OK && ask_properties(c) == DR_OK && dr_cuda_open_libraries(table) == DR_OK &&
        make_ready(c) == DR_OK)
        return DR_OK;
    close_device(c);
    return dr_failed();
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static dr_status lost(const cuda *c)
{
    return dr_fail(DR_EINTERNAL, "cuda:%lld has failed before and takes no more work; start again", (long long)c->index);
}

static void *allocate(void *self, size_t bytes)
{
    cuda *c = self;
    void *memory = NULL;
    if (c->lost) return NULL;
    if (c->calls->cudaMalloc(&memory, bytes ? bytes : 1) == cudaSuccess) return memory;
    (void)c->calls->cudaGetLastError(); /* no memory: the host says so, or makes room and asks again */
    return NULL;
}

/* cudaFree waits for what is queued, so that nothing still reads it. */
static void release(void *self, void *memory)
{
    cuda *c = self;
    c->calls->cudaFree(memory);
}

static dr_status wait(cuda *c, const char *what)
{
    if (dr_cuda_error(c, c->calls->cudaStreamSynchronize(c->stream), what) != DR_OK) return dr_failed();
    return dr_cuda_read_complaint(c);
}

static dr_status copy(void *self, void *to, const void *from, size_t bytes, dr_copy_kind kind)
{
    cuda *c = self;
    if (bytes == 0) return DR_OK;
    if (c->lost) return lost(c);
    switch (kind) {
    case DR_COPY_TO_DEVICE: return dr_cuda_upload_copy(c->upload, to, from, bytes);
    case DR_COPY_ON_DEVICE:
        return dr_cuda_error(c, c->calls->cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, c->stream),
                             "a copy on the device");
    case DR_COPY_TO_HOST: break;
    }
    if (dr_cuda_error(c, c->calls->cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, c->stream), "a copy to the host") != DR_OK)
        return dr_failed();
    return wait(c, "a copy to the host");
}

static dr_status sync(void *self)
{
    cuda *c = self;
    return c->lost ? lost(c) : wait(c, "waiting for the device");
}

/* ---- kernels, and what there is ----------------------------------------------------------------------------------- */

static dr_kernel kernel(void *self, const char *op, dr_dtype dtype)
{
    (void)self;
    return dr_kernel_find(op, dtype);
}

static const char *describe(void *self)
{
    return ((cuda *)self)->text;
}

static dr_status list_devices(int64_t index, char *text, size_t bytes)
{
    const dr_cuda_calls *f = dr_cuda_calls_table();
    struct cudaDeviceProp p;
    int n = 0;
    if (f->cudaGetDeviceCount(&n) != cudaSuccess || index >= n) return DR_ENOTFOUND;
    if (f->cudaGetDeviceProperties(&p, (int)index) != cudaSuccess) return DR_ENOTFOUND;
    say_device(&p, text, bytes);
    return DR_OK;
}

DR_BACKEND(cuda, "An NVIDIA GPU: cuDNN, cuBLASLt and own kernels, f32, TF32 and bf16", params,
           .flags = DR_BACKEND_KEEPS_RESULTS, .open = open_device, .close = close_device, .alloc = allocate, .free = release, .copy = copy, .sync = sync, .kernel = kernel,
           .describe = describe, .graph_begin = dr_cuda_graph_begin, .graph_end = dr_cuda_graph_end,
           .graph_step = dr_cuda_graph_step,
           .graph_launch = dr_cuda_graph_launch, .graph_free = dr_cuda_graph_free, .read_begin = dr_cuda_read_begin,
           .read_end = dr_cuda_read_end, .list = list_devices)

DR_PLUGIN("backend_cuda", "1.0", "The CUDA backend")
