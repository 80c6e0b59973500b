/* apply.c: an op's way from its name to a kernel.
 *   check inputs -> infer (shapes) -> bring inputs into the layout that kernels want -> allocate outputs -> launch, or
 *   run the composed form where the device has no kernel -> record for backward
 * Where the device has a kernel for f32 but none for bf16 or f16, that one runs on copies in f32. A device without a
 * kernel for an op that has no composed form is an error naming both: nothing is ever computed on another device in
 * silence. */
#include "apply.h"
#include "ops_shape.h"

#include <stdlib.h>
#include <string.h>

enum { MANY = 2048 }; /* inputs of a variadic op: four tensors for each of 500 weights */

static bool force_compose;
static dr_apply_hook hook;
static void *hook_ctx;
static int depth;

void dr_force_compose(bool on) { force_compose = on; }

static const dr_view absent = { .rank = -1 };

static dr_status check_inputs(op_call *c)
{
    const dr_op *op = c->op;
    const char *name = c->component->name;
    const bool variadic = (op->flags & DR_OP_VARIADIC) != 0;
    const int fewest = op->n_in - op->n_optional;
    if (c->n_in < fewest || (!variadic && c->n_in > op->n_in)) {
        return dr_fail(DR_EINVAL, "%s: takes %d inputs%s, got %d", name, fewest, variadic || op->n_optional ? " or more" : "", c->n_in);
    }
    for (int i = 0; i < c->n_in; i++) {
        dr_tensor *t = c->in[i];
        c->view[i] = absent;
        if (!t) {
            if (!variadic && i >= op->n_in - op->n_optional) continue;
            return dr_fail(DR_EINVAL, "%s: input %d is missing", name, i + 1);
        }
        c->view[i] = t->view;
        if ((op->flags & DR_OP_MUTATES) && dr_tensor_is_frozen(t) && !(i == 1 && strcmp(name, "assign") == 0)) {
            return dr_fail(DR_EINVAL, "%s: input %d is a weight as it lies in a file: it cannot be written to", name, i + 1);
        }
        dr_device *d = t->storage->device;
        if (c->device && d != c->device) {
            return dr_fail(DR_EINVAL, "%s: inputs are on %s and on %s; move one with :to()", name, c->device->name, d->name);
        }
        c->device = d;
    }
    if (!c->device) c->device = dr_device_current();
    return c->device ? DR_OK : dr_fail(DR_EINVAL, "%s: no device is open", name);
}

static dr_layout wanted_layout(const dr_op *op, int i)
{
    const int last = op->n_in > 0 ? op->n_in - 1 : 0;
    return (dr_layout)op->in_layout[i < last ? i : last < DR_OP_MAX_IN ? last : DR_OP_MAX_IN - 1];
}

static bool same_shape(const dr_view *a, const dr_view *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)(a->rank > 0 ? a->rank : 0) * sizeof *a->shape) == 0;
}

static dr_tensor *lay_like(dr_tensor *t, const dr_view *like)
{
    dr_view v = t->view;
    memcpy(v.stride, like->stride, sizeof v.stride);
    dr_tensor *copy = dr_tensor_make(t->storage->device, &v);
    return copy && dr_assign(copy, t) == DR_OK ? copy : NULL;
}

static bool same_strides(const dr_view *a, const dr_view *b)
{
    for (int i = 0; i < a->rank; i++) {
        if (a->shape[i] > 1 && a->stride[i] != b->stride[i]) return false;
    }
    return true;
}

/* DENSE: inputs of one shape get the order of axes of the first of them that is dense. */
static const dr_view *dense_like(const op_call *c, int i)
{
    for (int k = 0; k < c->n_in; k++) {
        if (!c->in[k] || wanted_layout(c->op, k) != DR_LAYOUT_DENSE || !same_shape(&c->view[k], &c->view[i])) continue;
        if (dr_view_is(&c->view[k], DR_LAYOUT_DENSE)) return &c->view[k];
    }
    return NULL;
}

/* Where none is, a copy keeps its own order: some channels of a channels-last image stay channels-last. */
static dr_view packed(const dr_view *v)
{
    dr_view dense = *v;
    bool used[DR_MAX_RANK] = { false };
    int64_t stride = 1;
    for (int k = 0; k < v->rank; k++) {
        int axis = -1; /* of the smallest stride; the last one of equals */
        for (int i = v->rank - 1; i >= 0; i--) {
            if (!used[i] && (axis < 0 || v->stride[i] < v->stride[axis])) axis = i;
        }
        used[axis] = true;
        dense.stride[axis] = stride;
        if (v->shape[axis] > 0) stride *= v->shape[axis];
    }
    return dense;
}

