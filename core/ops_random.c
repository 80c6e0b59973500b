/* ops_random.c: rand_uniform, rand_normal from a stream (see dr_rng), and dropout, which is made of it. */
#include "ops_shape.h"

#define LARGEST 9007199254740992 /* 2^53: whole numbers that Lua and C agree on */
static const dr_param params[] = {
    DR_ENUM(dr_random_attr, dtype, DR_F32, "f32|f64|bf16|f16", "of the result"),
    DR_INTS(dr_random_attr, shape, 0, 281474976710656, "of the result; the first axis counts samples"),
    DR_INT(dr_random_attr, seed, 0, 0, LARGEST, "key of the stream"),
    DR_INT(dr_random_attr, purpose, 0, 0, 4294967295, "what it is for, as a number"),
    DR_INT(dr_random_attr, step, 0, 0, 4294967295, "of training or sampling"),
    DR_INT(dr_random_attr, sample, 0, 0, LARGEST, "number of the first row"),
    DR_END,
};

static dr_status random_infer(const char *op, const dr_random_attr *a, dr_view *out)
{
    if (a->dtype < 0 || a->dtype >= DR_DTYPE_COUNT || !dr_is_float((int32_t)a->dtype)) {
        return dr_fail(DR_EINVAL, "%s: dtype %lld is not a floating one", op, (long long)a->dtype);
    }
    const int rank = a->shape.n <= DR_MAX_RANK ? (int)a->shape.n : DR_MAX_RANK + 1;
    if (!dr_checked_size(op, (dr_dtype)a->dtype, rank, a->shape.v, NULL, NULL)) return DR_ESHAPE;
    dr_shape_of(out, (int32_t)a->dtype, rank, a->shape.v);
    return DR_OK;
}

static dr_status uniform_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)in, (void)n_in, (void)offset;
    return random_infer("rand_uniform", attr, out);
}

static dr_status normal_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)in, (void)n_in, (void)offset;
    return random_infer("rand_normal", attr, out);
}

DR_OP_COMPONENT(rand_uniform, "rand_uniform(): in [0, 1)", params, .flags = DR_OP_NONDIFF | DR_OP_CREATES, .n_out = 1,
                .infer = uniform_infer)
DR_OP_COMPONENT(rand_normal, "rand_normal(): mean 0, variance 1", params, .flags = DR_OP_NONDIFF | DR_OP_CREATES,
                .n_out = 1, .infer = normal_infer)

/* ---- dropout: y = x m/(1-p), m = 1 with probability 1 - p; the same mask for every dtype and device -------------- */

static const dr_param dropout_params[] = {
    DR_REAL(dr_dropout_attr, p, 0.5, 0, 1, "probability that an element becomes 0"),
    DR_INT(dr_dropout_attr, seed, 0, 0, LARGEST, "key of the stream"),
    DR_INT(dr_dropout_attr, purpose, 0, 0, 4294967295, "what it is for, as a number"),
    DR_INT(dr_dropout_attr, step, 0, 0, 4294967295, "of training"),
    DR_INT(dr_dropout_attr, sample, 0, 0, LARGEST, "number of the first row"),
    DR_END,
};

static dr_status dropout_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const double p = ((const dr_dropout_attr *)attr)->p;
    (void)offset;
    if (!(p >= 0.0 && p <= 1.0)) return dr_fail(DR_EINVAL, "dropout: p = %g is outside [0, 1]", p);
    return dr_infer_same("dropout", "x", in, n_in, out);
}

static dr_status dropout_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_dropout_attr *a = attr;
    (void)n_in;
    const dr_view *x = dr_tensor_view(in[0]);
    const dr_random_attr draw = { DR_F32, dr_ints_of(x->rank, x->shape), a->seed, a->purpose, a->step, a->sample };
    dr_tensor *u = dr_apply1("rand_uniform", NULL, 0, &draw);
    dr_tensor *dropped = dr_greater(dr_scalar_like(u, a->p), u); /* 1 with probability p */
    const double keep = a->p < 1.0 ? 1.0 / (1.0 - a->p) : 0.0;
    dr_tensor *factor = dr_to_dtype(dr_affine(-keep, dropped, keep), x->dtype);
    return dr_yield(out, dr_mul(in[0], factor));
}

DR_OP_COMPONENT(dropout, "dropout(x): elements become 0 at random, the others grow by 1/(1-p)", dropout_params,
                .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE }, .out_layout = { DR_LAYOUT_DENSE },
                .infer = dropout_infer, .compose = dropout_compose)
