/* reduce.c: sum, mean and amax over some axes; sum_to, which undoes broadcasting. Each walks x in row-major order
 * beside a view of the output that stands still (stride 0) along the axes that are reduced. */
#include "element.h"

/* A view with x's shape onto the row-major output: stride 0 along reduced axes. No dims: all axes are reduced. */
static dr_view along_kept_axes(const dr_view *x, const dr_ints *dims)
{
    bool reduced[DR_MAX_RANK] = { false };
    for (int d = 0; d < x->rank; d++) reduced[d] = dims->n == 0;
    for (int64_t i = 0; i < dims->n; i++) reduced[dr_ref_axis(dims->v[i], x->rank)] = true;
    dr_view v = *x;
    int64_t stride = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        v.stride[d] = reduced[d] ? 0 : stride;
        if (!reduced[d]) stride *= x->shape[d];
    }
    return v;
}

static void reduce(const dr_kargs *a, double start, double (*f)(double total, double x), bool mean)
{
    const dr_reduce_attr *attr = a->attr;
    const dr_view walk = along_kept_axes(&a->in[0], &attr->dims);
    const int64_t n = dr_numel(&a->in[0]), kept = dr_numel(&a->out[0]);
    int64_t index[DR_MAX_RANK] = { 0 }, place = 0;
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    double *y = m.out[0];
    for (int64_t k = 0; k < kept; k++) y[k] = start;
    for (int64_t i = 0; i < n; i++) {
        y[place] = f(y[place], m.in[0][i]);
        place = dr_ref_next(&walk, index, place);
    }
    for (int64_t k = 0; mean && k < kept; k++) y[k] /= (double)(n / kept);
    dr_ref_close(&m);
}

static double plus(double total, double x) { return total + x; }
static double larger(double total, double x) { return x > total || isnan(x) ? x : total; } /* NaN wins */

static void sum_ref(const dr_kargs *a) { reduce(a, 0, plus, false); }
static void mean_ref(const dr_kargs *a) { reduce(a, 0, plus, true); }
static void amax_ref(const dr_kargs *a) { reduce(a, -INFINITY, larger, false); }

static void sum_to_ref(const dr_kargs *a) /* x -> y, whose shape broadcasts to x's */
{
    dr_view dense = a->out[0];
    int64_t stride = 1;
    for (int d = dense.rank - 1; d >= 0; d--) {
        dense.stride[d] = stride;
        stride *= dense.shape[d];
    }
    const dr_view walk = dr_ref_expand(&dense, &a->in[0]);
    int64_t index[DR_MAX_RANK] = { 0 }, place = 0;
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t i = 0; i < dr_numel(&a->in[0]); i++) {
        m.out[0][place] += m.in[0][i];
        place = dr_ref_next(&walk, index, place);
    }
    dr_ref_close(&m);
}

DR_KERNEL(sum, DR_ANY_DTYPE, sum_ref)
DR_KERNEL(mean, DR_ANY_DTYPE, mean_ref)
DR_KERNEL(amax, DR_ANY_DTYPE, amax_ref)
DR_KERNEL(sum_to, DR_ANY_DTYPE, sum_to_ref)