static dr_tensor *relaid(const op_call *c, int i)
{
    dr_tensor *t = c->in[i];
    const dr_layout want = wanted_layout(c->op, i);
    if (want != DR_LAYOUT_DENSE && dr_view_is(&t->view, want)) return t;
    if (want != DR_LAYOUT_DENSE) return dr_contiguous(t, want == DR_LAYOUT_PIXELS ? DR_LAYOUT_CL : want);
    const dr_view *like = c->n_in <= DR_OP_MAX_IN ? dense_like(c, i) : NULL;
    if (like) return same_strides(&t->view, like) ? t : lay_like(t, like);
    if (dr_view_is(&t->view, DR_LAYOUT_DENSE)) return t;
    const dr_view own = packed(&t->view);
    return lay_like(t, &own);
}

static dr_status lay_inputs(op_call *c)
{
    for (int i = 0; i < c->n_in; i++) {
        if (!c->in[i]) continue;
        dr_tensor *t = relaid(c, i);
        if (!t) return dr_failed();
        if (t != c->in[i] && (c->op->flags & DR_OP_MUTATES)) {
            char text[128];
            return dr_fail(DR_EINVAL, "%s: writes in place and needs dense memory, got a strided view %s", c->component->name,
                           dr_view_text(&c->view[i], text, sizeof text));
        }
        c->in[i] = t;
        c->view[i] = t->view;
    }
    return DR_OK;
}

/* ANY: as the first input of the same shape, if that is channels-last, and row-major otherwise. */
static void lay_output(const op_call *c, int j, dr_view *v)
{
    dr_layout layout = (dr_layout)c->op->out_layout[j];
    if (layout == DR_LAYOUT_INFER) return;
    if (layout == DR_LAYOUT_DENSE) {
        for (int i = 0; i < c->n_in; i++) {
            if (c->in[i] && same_shape(v, &c->view[i]) && dr_view_is(&c->view[i], DR_LAYOUT_DENSE)) {
                memcpy(v->stride, c->view[i].stride, sizeof v->stride);
                return;
            }
        }
        for (int i = 0; i < c->n_in; i++) { /* one with holes lends its order of axes */
            if (!c->in[i] || !same_shape(v, &c->view[i])) continue;
            const dr_view own = packed(&c->view[i]);
            memcpy(v->stride, own.stride, sizeof v->stride);
            return;
        }
        layout = DR_LAYOUT_ROW;
    }
    if (layout == DR_LAYOUT_ANY) {
        layout = DR_LAYOUT_ROW;
        for (int i = 0; i < c->n_in && v->rank == 4; i++) {
            if (!c->in[i] || !same_shape(v, &c->view[i])) continue;
            if (!dr_view_is(&c->view[i], DR_LAYOUT_ROW) && dr_view_is(&c->view[i], DR_LAYOUT_CL)) layout = DR_LAYOUT_CL;
            break;
        }
    }
    dr_view_lay(v, layout);
}

static dr_status make_view(op_call *c)
{
    int64_t offset = 0;
    dr_status status = c->op->infer(c->view, c->n_in, c->attr, c->out_view, &offset);
    if (status == DR_OK && offset < 0) { /* not possible on these strides: on a row-major copy it is */
        c->in[0] = dr_contiguous(c->in[0], DR_LAYOUT_ROW);
        if (!c->in[0]) return dr_failed();
        c->view[0] = c->in[0]->view;
        offset = 0;
        status = c->op->infer(c->view, c->n_in, c->attr, c->out_view, &offset);
    }
    if (status != DR_OK) return status;
    if (offset < 0) return dr_fail(DR_EINTERNAL, "%s: no view of a row-major tensor", c->component->name);
    dr_view *v = &c->out_view[0];
    v->data = (char *)c->in[0]->view.data + (size_t)offset * dr_dtype_size((dr_dtype)v->dtype);
    c->out[0] = dr_tensor_wrap(v, c->in[0]->storage);
    return c->out[0] ? DR_OK : dr_failed();
}

static uint64_t frozen_inputs(const op_call *c)
{
    uint64_t bits = 0;
    for (int i = 0; i < c->n_in && i < 64; i++) bits |= (uint64_t)(c->in[i] && dr_tensor_is_frozen(c->in[i])) << i;
    return bits;
}

