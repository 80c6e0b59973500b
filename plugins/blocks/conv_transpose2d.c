/* conv_transpose2d.c: the transposed convolution (the gradient of conv2d), as torch.nn.ConvTranspose2d.
 *   y[b,o, i s + u - p, j s + v - p] += weight[c,o,u,v] x[b,c,i,j];   H' = (H-1) s - 2 p + k
 * Weights start uniform in +-1/sqrt(out_channels kernel_size^2): PyTorch reads fan_in off the weight's second axis. */
#include <drift/plugin.h>
#include <math.h>

typedef struct {
    int64_t in_channels, out_channels, kernel_size, stride, padding;
    _Bool bias;
    dr_tensor *weight, *bias_weight; /* [Ci,Co,k,k], [Co] or NULL */
} conv_transpose2d;

static const dr_param params[] = {
    DR_INT_REQUIRED(conv_transpose2d, in_channels, 1, 65536, "channels of the input"),
    DR_INT_REQUIRED(conv_transpose2d, out_channels, 1, 65536, "channels of the output"),
    DR_INT_REQUIRED(conv_transpose2d, kernel_size, 1, 255, "side of the square kernel, in pixels"),
    DR_INT(conv_transpose2d, stride, 1, 1, 255, "output pixels per input pixel"),
    DR_INT(conv_transpose2d, padding, 0, 0, 255, "pixels cut off around the output"),
    DR_BOOL(conv_transpose2d, bias, 1, "add a number per output channel"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    conv_transpose2d *c = self;
    const int64_t k = c->kernel_size;
    const dr_init init = { DR_INIT_UNIFORM, 1.0 / sqrt((double)(c->out_channels * k * k)) };
    c->weight = dr_weight(b, "weight", DR_SHAPE(c->in_channels, c->out_channels, k, k), init);
    c->bias_weight = c->bias ? dr_weight(b, "bias", DR_SHAPE(c->out_channels), init) : NULL;
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const conv_transpose2d *c = self;
    (void)ctx;
    return dr_conv_transpose2d(x, c->weight, c->bias_weight, c->stride, c->padding); /* [B,Ci,H,W] -> [B,Co,H',W'] */
}

DR_BLOCK(conv_transpose2d, "2-D transposed convolution", params, .create = create, .forward = forward,
         .example = "2,4,5,5",
         .example_args = DR_STATIC_ARGS(DR_I("in_channels", 4), DR_I("out_channels", 3), DR_I("kernel_size", 4),
                                 DR_I("stride", 2), DR_I("padding", 1)))
