/* my_backend.c: a device that looks at every result: the first kernel that makes a NaN or an infinity is an error.
 *   Kernels and memory are those of another device (ref), called through this one. Which op of a training first went
 *   wrong is then in the message:  drift run script.lua --device my_backend */
#include <drift/kernel.h>
#include <math.h>

/* Parameters: each is a field here and a row below; on the command line they follow the name: --device my_backend,most=10. */
typedef struct {
    dr_instance *inner;
    double most;
} my_backend;

static const dr_param params[] = {
    DR_COMPONENT_PARAM(my_backend, inner, "backend:ref", "the device that does the work; in the host's memory, one queue"),
    DR_REAL(my_backend, most, 1e30, 0, 1e300, "a value further from 0 than this is an error as well"),
    DR_END
};

static const dr_backend *api_of(void *self) { return ((my_backend *)self)->inner->iface; }
static void *self_of(void *self) { return ((my_backend *)self)->inner->self; }

/* Called once before anything else. */
static dr_status open_inner(void *self)
{
    const dr_backend *api = api_of(self);
    if (!(api->flags & DR_BACKEND_HOST_MEMORY)) {
        return dr_fail(DR_EUNSUPPORTED, "backend my_backend: inner's memory cannot be read by the host; ref's can");
    }
    return api->open ? api->open(self_of(self)) : DR_OK;
}

static void close_inner(void *self)
{
    if (api_of(self)->close) api_of(self)->close(self_of(self));
}

/* Memory: 64-byte aligned at least; NULL means out of memory. The host caches what is freed. */
static void *allocate(void *self, size_t bytes) { return api_of(self)->alloc(self_of(self), bytes); }
static void release(void *self, void *memory) { api_of(self)->free(self_of(self), memory); }

/* Returns when done. Two devices' memory never meet: the host copies through its own. */
static dr_status copy(void *self, void *to, const void *from, size_t bytes, dr_copy_kind kind)
{
    return api_of(self)->copy(self_of(self), to, from, bytes, kind);
}

static dr_status sync(void *self) { return api_of(self)->sync ? api_of(self)->sync(self_of(self)) : DR_OK; }

/* The dtype by which the host chose the kernel: the first floating input's, else the output's. */
static int32_t dtype_of(const dr_kargs *a)
{
    for (int i = 0; i < a->n_in; i++) {
        if (a->in[i].rank >= 0 && a->in[i].dtype <= DR_F16) return a->in[i].dtype;
    }
    return a->n_out > 0 ? a->out[0].dtype : DR_F32;
}

/* f32 only, as that is what networks are trained in. Outputs are dense: their elements lie side by side. */
static void look_at(const dr_kargs *a, double most)
{
    for (int k = 0; k < a->n_out; k++) {
        const float *y = a->out[k].dtype == DR_F32 ? a->out[k].data : NULL;
        for (int64_t i = 0, n = y ? dr_numel(&a->out[k]) : 0; i < n; i++) {
            if (fabs((double)y[i]) <= most) continue; /* false for a NaN as well */
            dr_fail(DR_EINTERNAL, "%s: element %lld of output %d is %g", a->op, (long long)i, k, (double)y[i]);
            return;
        }
    }
}

/* One kernel for all ops. A backend with kernels of its own puts each into a function of this type, ends its file with
 * DR_KERNEL(op, DR_F32, function), and looks them up with dr_kernel_find(op, dtype) in `kernel` below. */
static void run_and_look(const dr_kargs *a)
{
    my_backend *p = a->backend;
    const dr_backend *api = p->inner->iface;
    dr_kernel inner = api->kernel(p->inner->self, a->op, (dr_dtype)dtype_of(a));
    if (!inner) inner = api->kernel(p->inner->self, a->op, DR_F32);
    dr_kargs args = *a;
    args.backend = p->inner->self;
    inner(&args);
    if (dr_failed() == DR_OK) look_at(a, p->most);
}

/* NULL: no such kernel; the op's composed form runs instead. Asked once per op and dtype. */
static dr_kernel kernel(void *self, const char *op, dr_dtype dtype)
{
    return api_of(self)->kernel(self_of(self), op, dtype) ? run_and_look : NULL;
}

static const char *describe(void *self)
{
    (void)self;
    return "another device, every result of which is looked at";
}

DR_BACKEND(my_backend, "Looks at every result: NaN and infinity are errors", params,
           .flags = DR_BACKEND_HOST_MEMORY | DR_BACKEND_ANY_WEIGHT, .open = open_inner, .close = close_inner,
           .alloc = allocate, .free = release, .copy = copy, .sync = sync, .kernel = kernel, .describe = describe)
