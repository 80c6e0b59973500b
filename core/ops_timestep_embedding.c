/* ops_timestep_embedding.c: sin(t f_i), cos(t f_i) with f_i = exp(-ln(max_period) i/(half - shift)), half = dim/2; an
 * odd dim ends with a zero. t [B] -> [B,dim]. Kernels compute in double.        Vaswani et al. 2017, Ho et al. 2020 */
#include "ops_shape.h"

#include <math.h>
#include <stdlib.h>

enum { LARGEST_DIM = 65536 };

static const dr_param params[] = {
    DR_INT_REQUIRED(dr_timestep_embedding_attr, dim, 2, LARGEST_DIM, "length of the embedding"),
    DR_REAL(dr_timestep_embedding_attr, max_period, 10000.0, 1.0, INFINITY,
            "the slowest wave's period is 2 pi times this"),
    DR_REAL(dr_timestep_embedding_attr, shift, 0.0, 0.0, 1.0, "1: the last wave has exactly max_period"),
    DR_BOOL(dr_timestep_embedding_attr, flip, false, "cosines first"),
    DR_END,
};

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "timestep_embedding", "t", in, n_in };
    const dr_timestep_embedding_attr *a = attr;
    (void)offset;
    if (dr_need_float(&c, 0) != DR_OK || dr_need_rank(&c, 0, 1) != DR_OK) return DR_ESHAPE;
    if (a->dim < 2 || a->dim > LARGEST_DIM || !(a->max_period > 0.0) || !((double)(a->dim / 2) > a->shift)) {
        return dr_refuse(&c, "dim %lld, max_period %g, shift %g", (long long)a->dim, a->max_period, a->shift);
    }
    dr_shape_of(out, in->dtype, 2, (int64_t[]){ in->shape[0], a->dim });
    return DR_OK;
}

static dr_tensor *frequencies(const dr_timestep_embedding_attr *a, int32_t dtype) /* [1,half] */
{
    const int64_t half = a->dim / 2;
    double *f = malloc((size_t)half * sizeof *f);
    if (!f) {
        dr_fail(DR_ENOMEM, "timestep_embedding: out of memory");
        return NULL;
    }
    for (int64_t i = 0; i < half; i++) f[i] = exp(-log(a->max_period) * (double)i / ((double)half - a->shift));
    dr_tensor *t = dr_tensor_from(DR_F64, 2, (int64_t[]){ 1, half }, f);
    free(f);
    return dr_to_dtype(t, dtype);
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_timestep_embedding_attr *a = attr;
    (void)n_in;
    const dr_view *v = dr_tensor_view(in[0]);
    const int stat = (int)dr_stat_dtype(v->dtype);
    dr_tensor *t = dr_reshape(dr_to_dtype(in[0], stat), 2, (int64_t[]){ v->shape[0], 1 });
    dr_tensor *angle = dr_mul(t, frequencies(a, stat)); /* [B,half] */
    dr_tensor *s = dr_sin(angle), *c = dr_cos(angle);
    dr_tensor *y = dr_concat((dr_tensor *[]){ a->flip ? c : s, a->flip ? s : c }, 2, 1);
    if (a->dim % 2) y = dr_pad(y, DR_PAD_CONSTANT, 2, (int64_t[]){ 0, 1 }, 0.0);
    return dr_yield(out, dr_to_dtype(y, v->dtype));
}

DR_OP_COMPONENT(timestep_embedding, "timestep_embedding(t): sines and cosines of many frequencies", params, .n_in = 1,
                .n_out = 1, .infer = infer, .compose = compose)
