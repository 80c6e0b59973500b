/* conv2d.c: cross-correlation with zero padding, as torch.nn.Conv2d.
 *   y[b,o,i,j] = bias[o] + sum_{c,u,v} weight[o,c,u,v] x[b,c, i s + u - p, j s + v - p]
 * Weights start uniform in +-1/sqrt(fan_in), fan_in = in_channels kernel_size^2 (PyTorch's default), or at zero. */
#include <drift/plugin.h>
#include <math.h>

typedef struct {
    int64_t in_channels, out_channels, kernel_size, stride, padding, init;
    _Bool bias;
    dr_tensor *weight, *bias_weight; /* [Co,Ci,k,k], [Co] or NULL */
} conv2d;

static const dr_param params[] = {
    DR_INT_REQUIRED(conv2d, in_channels, 1, 65536, "channels of the input"),
    DR_INT_REQUIRED(conv2d, out_channels, 1, 65536, "channels of the output"),
    DR_INT_REQUIRED(conv2d, kernel_size, 1, 255, "side of the square kernel, in pixels"),
    DR_INT(conv2d, stride, 1, 1, 255, "pixels from one output to the next"),
    DR_INT(conv2d, padding, 0, 0, 255, "zeros around the input, in pixels"),
    DR_BOOL(conv2d, bias, 1, "add a number per output channel"),
    DR_ENUM(conv2d, init, 0, "fan_in|zero", "how the weights start; zero: a residual branch that begins as nothing"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    conv2d *c = self;
    const int64_t k = c->kernel_size;
    const dr_init zero = DR_INIT_ZEROS, uniform = { DR_INIT_UNIFORM, 1.0 / sqrt((double)(c->in_channels * k * k)) };
    const dr_init init = c->init ? zero : uniform;
    c->weight = dr_weight(b, "weight", DR_SHAPE(c->out_channels, c->in_channels, k, k), init);
    c->bias_weight = c->bias ? dr_weight(b, "bias", DR_SHAPE(c->out_channels), init) : NULL;
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const conv2d *c = self;
    (void)ctx;
    return dr_conv2d(x, c->weight, c->bias_weight, c->stride, c->padding); /* [B,Ci,H,W] -> [B,Co,H',W'] */
}

DR_BLOCK(conv2d, "2-D convolution", params, .create = create, .forward = forward, .example = "2,4,8,8",
         .example_args = DR_STATIC_ARGS(DR_I("in_channels", 4), DR_I("out_channels", 3), DR_I("kernel_size", 3)))
