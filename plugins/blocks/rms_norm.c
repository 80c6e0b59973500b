/* rms_norm.c: normalisation over the last axis, without a mean and a bias.     Zhang & Sennrich 2019
 *   y = weight x / sqrt(mean(x^2) + eps)
 * Names and defaults are those of T5's layer norm, which is this one. */
#include <drift/plugin.h>

typedef struct {
    int64_t normalized_shape;
    double eps;
    dr_tensor *weight; /* [D] */
} rms_norm;

static const dr_param params[] = {
    DR_INT_REQUIRED(rms_norm, normalized_shape, 1, 1 << 24, "size of the last axis"),
    DR_REAL(rms_norm, eps, 1e-6, 1e-12, 1, "added to the mean square"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    rms_norm *n = self;
    n->weight = dr_weight(b, "weight", DR_SHAPE(n->normalized_shape), DR_INIT_ONES);
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const rms_norm *n = self;
    const dr_view *view = dr_tensor_view(x);
    (void)ctx;

    if (!view) return NULL;
    if (view->rank < 1 || view->shape[view->rank - 1] != n->normalized_shape) {
        dr_fail(DR_ESHAPE, "rms_norm: the last axis should have size %lld, got %lld", (long long)n->normalized_shape,
                view->rank < 1 ? 1LL : (long long)view->shape[view->rank - 1]);
        return NULL;
    }
    return dr_rms_norm(x, n->weight, n->eps); /* [..,D] */
}

DR_BLOCK(rms_norm, "Normalisation by the root mean square of the last axis", params, .create = create,
         .forward = forward, .example = "2,5,6", .example_args = DR_STATIC_ARGS(DR_I("normalized_shape", 6)))
