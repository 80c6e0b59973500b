/* A backend for tests: ref's kernels, but the kernel of one op gives a result that is too large by one part in a hundred
 * (or `share` of it), from its nth call on. drift diff-devices has to find it. */
#include <drift/kernel.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *op;
    double share;
    int64_t from;
    int64_t calls;
} crooked;

static const dr_param params[] = {
    DR_STRING(crooked, op, "none", "whose kernel is wrong"),
    DR_REAL(crooked, share, 0.01, 0.0, 1.0, "by how much"),
    DR_INT(crooked, from, 1, 1, 1000000, "the first call that is"),
    DR_END
};

static void *allocate(void *self, size_t bytes)
{
    (void)self;
    return aligned_alloc(64, (bytes + 64) / 64 * 64);
}

static void release(void *self, void *memory)
{
    (void)self;
    free(memory);
}

static dr_status copy(void *self, void *to, const void *from, size_t bytes, dr_copy_kind kind)
{
    (void)self, (void)kind;
    if (bytes > 0) memmove(to, from, bytes);
    return DR_OK;
}

static void spoilt(const dr_kargs *a)
{
    crooked *c = a->backend;
    dr_kernel_find(a->op, DR_F32)(a);
    if (++c->calls < c->from) return;
    dr_view *y = a->n_out > 0 ? &a->out[0] : &a->in[a->n_in > 1 ? 1 : 0]; /* an optimizer's first weight */
    float *v = y->data;
    for (int64_t i = 0; i < dr_numel(y); i++) v[i] *= 1.0f + (float)c->share;
}

static dr_kernel kernel(void *self, const char *op, dr_dtype dtype)
{
    const dr_kernel right = dr_kernel_find(op, dtype);
    return right && dtype == DR_F32 && strcmp(op, ((crooked *)self)->op) == 0 ? spoilt : right;
}

DR_BACKEND(crooked, "ref with one kernel that is wrong", params, .flags = DR_BACKEND_HOST_MEMORY, .alloc = allocate,
           .free = release, .copy = copy, .kernel = kernel)

DR_PLUGIN("crooked", "1.0", "A backend with a wrong kernel")
