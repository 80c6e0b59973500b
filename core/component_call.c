/* component_call.c: what the host holds every call of a component to, in one place. Around the call stand dr_component_enter
 * and dr_component_leave (of a status) or dr_component_result (of a tensor):
 *   a failure has a message; a status is one; nothing comes back only after a failure;
 *   scopes are as they were: one left open is closed, one of the host's cannot be closed;
 *   a result has the shape that was promised.
 * The message names kind, component and function: "guidance twice: eval gave f32[2,1,4,5], where x is f32[2,1,4,4]". */
#include "registry.h"
#include "tensor.h"

#include <math.h>
#include <string.h>

static int kind_length(const dr_component *c) { return (int)strcspn(c->kind, "/"); }

dr_component_call dr_component_enter(const dr_component *c, const char *what)
{
    const int depth = dr_scope_depth(); /* 0 on other threads, which have no scopes */
    return (dr_component_call){ .component = c, .what = what, .depth = depth, .floor = depth > 0 ? dr_scope_fence(depth) : 0 };
}

/* y, if it lies in a scope that is closed here, ends up in the one that was current before. */
static void settle_scopes(const dr_component_call *call, dr_tensor *y)
{
    const dr_component *c = call->component;
    if (call->depth == 0) return;
    const int left_open = dr_scope_depth() - call->depth;
    const bool refused = dr_scope_refused();
    for (int i = 0; i < left_open; i++) {
        if (!dr_failed()) dr_escape(y);
        dr_scope_close();
    }
    dr_scope_fence(call->floor);
    if (refused) {
        dr_fail(DR_EINTERNAL, "%.*s %s: %s closed a scope that it had not opened: dr_scope_close once too often", kind_length(c), c->kind,
                c->name, call->what);
    } else if (left_open > 0) {
        dr_fail(DR_EINTERNAL, "%.*s %s: %s left %d scope%s open: dr_scope_close is missing", kind_length(c), c->kind, c->name, call->what,
                left_open, left_open == 1 ? "" : "s");
    }
}

dr_status dr_component_leave(const dr_component_call *call, dr_status status)
{
    const dr_component *c = call->component;
    settle_scopes(call, NULL);
    if (dr_failed()) return dr_failed();
    if (status == DR_OK) return DR_OK;
    if ((unsigned)status > DR_EINTERNAL) {
        return dr_fail(DR_EINTERNAL, "%.*s %s: %s returned %d, which is no status", kind_length(c), c->kind, c->name, call->what, (int)status);
    }
    return dr_fail(status, "%.*s %s: %s failed and did not say why (%s)", kind_length(c), c->kind, c->name, call->what, dr_status_name(status));
}

static bool is_float(int32_t dtype) { return dtype == DR_F32 || dtype == DR_F64 || dtype == DR_BF16 || dtype == DR_F16; }

static bool is_alike(const dr_view *a, const dr_view *b)
{
    const bool types = a->dtype == b->dtype || (is_float(a->dtype) && is_float(b->dtype)); /* networks may compute in halves */
    return types && a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

dr_tensor *dr_component_result(const dr_component_call *call, dr_tensor *y, dr_tensor *like)
{
    const dr_component *c = call->component;
    settle_scopes(call, y);
    if (dr_failed()) return NULL;
    if (!y) {
        dr_fail(DR_EINTERNAL, "%.*s %s: %s gave nothing and did not say why", kind_length(c), c->kind, c->name, call->what);
        return NULL;
    }
    const dr_view *is = dr_tensor_view(y), *wanted = dr_tensor_view(like);
    if (!wanted || is_alike(is, wanted)) return y;
    char a[128], b[128];
    dr_fail(DR_ESHAPE, "%.*s %s: %s gave %s, where it was given %s", kind_length(c), c->kind, c->name, call->what,
            dr_view_text(is, a, sizeof a), dr_view_text(wanted, b, sizeof b));
    return NULL;
}

double dr_component_number(const dr_component_call *call, double value)
{
    const dr_component *c = call->component;
    settle_scopes(call, NULL);
    if (!isfinite(value) && !dr_failed()) {
        dr_fail(DR_EINTERNAL, "%.*s %s: %s gave %g", kind_length(c), c->kind, c->name, call->what, value);
    }
    return value;
}

/* ---- components that other components hold, for api.def ------------------------------------------------------------- */

double dr_schedule_beta(const dr_instance *s, int64_t i, int64_t T)
{
    const dr_component_call call = dr_component_enter(s->component, "beta");
    return dr_component_number(&call, ((const dr_schedule *)s->iface)->beta(s->self, i, T));
}

double dr_process_draw_t(const dr_instance *process, double u)
{
    const dr_component_call call = dr_component_enter(process->component, "draw_t");
    return dr_component_number(&call, ((const dr_process *)process->iface)->draw_t(process->self, u));
}

/* A view may change H and W, and the number of pixels not: it has an inverse. */
static dr_tensor *seen(const dr_component_call *call, dr_tensor *y, dr_tensor *x)
{
    const dr_component *c = call->component;
    if (!dr_component_result(call, y, NULL)) return NULL;
    const dr_view *is = dr_tensor_view(y), *was = dr_tensor_view(x);
    const bool same = is->rank == 4 && was->rank == 4 && is->shape[0] == was->shape[0] && is->shape[1] == was->shape[1] &&
                      is->shape[2] * is->shape[3] == was->shape[2] * was->shape[3];
    if (same) return y;
    char a[128], b[128];
    dr_fail(DR_ESHAPE, "%.*s %s: %s gave %s of %s: not as many pixels", kind_length(c), c->kind, c->name, call->what,
            dr_view_text(is, a, sizeof a), dr_view_text(was, b, sizeof b));
    return NULL;
}

dr_tensor *dr_image_view_apply(const dr_instance *view, dr_tensor *x)
{
    if (dr_failed() || !x) return NULL;
    const dr_component_call call = dr_component_enter(view->component, "apply");
    return seen(&call, ((const dr_image_view *)view->iface)->apply(view->self, x), x);
}

dr_tensor *dr_image_view_invert(const dr_instance *view, dr_tensor *x)
{
    if (dr_failed() || !x) return NULL;
    const dr_component_call call = dr_component_enter(view->component, "invert");
    return seen(&call, ((const dr_image_view *)view->iface)->invert(view->self, x), x);
}

dr_tensor *dr_image_view_invert_variance(const dr_instance *view, dr_tensor *v)
{
    const dr_image_view *api = view->iface;
    if (!api->invert_variance) return dr_image_view_invert(view, v);
    if (dr_failed() || !v) return NULL;
    const dr_component_call call = dr_component_enter(view->component, "invert_variance");
    return seen(&call, api->invert_variance(view->self, v), v);
}

double dr_image_view_constant(const dr_instance *view)
{
    const dr_image_view *api = view->iface;
    if (!api->constant) return 0.0;
    const dr_component_call call = dr_component_enter(view->component, "constant");
    return dr_component_number(&call, api->constant(view->self));
}

dr_tensor *dr_filter_apply(const dr_instance *filter, dr_tensor *x)
{
    if (dr_failed() || !x) return NULL;
    const dr_component_call call = dr_component_enter(filter->component, "apply");
    return dr_component_result(&call, ((const dr_filter *)filter->iface)->apply(filter->self, x), x);
}
