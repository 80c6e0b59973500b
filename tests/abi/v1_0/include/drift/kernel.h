/* kernel.h: what a kernel's file includes. A kernel reads and writes the views of its dr_kargs and nothing else; it is
 * found by op name and dtype:   DR_KERNEL(conv2d, DR_F32, conv2d_f32)   at the end of the file. That is for a backend's own
 * plugin; others bring kernels for a backend by its name:   DR_DEVICE_KERNEL(cpu, my_op, DR_F32, my_op_f32) */
#ifndef DRIFT_KERNEL_H
#define DRIFT_KERNEL_H

#ifdef __cplusplus /* CUDA C: the views and attributes; the host's functions are for C */
extern "C" {
#include <drift/abi.h>
#include <drift/kinds.h>
#include <drift/attributes.h>
}
#else
#include <drift/plugin.h>
#endif

static inline void *dr_in(const dr_kargs *a, int i) { return a->in[i].data; } /* NULL: an optional input that is absent */
static inline void *dr_out(const dr_kargs *a, int i) { return a->out[i].data; }

static inline int64_t dr_numel(const dr_view *v)
{
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->shape[i];
    return n;
}

/* DR_LAYOUT_PIXELS, rank 4: elements from a pixel to the next one. */
static inline int64_t dr_pixel_pitch(const dr_view *v)
{
    if (v->shape[3] > 1) return v->stride[3];
    if (v->shape[2] > 1) return v->stride[2];
    return v->shape[0] > 1 ? v->stride[0] : v->shape[1];
}

typedef struct dr_kernel_entry {
    const char *op;
    int32_t dtype; /* dr_dtype; -1: any */
    dr_kernel fn;
} dr_kernel_entry;

#define DR_KERNEL(op_, dtype_, function) \
    static const dr_kernel_entry dr_kernel_##op_##_##dtype_ = { #op_, dtype_, function }; \
    static const dr_kernel_entry *const dr_kernel_entry_##op_##_##dtype_ __attribute__((used, section("dr_kernels"))) = \
        &dr_kernel_##op_##_##dtype_;

enum { DR_ANY_DTYPE = -1 };

/* For an op of this plugin, or one that the backend only has composed. The host calls it as the backend's own, with the
 * backend's self in a->backend. */
#define DR_DEVICE_KERNEL(backend_, op_, dtype_, function) \
    static const dr_brought_kernel dr_device_kernel_##backend_##_##op_##_##dtype_ = { sizeof(dr_brought_kernel), #backend_, #op_, dtype_, \
                                                                                      function }; \
    static const dr_brought_kernel *const dr_device_kernel_entry_##backend_##_##op_##_##dtype_ \
        __attribute__((used, section("dr_device_kernels"))) = &dr_device_kernel_##backend_##_##op_##_##dtype_;

extern const dr_kernel_entry *const __start_dr_kernels[] __attribute__((weak, visibility("hidden")));
extern const dr_kernel_entry *const __stop_dr_kernels[] __attribute__((weak, visibility("hidden")));

/* The lookup that a backend's .kernel uses; the host asks once per op and dtype and remembers. */
static inline dr_kernel dr_kernel_find(const char *op, dr_dtype dtype)
{
    for (const dr_kernel_entry *const *e = __start_dr_kernels; e < __stop_dr_kernels; e++) {
        if (((*e)->dtype == (int32_t)dtype || (*e)->dtype == DR_ANY_DTYPE) && __builtin_strcmp((*e)->op, op) == 0) return (*e)->fn;
    }
    return NULL;
}

#endif
