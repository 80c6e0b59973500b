/* backend_cpu.c: the processor as a device: host memory, threads by OpenMP, kernels of kernels/cpu, oneDNN. This file
 * is compiled for any processor; the kernels are compiled for that of the build, which is checked before they run. */
#include "cpu_backend.h"
#include "onednn.h"
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const dr_param params[] = {
    DR_INT(cpu, threads, 0, 0, 4096, "threads to use; 0: all cores that the process may run on"), DR_END
};

static dr_status open_device(void *self)
{
    cpu *c = self;
    if (c->threads == 0) c->threads = omp_get_num_procs();
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 20); /* large blocks that are given back go to the system, not to the heap's holes */
#endif
    omp_set_dynamic(0);
    omp_set_num_threads((int)c->threads);
    c->onednn = dr_onednn_open();
    return c->onednn ? DR_OK : dr_failed();
}

static void close_device(void *self)
{
    cpu *c = self;
    dr_onednn_close(c->onednn);
    free(c->workspace);
    c->onednn = NULL;
    c->workspace = NULL;
    c->workspace_bytes = 0;
}

/* Large blocks begin on a 2 MiB page and ask for such pages: fewer page faults, fewer misses of the page table. */
static void *allocate(void *self, size_t bytes)
{
    const size_t huge = (size_t)2 << 20;
    const size_t align = bytes >= 2 * huge ? huge : 64;
    (void)self;
    if (bytes > SIZE_MAX - align) return NULL;
    void *memory = aligned_alloc(align, bytes ? (bytes + align - 1) / align * align : align);
    if (memory && align == huge) (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a hint: the result changes nothing */
    return memory;
}

static void release(void *self, void *memory)
{
    (void)self;
    free(memory);
}

static dr_status copy(void *self, void *to, const void *from, size_t bytes, dr_copy_kind kind)
{
    (void)self, (void)kind; /* all memory is the host's */
    if (bytes > 0) memmove(to, from, bytes);
    return DR_OK;
}

static dr_status sync(void *self)
{
    (void)self; /* kernels are done when they return */
    return DR_OK;
}

static dr_kernel kernel(void *self, const char *op, dr_dtype dtype)
{
    (void)self;
    return dr_kernel_find(op, dtype);
}

static void forget(void *self, const void *memory, size_t bytes)
{
    cpu *c = self;
    if (c->onednn) dr_onednn_forget(c->onednn, memory, bytes);
}

static const char *describe(void *self)
{
    cpu *c = self;
    snprintf(c->text, sizeof c->text, "%s, %s, %lld thread%s, oneDNN %s", dr_cpu_name(), dr_cpu_instruction_set(),
             (long long)c->threads, c->threads == 1 ? "" : "s", dr_onednn_version());
    return c->text;
}

DR_BACKEND(cpu, "The processor: oneDNN and own vector kernels, f32 and bf16", params,
           .flags = DR_BACKEND_HOST_MEMORY | DR_BACKEND_ANY_WEIGHT, .open = open_device, .close = close_device,
           .alloc = allocate, .free = release, .copy = copy, .sync = sync, .kernel = kernel, .describe = describe, .forget = forget)

static dr_status load(void)
{
    const char *missing = dr_cpu_missing_feature();
    if (!missing) return DR_OK;
    return dr_fail(
        DR_EUNSUPPORTED,
        "backend cpu was built for a processor with %s, which this one has not: build again on this machine, or with "
        "-DDRIFT_CPU_MARCH=x86-64-v3",
        missing);
}

DR_PLUGIN_WITH("backend_cpu", "1.0", "The fast CPU backend", load, NULL)