static dr_status launch(op_call *c, dr_kernel kernel) /* inputs and out_view are laid out */
{
    for (int j = 0; j < c->op->n_out; j++) {
        c->out[j] = dr_tensor_make(c->device, &c->out_view[j]);
        if (!c->out[j]) return dr_failed();
        c->out_view[j] = c->out[j]->view;
    }
    const dr_launch launch = {
        .kernel = kernel,
        .device = c->device,
        .attr_size = c->component->self_size,
        .component = c->component,
        .in = c->in,
        .out = c->out,
        .args = { .size = sizeof(dr_kargs), .n_in = c->n_in, .n_out = c->op->n_out, .in = c->view, .out = c->out_view,
                  .attr = c->attr, .backend = c->device->self, .op = c->component->name, .frozen = frozen_inputs(c) },
    };
    return dr_launch_kernel(&launch);
}

static dr_status lay(op_call *c)
{
    if (lay_inputs(c) != DR_OK) return dr_failed();
    for (int j = 0; j < c->op->n_out; j++) lay_output(c, j, &c->out_view[j]);
    return DR_OK;
}

static dr_status run_kernel(op_call *c, dr_kernel kernel) { return lay(c) == DR_OK ? launch(c, kernel) : dr_failed(); }

/* The kernel for f32 on copies of half inputs; half results are rounded. The copies die with the call, and the tape
 * keeps the half inputs. */
static dr_status run_in_f32(op_call *c, dr_kernel kernel)
{
    if (lay(c) != DR_OK) return dr_failed();
    op_call wide = *c;
    wide.in = malloc((size_t)(c->n_in + 1) * sizeof *wide.in);
    wide.view = malloc((size_t)(c->n_in + 1) * sizeof *wide.view);
    dr_status status = wide.in && wide.view ? DR_OK : dr_fail(DR_ENOMEM, "%s: out of memory", c->component->name);
    for (int i = 0; i < c->n_in && status == DR_OK; i++) {
        const bool half = c->in[i] && dr_is_half(c->view[i].dtype);
        wide.in[i] = half ? dr_cast(c->in[i], DR_F32) : c->in[i];
        wide.view[i] = wide.in[i] ? wide.in[i]->view : c->view[i];
        status = dr_failed();
    }
    for (int j = 0; j < c->op->n_out; j++) {
        if (dr_is_half(c->out_view[j].dtype)) wide.out_view[j].dtype = DR_F32;
    }
    if (status == DR_OK) status = launch(&wide, kernel);
    for (int j = 0; j < c->op->n_out && status == DR_OK; j++) {
        const bool half = dr_is_half(c->out_view[j].dtype);
        c->out[j] = half ? dr_cast(wide.out[j], (dr_dtype)c->out_view[j].dtype) : wide.out[j];
        status = dr_failed();
    }
    free(wide.in);
    free(wide.view);
    return status;
}

static dr_status run(op_call *c)
{
    const dr_op *op = c->op;
    if (op->flags & DR_OP_VIEW) return make_view(c);
    int64_t offset = 0;
    if (dr_call_widen_frozen(c) != DR_OK) return dr_failed();
    if (op->infer(c->view, c->n_in, c->attr, c->out_view, &offset) != DR_OK || dr_failed()) return dr_failed();
    if ((op->flags & DR_OP_ONE_DTYPE) && dr_call_unify_dtypes(c) != DR_OK) return dr_failed();
    if ((op->flags & DR_OP_ANY_WEIGHT) && dr_call_widen_weight(c) != DR_OK) return dr_failed();
    dr_call_choose_dtype(c);
    const bool composed = op->compose && c->compose;
    dr_kernel kernel = composed ? NULL : dr_device_kernel(c->device, c->component->name, c->dtype);
    if (kernel) return run_kernel(c, kernel);
    const bool widens = !composed && dr_is_half((int32_t)c->dtype) && !(op->flags & DR_OP_MUTATES);
    if (widens) kernel = dr_device_kernel(c->device, c->component->name, DR_F32);
    if (kernel) return run_in_f32(c, kernel);
    if (op->compose) {
        if (op->compose(c->in, c->n_in, c->attr, c->out) != DR_OK || dr_failed()) return dr_failed();
        return c->out[0] || op->n_out == 0 ? DR_OK : dr_fail(DR_EINTERNAL, "%s: its composed form made no output", c->component->name);
    }
    return dr_fail(DR_EUNSUPPORTED, "%s: device %s has no kernel for %s", c->component->name, c->device->name, dr_dtype_name(c->dtype));
}

