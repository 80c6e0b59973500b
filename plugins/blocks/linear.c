/* linear.c: y = x W^T + b over the last axis, as torch.nn.Linear.
 * Weights start uniform in +-1/sqrt(in_features) (PyTorch's default), or at zero. */
#include <drift/plugin.h>
#include <math.h>

typedef struct {
    int64_t in_features, out_features, init;
    _Bool bias;
    dr_tensor *weight, *bias_weight; /* [N,K], [N] or NULL */
} linear;

static const dr_param params[] = {
    DR_INT_REQUIRED(linear, in_features, 1, 1 << 24, "size of the input's last axis"),
    DR_INT_REQUIRED(linear, out_features, 1, 1 << 24, "size of the output's last axis"),
    DR_BOOL(linear, bias, 1, "add a number per output feature"),
    DR_ENUM(linear, init, 0, "fan_in|zero", "how the weights start; zero: a residual branch that begins as nothing"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    linear *l = self;
    const dr_init zero = DR_INIT_ZEROS, uniform = { DR_INIT_UNIFORM, 1.0 / sqrt((double)l->in_features) };
    const dr_init init = l->init ? zero : uniform;
    l->weight = dr_weight(b, "weight", DR_SHAPE(l->out_features, l->in_features), init);
    l->bias_weight = l->bias ? dr_weight(b, "bias", DR_SHAPE(l->out_features), init) : NULL;
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const linear *l = self;
    (void)ctx;
    return dr_linear(x, l->weight, l->bias_weight); /* [..,K] -> [..,N] */
}

DR_BLOCK(linear, "Fully connected layer", params, .create = create, .forward = forward, .example = "4,6",
         .example_args = DR_STATIC_ARGS(DR_I("in_features", 6), DR_I("out_features", 3)))
