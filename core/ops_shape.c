/* ops_shape.c: the shape rules that ops share. */
#include "ops_shape.h"

#include <string.h>

static const char *nth_name(const char *names, int i, char *text, size_t n)
{
    const char *at = names;
    for (; i > 0 && strchr(at, ','); i--) at = strchr(at, ',') + 1;
    snprintf(text, n, "%.*s", (int)strcspn(at, ","), at);
    return text;
}

dr_status dr_refuse(const dr_infer *c, const char *format, ...)
{
    char message[320], inputs[480] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    size_t used = 0;
    const int shown = c->n_in < 6 ? c->n_in : 6;
    for (int i = 0; i < shown && used < sizeof inputs; i++) {
        char name[32], shape[128];
        if (!dr_given(c->in, c->n_in, i)) continue;
        used +=
            (size_t)snprintf(inputs + used, sizeof inputs - used, "%s%s %s", used ? ", " : "",
                             nth_name(c->names, i, name, sizeof name), dr_view_text(&c->in[i], shape, sizeof shape));
    }
    if (used == 0) return dr_fail(DR_ESHAPE, "%s: %s", c->op, message);
    return dr_fail(DR_ESHAPE, "%s: %s (%s%s)", c->op, message, inputs, c->n_in > shown ? ", ..." : "");
}

bool dr_given(const dr_view *in, int n_in, int i) { return i < n_in && in[i].rank >= 0; }

bool dr_is_half(int32_t dtype) { return dtype == DR_BF16 || dtype == DR_F16; }

bool dr_is_float(int32_t dtype) { return dtype == DR_F32 || dtype == DR_F64 || dtype == DR_BF16 || dtype == DR_F16; }

dr_dtype dr_stat_dtype(int32_t dtype) { return dtype == DR_F64 ? DR_F64 : DR_F32; }

dr_status dr_need_dtype(const dr_infer *c, int i, dr_dtype dtype)
{
    char name[32];
    if (!dr_given(c->in, c->n_in, i) || c->in[i].dtype == (int32_t)dtype) return DR_OK;
    return dr_refuse(c, "%s must be %s, not %s", nth_name(c->names, i, name, sizeof name), dr_dtype_name(dtype),
                     dr_dtype_name((dr_dtype)c->in[i].dtype));
}

dr_status dr_need_float(const dr_infer *c, int i)
{
    char name[32];
    if (!dr_given(c->in, c->n_in, i) || dr_is_float(c->in[i].dtype)) return DR_OK;
    return dr_refuse(c, "%s must be floating, not %s", nth_name(c->names, i, name, sizeof name),
                     dr_dtype_name((dr_dtype)c->in[i].dtype));
}

static dr_status refuse_two_dtypes(const dr_infer *c, int i, int j)
{
    char a[32], b[32];
    return dr_refuse(c, "%s is %s and %s is %s: cast one of them", nth_name(c->names, i, a, sizeof a),
                     dr_dtype_name((dr_dtype)c->in[i].dtype), nth_name(c->names, j, b, sizeof b),
                     dr_dtype_name((dr_dtype)c->in[j].dtype));
}

dr_status dr_need_floats(const dr_infer *c)
{
    if (dr_need_float(c, 0) != DR_OK) return DR_ESHAPE;
    for (int i = 1; i < c->n_in; i++) {
        if (dr_given(c->in, c->n_in, i) && c->in[i].dtype != c->in[0].dtype) return refuse_two_dtypes(c, 0, i);
    }
    return DR_OK;
}

dr_status dr_need_weights(const dr_infer *c)
{
    if (dr_need_float(c, 0) != DR_OK) return DR_ESHAPE;
    const bool half = dr_is_half(c->in[0].dtype);
    for (int i = 1; i < c->n_in; i++) {
        if (!dr_given(c->in, c->n_in, i) || (half && c->in[i].dtype == DR_F32)) continue;
        if (c->in[i].dtype != c->in[0].dtype) return refuse_two_dtypes(c, 0, i);
    }
    return DR_OK;
}

