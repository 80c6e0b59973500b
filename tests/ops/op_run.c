/* op_run.c: runs one case of the table on a device: inputs made, op applied, backward from a fixed gradient. */
#include "op_cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const dr_component *next_op(int64_t *i)
{
    while (*i < dr_component_count()) {
        const dr_component *c = dr_component_at((*i)++);
        if (strncmp(c->kind, "op/", 3) == 0) return c;
    }
    return NULL;
}

const dr_op *op_of(const op_case *c)
{
    const dr_component *component = dr_component_find("op", c->op);
    return component ? component->iface : NULL;
}

bool wants_gradient(const case_input *in)
{
    return in->values == NORMAL || in->values == POSITIVE || in->values == DISTINCT;
}

int64_t input_count(const case_input *in)
{
    int64_t n = 1;
    for (int i = 0; i < in->rank; i++) n *= in->shape[i];
    return n;
}

int64_t largest_count(const op_case *c)
{
    int64_t most = 1;
    for (int i = 0; i < c->n_in; i++) {
        if (c->in[i].values != ABSENT && input_count(&c->in[i]) > most) most = input_count(&c->in[i]);
    }
    return most;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* Uniform in (0, 1), element n of stream `key`. */
static double uniform(uint64_t key, int64_t n)
{
    uint32_t word[4];
    dr_philox(key, (const uint32_t[4]){ (uint32_t)n, 0, 0, 1 }, word);
    return ((double)word[0] + 0.5) / 4294967296.0;
}

static double normal(uint64_t key, int64_t n)
{
    return sqrt(-2.0 * log(uniform(key, 2 * n))) * cos(6.283185307179586 * uniform(key, 2 * n + 1));
}

static uint64_t key_of(const op_case *c, int i)
{
    uint64_t key = 1469598103934665603u + (uint64_t)i;
    for (const char *p = c->label; *p; p++) key = (key ^ (uint64_t)*p) * 1099511628211u;
    return key;
}

static int64_t common_factor(int64_t a, int64_t b) { return b == 0 ? a : common_factor(b, a % b); }

/* Element k of n values 0.37 apart, in an order that k -> k stride mod n shuffles. */
static double distinct(uint64_t key, int i, int64_t k, int64_t n)
{
    int64_t stride = n / 3 + (int64_t)(key % 7) + 1;
    while (common_factor(stride, n) != 1) stride++;
    return 0.37 * (double)(k * stride % n - n / 2) + 0.13 + 0.04 * i;
}

double *case_values_of(const op_case *c, int i)
{
    const case_input *in = &c->in[i];
    const int64_t n = input_count(in);
    const uint64_t key = key_of(c, i);
    double *v = malloc((size_t)(n > 0 ? n : 1) * sizeof *v);
    for (int64_t k = 0; v && k < n; k++) {
        switch (in->values) {
        case NORMAL: v[k] = (float)normal(key, k); break;
        case POSITIVE: v[k] = (float)(0.5 + 1.5 * uniform(key, k)); break;
        case DISTINCT: v[k] = (float)distinct(key, i, k, n); break;
        case ZERO_ONE: v[k] = uniform(key, k) < 0.5 ? 0.0 : 1.0; break;
        case IDS: v[k] = floor(uniform(key, k) * (double)in->limit); break;
        case BATCHES: v[k] = 7.0; break;
        case LR_AND_STEP: v[k] = k == 0 ? 0.01 : k == 1 ? 3.0 : 0.5 + 0.1 * (double)k; break;
        case SQUARE_NORM: v[k] = 9.0; break;
        case DECAY: v[k] = 0.999; break;
        case ABSENT: v[k] = 0.0; break;
        }
    }
    return v;
}

double *case_upstream(const op_case *c, int64_t n)
{
    double *v = malloc((size_t)(n > 0 ? n : 1) * sizeof *v);
    for (int64_t k = 0; v && k < n; k++) v[k] = (float)normal(key_of(c, 99), k);
    return v;
}

static dr_dtype dtype_of(const case_input *in, dr_dtype floats)
{
    switch (in->values) {
    case IDS: return DR_I32;
    case BATCHES: return DR_I64;
    case LR_AND_STEP:
    case SQUARE_NORM:
    case DECAY: return DR_F64;
    default: return in->statistic && floats != DR_F64 ? DR_F32 : floats;
    }
}

/* A tensor of its own with these values, in the wanted memory order. */
static dr_tensor *tensor_of(int rank, const int64_t *shape, dr_dtype dtype, dr_layout layout, const double *values)
{
    dr_tensor *t = dr_tensor_new(dtype, rank, shape, layout);
    return t && dr_tensor_write(t, DR_F64, values) == DR_OK ? t : NULL;
}

/* The same, as every element, or every second one, of part of an axis of a larger tensor, which holds NaN elsewhere. */
static dr_tensor *part_of_larger(dr_tensor *t, int64_t step)
{
    const dr_view *v = dr_tensor_view(t);
    if (!v || v->rank == 0) return t;
    const int axis = v->rank > 1 ? 1 : 0;
    int64_t shape[DR_MAX_RANK];
    memcpy(shape, v->shape, sizeof shape);
    shape[axis] = 2 * shape[axis] + 1;
    const bool channels_last = v->rank == 4 && !dr_view_is(v, DR_LAYOUT_ROW);
    dr_tensor *wide = dr_tensor_new((dr_dtype)v->dtype, v->rank, shape, channels_last ? DR_LAYOUT_CL : DR_LAYOUT_ROW);
    if (!wide || dr_fill(wide, NAN) != DR_OK) return NULL;
    dr_tensor *part = dr_apply1("slice", &wide, 1, &(dr_slice_attr){ axis, 1, v->shape[axis], step });
    return part && dr_assign(part, t) == DR_OK ? part : NULL;
}

static void round_values(double *values, int64_t n, dr_dtype dtype)
{
    for (int64_t k = 0; k < n; k++) {
        double narrow;
        dr_convert(dtype, &narrow, DR_F64, &values[k], 1);
        dr_convert(DR_F64, &values[k], dtype, &narrow, 1);
    }
}

static dr_tensor *make_input(const op_case *c, const case_run *run, int i)
{
    const case_input *in = &c->in[i];
    double *values = case_values_of(c, i);
    if (!values) return NULL;
    if (run->nudged == i) values[run->at] += run->by;
    if (run->round) round_values(values, input_count(in), dtype_of(in, run->rounded_to));
    const dr_layout layout = in->rank == 4 ? run->layout : DR_LAYOUT_ROW;
    const dr_dtype floats = run->wide >> i & 1 ? DR_F32 : run->dtype;
    dr_tensor *t = tensor_of(in->rank, in->shape, dtype_of(in, floats), layout, values);
    free(values);
    if (wants_gradient(in) && (run->holes >> i & 1)) t = part_of_larger(t, run->joined ? 1 : 2);
    if (wants_gradient(in) && (run->need >> i & 1)) dr_requires_grad(t, true);
    return t;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

int64_t view_count(const dr_view *v)
{
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->shape[i];
    return n;
}

static double *read(dr_tensor *t)
{
    const dr_view *v = dr_tensor_view(t);
    if (!v) return NULL;
    const int64_t n = view_count(v);
    double *values = malloc((size_t)(n > 0 ? n : 1) * sizeof *values);
    if (!values || dr_tensor_read(t, DR_F64, values) == DR_OK) return values;
    free(values);
    return NULL;
}

static void backward_of(const op_case *c, const case_run *run, dr_tensor **in, dr_tensor *y, case_result *result)
{
    const dr_view *v = dr_tensor_view(y);
    double *upstream = v ? case_upstream(c, view_count(v)) : NULL;
    if (upstream && run->round) round_values(upstream, view_count(v), run->rounded_to);
    dr_tensor *dy = upstream ? tensor_of(v->rank, v->shape, (dr_dtype)v->dtype, DR_LAYOUT_ROW, upstream) : NULL;
    if (dy) dr_backward(y, dy);
    for (int i = 0; i < c->n_in && !dr_failed(); i++) {
        if (in[i] && dr_grad(in[i])) {
            result->grad[i] = read(dr_grad(in[i]));
            result->grad_dtype[i] = dr_tensor_view(dr_grad(in[i]))->dtype;
        }
        if (in[i]) dr_zero_grad(in[i]);
    }
    free(upstream);
}

bool run_case(const op_case *c, const case_run *run, case_result *result)
{
    *result = (case_result){ 0 };
    const dr_op *op = op_of(c);
    if (!op) return false;
    dr_device *before = dr_device_current();
    dr_device_use(run->device);
    dr_scope_open();
    dr_tensor *in[CASE_INPUTS] = { NULL }, *out[DR_OP_MAX_OUT] = { NULL };
    for (int i = 0; i < c->n_in; i++) {
        if (c->in[i].values != ABSENT) in[i] = make_input(c, run, i);
    }
    const bool in_place = (op->flags & DR_OP_MUTATES) != 0;
    if (!dr_failed()) dr_apply(c->op, in, c->n_in, c->attr, out);
    dr_tensor *const *results = in_place ? in : out;
    result->n_out = in_place ? c->n_in : op->n_out;
    for (int j = 0; j < result->n_out && !dr_failed(); j++) {
        if (!results[j]) continue;
        result->view[j] = *dr_tensor_view(results[j]);
        result->out[j] = read(results[j]);
    }
    if (run->need && !dr_failed() && dr_has_requires_grad(out[0])) backward_of(c, run, in, out[0], result);
    dr_scope_close();
    dr_device_use(before);
    return !dr_failed();
}

void free_result(case_result *r)
{
    for (int i = 0; i < CASE_INPUTS; i++) {
        free(r->out[i]);
        free(r->grad[i]);
    }
    *r = (case_result){ 0 };
}

double largest(const double *v, int64_t n)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(v[i]));
    return most;
}

double difference(const double *a, const double *b, int64_t n)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs(a[i] - b[i]);
        if (!(d <= 1e300)) return INFINITY;
        if (d > most) most = d;
    }
    return most;
}