/* A composed form that gives its input itself gives it under a name of its own: else a leaf would be what it leads to. */
static void tell_apart(op_call *c, dr_tensor *const *in)
{
    for (int j = 0; j < c->op->n_out; j++) {
        for (int i = 0; i < c->n_in && c->out[j]; i++) {
            if (c->out[j] == in[i]) c->out[j] = dr_detach(c->out[j]);
        }
    }
}

/* Records the op itself if it has a backward; one without is recorded through the ops that compose it. */
static dr_status run_recorded(op_call *c, dr_tensor *const *in)
{
    const dr_op *op = c->op;
    const bool wanted = !(op->flags & (DR_OP_NONDIFF | DR_OP_MUTATES)) && dr_tape_wants(in, c->n_in);
    if (wanted && !op->backward) {
        c->compose = true; /* its gradient is that of its parts, so the parts must run */
        return run(c);
    }
    const bool recording = dr_grad_mode(false);
    dr_status status = run(c);
    if (status == DR_OK) status = dr_call_widen_picked(c);
    if (status == DR_OK && wanted) tell_apart(c, in);
    dr_grad_mode(recording);
    if (status == DR_OK && wanted) dr_tape_record(c->component, c->attr, in, c->in, c->n_in, c->out, op->n_out);
    return dr_failed();
}

void dr_set_apply_hook(dr_apply_hook h, void *ctx)
{
    hook = h;
    hook_ctx = ctx;
}

bool dr_apply_is_hooked(void) { return hook != NULL; }

/* depth: of ops within others' composed forms, and of what the hook itself does. */
static dr_status tell_hook(const op_call *c, dr_tensor *const *in)
{
    if (!hook || depth > 0 || (c->op->flags & DR_OP_VIEW)) return DR_OK;
    depth++;
    hook(hook_ctx, c->component, in, c->n_in, c->out, c->op->n_out);
    depth--;
    return dr_failed();
}

dr_status dr_apply(const char *name, dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    if (dr_failed()) return dr_failed();
    const dr_component *component = dr_component_find("op", name);
    if (!component) return dr_failed();
    if (n_in < 0 || n_in > MANY) return dr_fail(DR_EINVAL, "%s: %d inputs; at most %d", name, n_in, MANY);
    dr_tensor *few_in[DR_OP_MAX_IN] = { NULL }, *few_given[DR_OP_MAX_IN] = { NULL };
    dr_view few_view[DR_OP_MAX_IN];
    const bool many = n_in > DR_OP_MAX_IN;
    op_call c = { .component = component, .op = component->iface, .attr = attr, .n_in = n_in, .in = few_in, .view = few_view,
               .compose = force_compose };
    if (many) {
        c.in = malloc((size_t)n_in * sizeof *c.in);
        c.view = malloc((size_t)n_in * sizeof *c.view);
        if (!c.in || !c.view) {
            free(c.in);
            free(c.view);
            return dr_fail(DR_ENOMEM, "%s: out of memory for %d inputs", name, n_in);
        }
    }
    if (n_in > 0) memcpy(c.in, in, (size_t)n_in * sizeof *c.in);
    if (!many && c.op->n_in > n_in && n_in >= c.op->n_in - c.op->n_optional) { /* optional inputs left off are absent ones */
        if (n_in > 0) memcpy(few_given, in, (size_t)n_in * sizeof *in);
        in = few_given;
        c.n_in = c.op->n_in;
    }
    dr_status status = check_inputs(&c);
    if (status == DR_OK) {
        dr_device *const before = dr_device_current();
        dr_device_use(c.device); /* what a composed form makes lies beside its inputs */
        dr_scope_open();         /* copies made on the way die here */
        depth++;
        status = run_recorded(&c, in);
        depth--;
        for (int j = 0; j < c.op->n_out; j++) c.out[j] = status == DR_OK ? dr_escape(c.out[j]) : NULL;
        dr_scope_close();
        dr_device_use(before);
        if (status == DR_OK) status = tell_hook(&c, in);
    }
    for (int j = 0; out && j < c.op->n_out; j++) out[j] = c.out[j];
    if (many) {
        free(c.in);
        free(c.view);
    }
    return status;
}

dr_tensor *dr_apply1(const char *op, dr_tensor *const *in, int n_in, const void *attr)
{
    dr_tensor *out[DR_OP_MAX_OUT] = { NULL };
    return dr_apply(op, in, n_in, attr, out) == DR_OK ? out[0] : NULL;
}
