/* backend_null.c: a device without memory that computes nothing: shapes, plans and memory use of a network at no cost.
 * Its addresses are numbers that nothing may read through; what is read back is zeros. */
#include <drift/kernel.h>
#include <string.h>

typedef struct {
    uintptr_t next; /* the address that the next allocation gets */
} null;

static dr_status open_null(void *self)
{
    null *p = self;
    p->next = (uintptr_t)1 << 62; /* no memory can be there, on x86-64 and AArch64: a stray access stops the program */
    return DR_OK;
}

static void *allocate(void *self, size_t bytes)
{
    null *p = self;
    const uintptr_t address = p->next, end = UINTPTR_MAX / 2;
    if (bytes > end - address - 64) return NULL;
    p->next = address + (bytes ? (bytes + 63) / 64 * 64 : 64); /* distinct for each allocation, and 64-byte aligned */
    return (void *)address;
}

static void release(void *self, void *memory) { (void)self, (void)memory; }

static dr_status copy(void *self, void *to, const void *from, size_t bytes, dr_copy_kind kind)
{
    (void)self, (void)from;
    if (kind == DR_COPY_TO_HOST && bytes > 0) memset(to, 0, bytes);
    return DR_OK;
}

static dr_status sync(void *self)
{
    (void)self;
    return DR_OK;
}

static void nothing(const dr_kargs *a) { (void)a; }

static dr_kernel kernel(void *self, const char *op, dr_dtype dtype)
{
    (void)self, (void)op, (void)dtype;
    return nothing;
}

static const char *describe(void *self)
{
    (void)self;
    return "shapes only, no memory";
}

DR_BACKEND(null, "Shapes only: no memory, nothing is computed, results read as zeros", NULL,
           .flags = DR_BACKEND_SHAPES_ONLY, .open = open_null, .alloc = allocate, .free = release, .copy = copy,
           .sync = sync, .kernel = kernel, .describe = describe)

DR_PLUGIN("backend_null", "1.0", "A backend that knows shapes and computes nothing")
