/* layer_norm.c: normalisation over the last axis.     Ba, Kiros & Hinton 2016
 *   y = weight (x - mean)/sqrt(var + eps) + bias
 * Names and defaults are those of torch.nn.LayerNorm, for one normalised axis. */
#include <drift/plugin.h>

typedef struct {
    int64_t normalized_shape;
    double eps;
    _Bool elementwise_affine;
    dr_tensor *weight, *bias; /* [D], or NULL */
} layer_norm;

static const dr_param params[] = {
    DR_INT_REQUIRED(layer_norm, normalized_shape, 1, 1 << 24, "size of the last axis"),
    DR_REAL(layer_norm, eps, 1e-5, 1e-12, 1, "added to the variance"),
    DR_BOOL(layer_norm, elementwise_affine, 1, "learn weight and bias"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    layer_norm *n = self;
    if (!n->elementwise_affine) return DR_OK;
    n->weight = dr_weight(b, "weight", DR_SHAPE(n->normalized_shape), DR_INIT_ONES);
    n->bias = dr_weight(b, "bias", DR_SHAPE(n->normalized_shape), DR_INIT_ZEROS);
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const layer_norm *n = self;
    const dr_view *view = dr_tensor_view(x);
    (void)ctx;

    if (!view) return NULL;
    if (view->rank < 1 || view->shape[view->rank - 1] != n->normalized_shape) {
        dr_fail(DR_ESHAPE, "layer_norm: the last axis should have size %lld, got %lld", (long long)n->normalized_shape,
                view->rank < 1 ? 1LL : (long long)view->shape[view->rank - 1]);
        return NULL;
    }
    return dr_layer_norm(x, n->weight, n->bias, n->eps); /* [..,D] */
}

DR_BLOCK(layer_norm, "Layer normalisation over the last axis", params, .create = create, .forward = forward,
         .example = "2,5,6", .example_args = DR_STATIC_ARGS(DR_I("normalized_shape", 6)))