dr_status dr_need_any_weight(const dr_infer *c)
{
    dr_view as_x[3]; /* the weight as it will be seen */
    dr_infer seen = { c->op, c->names, as_x, c->n_in };
    for (int i = 0; i < c->n_in && i < 3; i++) as_x[i] = c->in[i];
    const int32_t weight = c->in[1].dtype;
    if (c->in[0].dtype != DR_F64 && (weight == DR_F32 || dr_is_half(weight))) as_x[1].dtype = c->in[0].dtype;
    return dr_need_weights(&seen);
}

dr_status dr_need_mixable(const dr_infer *c, int32_t *dtype)
{
    int first = 0; /* the input that decides: the first half one, or else the first */
    for (int i = 0; i < c->n_in; i++) {
        if (dr_need_float(c, i) != DR_OK) return DR_ESHAPE;
        if (dr_given(c->in, c->n_in, i) && dr_is_half(c->in[i].dtype) && !dr_is_half(c->in[first].dtype)) first = i;
    }
    *dtype = c->in[first].dtype;
    for (int i = 0; i < c->n_in; i++) {
        if (!dr_given(c->in, c->n_in, i) || (dr_is_half(*dtype) && c->in[i].dtype == DR_F32)) continue;
        if (c->in[i].dtype == *dtype) continue;
        return i < first ? refuse_two_dtypes(c, i, first) : refuse_two_dtypes(c, first, i);
    }
    return DR_OK;
}

dr_status dr_need_rank(const dr_infer *c, int i, int rank)
{
    char name[32];
    if (!dr_given(c->in, c->n_in, i) || c->in[i].rank == rank) return DR_OK;
    return dr_refuse(c, "%s must have %d axes, got %d", nth_name(c->names, i, name, sizeof name), rank, c->in[i].rank);
}

dr_status dr_need_shape(const dr_infer *c, int i, int rank, const int64_t *shape)
{
    char name[32], text[128];
    if (!dr_given(c->in, c->n_in, i)) return DR_OK;
    dr_view want;
    dr_shape_of(&want, c->in[i].dtype, rank, shape);
    if (dr_same_shape(&want, &c->in[i])) return DR_OK;
    return dr_refuse(c, "%s must be %s", nth_name(c->names, i, name, sizeof name),
                     dr_view_text(&want, text, sizeof text));
}

dr_status dr_need_same_shape(const dr_infer *c, int i, int j)
{
    char a[32], b[32];
    if (!dr_given(c->in, c->n_in, i) || !dr_given(c->in, c->n_in, j) || dr_same_shape(&c->in[i], &c->in[j]))
        return DR_OK;
    return dr_refuse(c, "%s and %s must have one shape", nth_name(c->names, i, a, sizeof a),
                     nth_name(c->names, j, b, sizeof b));
}

dr_status dr_need_axis(const dr_infer *c, int64_t dim, int *axis)
{
    const int rank = c->in[0].rank;
    if (dim < -rank || dim >= rank) return dr_refuse(c, "no axis %lld: there are %d", (long long)dim, rank);
    *axis = (int)(dim < 0 ? dim + rank : dim);
    return DR_OK;
}

bool dr_same_shape(const dr_view *a, const dr_view *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->shape[i] != b->shape[i]) return false;
    }
    return true;
}

void dr_shape_of(dr_view *out, int32_t dtype, int rank, const int64_t *shape)
{
    *out = (dr_view){ .dtype = dtype, .rank = rank };
    for (int i = 0; i < rank && i < DR_MAX_RANK; i++) out->shape[i] = shape[i];
}

void dr_shape_like(dr_view *out, const dr_view *v) { dr_shape_of(out, v->dtype, v->rank, v->shape); }

dr_status dr_broadcast(const dr_infer *c, dr_view *out)
{
    dr_view y = { .dtype = c->in[0].dtype };
    for (int i = 0; i < c->n_in; i++) {
        if (c->in[i].rank > y.rank) y.rank = c->in[i].rank;
    }
    for (int a = 0; a < y.rank; a++) { /* axis a from the end */
        int64_t n = 1;
        for (int i = 0; i < c->n_in; i++) {
            const dr_view *v = &c->in[i];
            const int64_t size = a < v->rank ? v->shape[v->rank - 1 - a] : 1;
            if (size == 1 || size == n) continue;
            if (n != 1) {
                return dr_refuse(c, "sizes %lld and %lld at axis %d do not broadcast", (long long)n, (long long)size,
                                 -1 - a);
            }
            n = size;
        }
        y.shape[y.rank - 1 - a] = n;
    }
    *out = y;
    return DR_OK;
}

