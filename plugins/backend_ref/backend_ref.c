/* backend_ref.c: the reference device. Host memory, and the plain loops of kernels/ref: slow and readable, what the
 * other backends' kernels are checked against. */
#include <drift/kernel.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char unused;
} ref;

static void *allocate(void *self, size_t bytes)
{
    (void)self;
    if (bytes > SIZE_MAX - 63) return NULL;
    return aligned_alloc(64, bytes ? (bytes + 63) / 64 * 64 : 64);
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

static const char *describe(void *self)
{
    (void)self;
    return "plain loops in double precision, 1 thread";
}

DR_BACKEND(ref, "The reference: plain loops in double precision; slow", NULL,
           .flags = DR_BACKEND_HOST_MEMORY | DR_BACKEND_ANY_WEIGHT, .alloc = allocate, .free = release, .copy = copy,
           .sync = sync, .kernel = kernel, .describe = describe)

DR_PLUGIN("backend_ref", "1.0", "The reference backend, which the others are checked against")
