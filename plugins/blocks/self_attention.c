/* self_attention.c: every pixel attends to every pixel.     Vaswani et al. 2017, Ho et al. 2020
 *   y = (x + attention(GroupNorm(x))) skip_scale,  the pixels being the tokens     [B,C,H,W] -> [B,C,H,W] */
#include <drift/plugin.h>

typedef struct {
    int64_t channels, heads, groups, init;
    double skip_scale;
    dr_module *norm, *attention;
} self_attention;

static const dr_param params[] = {
    DR_INT_REQUIRED(self_attention, channels, 1, 65536, "channels of input and output"),
    DR_INT(self_attention, heads, 1, 1, 65536, "heads; divides channels"),
    DR_INT(self_attention, groups, 32, 1, 65536,
           "groups of the GroupNorm: up to this, as divides channels, and 4 channels or more each"),
    DR_REAL(self_attention, skip_scale, 1, 1e-3, 1, "the sum is multiplied by it; 0.7071 keeps the variance (DDPM++)"),
    DR_ENUM(self_attention, init, 0, "fan_in|zero", "how the last projection starts; zero: the block begins as x"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    self_attention *a = self;
    a->norm = dr_child(b, "norm", "group_norm",
                       DR_ARGS(DR_I("num_groups", dr_group_count(a->channels, a->groups)),
                               DR_I("num_channels", a->channels)));
    a->attention = dr_child(b, "attention", "multi_head_attention",
                            DR_ARGS(DR_I("dim", a->channels), DR_I("heads", a->heads),
                                    DR_S("init", a->init ? "zero" : "fan_in")));
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const self_attention *a = self;
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;
    if (v->rank != 4) {
        dr_fail(DR_ESHAPE, "self_attention: x must be [B,C,H,W], got rank %d", v->rank);
        return NULL;
    }
    const int64_t B = v->shape[0], C = v->shape[1], H = v->shape[2], W = v->shape[3];
    dr_tensor *h = dr_permute(dr_call(a->norm, x, ctx), DR_SHAPE(0, 2, 3, 1));     /* [B,H,W,C] */
    h = dr_call(a->attention, dr_reshape(h, DR_SHAPE(B, H * W, C)), ctx);          /* [B,HW,C] */
    h = dr_permute(dr_reshape(h, DR_SHAPE(B, H, W, C)), DR_SHAPE(0, 3, 1, 2));     /* [B,C,H,W] */
    dr_tensor *y = dr_add(x, h);
    return a->skip_scale == 1 ? y : dr_scale(a->skip_scale, y);
}

DR_BLOCK(self_attention, "Self-attention over the pixels of a map", params, .create = create, .forward = forward,
         .example = "2,6,3,4", .example_args = DR_STATIC_ARGS(DR_I("channels", 6), DR_I("heads", 2), DR_I("groups", 3)))