dr_status dr_infer_same(const char *op, const char *names, const dr_view *in, int n_in, dr_view *out)
{
    const dr_infer c = { op, names, in, n_in };
    if (dr_need_floats(&c) != DR_OK) return DR_ESHAPE;
    for (int i = 1; i < n_in; i++) {
        if (dr_need_same_shape(&c, 0, i) != DR_OK) return DR_ESHAPE;
    }
    dr_shape_like(out, in);
    return DR_OK;
}

dr_status dr_infer_broadcast(const char *op, const char *names, const dr_view *in, int n_in, dr_view *out)
{
    const dr_infer c = { op, names, in, n_in };
    int32_t dtype;
    if (dr_need_mixable(&c, &dtype) != DR_OK || dr_broadcast(&c, out) != DR_OK) return DR_ESHAPE;
    out->dtype = dtype;
    return DR_OK;
}

/* ---- short forms ------------------------------------------------------------------------------------------------- */

dr_tensor *dr_scalar_like(dr_tensor *x, double value)
{
    const dr_view *v = dr_tensor_view(x);
    return v ? dr_tensor_full((dr_dtype)v->dtype, 0, NULL, value) : NULL;
}

dr_tensor *dr_sum_like(dr_tensor *x, const dr_view *v)
{
    const dr_view *have = dr_tensor_view(x);
    if (!have) return NULL;
    return dr_to_dtype(dr_same_shape(have, v) ? x : dr_sum_to(x, v->rank, v->shape), v->dtype);
}

dr_tensor *dr_reshape_like(dr_tensor *x, const dr_view *v) { return dr_reshape(x, v->rank, v->shape); }

dr_tensor *dr_per_channel(dr_tensor *v, int rank)
{
    const dr_view *view = dr_tensor_view(v);
    if (!view) return NULL;
    int64_t shape[DR_MAX_RANK] = { 1, 1, 1, 1, 1 };
    shape[1] = view->shape[0];
    return dr_reshape(v, rank, shape);
}

dr_tensor *dr_weight_beside(dr_tensor *w, int32_t dtype)
{
    const dr_view *v = dr_tensor_view(w);
    return !v || v->dtype == dtype || v->dtype == DR_F32 ? w : dr_cast(w, DR_F32);
}

dr_tensor *dr_to_dtype(dr_tensor *x, int32_t dtype)
{
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;
    return v->dtype == dtype ? x : dr_cast(x, (dr_dtype)dtype);
}

dr_tensor *dr_activate(dr_tensor *x, int64_t act)
{
    switch (act) {
    case DR_ACT_NONE: return x;
    case DR_ACT_RELU: return dr_relu(x);
    case DR_ACT_GELU: return dr_gelu(x, false);
    case DR_ACT_GELU_TANH: return dr_gelu(x, true);
    case DR_ACT_SILU: return dr_silu(x);
    default: dr_fail(DR_EINVAL, "activation %lld is none of %s", (long long)act, DR_ACT_NAMES); return NULL;
    }
}

dr_tensor *dr_activate_backward(dr_tensor *x, dr_tensor *dy, int64_t act)
{
    dr_tensor *const in[] = { x, dy };
    switch (act) {
    case DR_ACT_NONE: return dy;
    case DR_ACT_RELU: return dr_mul(dy, dr_greater(x, dr_scalar_like(x, 0.0)));
    case DR_ACT_GELU: return dr_apply1("gelu_backward", in, 2, &(dr_gelu_backward_attr){ 0 });
    case DR_ACT_GELU_TANH: return dr_apply1("gelu_backward", in, 2, &(dr_gelu_backward_attr){ 1 });
    case DR_ACT_SILU: return dr_apply1("silu_backward", in, 2, &(dr_silu_backward_attr){ 0 });
    default: dr_fail(DR_EINVAL, "activation %lld is none of %s", (long long)act, DR_ACT_NAMES); return NULL;
    }
}
