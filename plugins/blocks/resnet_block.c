/* resnet_block.c: the residual block that brings its own projection of the network's time vector.
 *   Dhariwal & Nichol 2021, Saharia et al. 2022; names and form are those of diffusers' ResnetBlock2D
 *   h = conv1(resample(act(norm1(x))))
 *   h = conv2(dropout(act(norm2(h) (1 + s) + b))),  [s, b] = time_emb_proj(act(emb))      scale_shift
 *   h = conv2(dropout(act(norm2(h + time_emb_proj(act(emb))))))                           default
 *   y = (shortcut(resample(x)) + h) / output_scale_factor             x [B,i,H,W], emb [B,E] -> [B,o,H',W']
 * shortcut is x itself, or a 1x1 convolution where i and o differ. resample: halved by a mean of 2x2 pixels, or doubled
 * by repeating them, on both branches. skip_time_act: emb comes activated. (res_block is the one whose conditioning is
 * any scheme of the network.) */
#include "activation.h"

enum { NORM_DEFAULT = 0, NORM_SCALE_SHIFT };
enum { RESAMPLE_NONE = 0, RESAMPLE_DOWN, RESAMPLE_UP };

typedef struct {
    int64_t in_channels, out_channels, emb_features, groups, act, time_embedding_norm, resample;
    double eps, dropout, output_scale_factor;
    _Bool skip_time_act;
    dr_module *norm1, *conv1, *time_emb_proj, *norm2, *conv2, *conv_shortcut; /* conv_shortcut: NULL where i = o */
    dr_tensor *gamma, *beta;                                                  /* [o], of norm2 */
} resnet_block;

static const dr_param params[] = {
    DR_INT_REQUIRED(resnet_block, in_channels, 1, 65536, "channels of the input"),
    DR_INT_REQUIRED(resnet_block, out_channels, 1, 65536, "channels of the output"),
    DR_INT_REQUIRED(resnet_block, emb_features, 1, 65536, "length of the time's vector"),
    DR_INT(resnet_block, groups, 32, 1, 65536, "groups of a GroupNorm; divides in_channels and out_channels"),
    DR_REAL(resnet_block, eps, 1e-5, 1e-12, 1, "added to the variances"),
    DR_ENUM(resnet_block, act, DR_ACT_SILU, DR_ACT_NAMES, "activation behind the norms and before time_emb_proj"),
    DR_ENUM(resnet_block, time_embedding_norm, NORM_SCALE_SHIFT, "default|scale_shift", "how the time enters"),
    DR_BOOL(resnet_block, skip_time_act, 0, "the vector is not activated here"),
    DR_ENUM(resnet_block, resample, RESAMPLE_NONE, "none|down|up", "the image is halved, or doubled"),
    DR_REAL(resnet_block, dropout, 0, 0, 0.99, "share of values dropped before the second convolution"),
    DR_REAL(resnet_block, output_scale_factor, 1, 1e-3, 1e3, "the sum is divided by it"),
    DR_END
};

static dr_module *norm(dr_builder *b, const char *name, const resnet_block *r, int64_t channels)
{
    static const char *const act[] = { "none", "relu", "gelu", "gelu_tanh", "silu" };
    return dr_child(b, name, "group_norm",
                    DR_ARGS(DR_I("num_groups", r->groups), DR_I("num_channels", channels), DR_R("eps", r->eps),
                            DR_S("act", act[r->act])));
}

static dr_module *conv(dr_builder *b, const char *name, int64_t i, int64_t o, int64_t kernel)
{
    return dr_child(b, name, "conv2d",
                    DR_ARGS(DR_I("in_channels", i), DR_I("out_channels", o), DR_I("kernel_size", kernel),
                            DR_I("padding", kernel / 2)));
}

static dr_status create(void *self, dr_builder *b)
{
    resnet_block *r = self;
    const int64_t i = r->in_channels, o = r->out_channels;
    r->norm1 = norm(b, "norm1", r, i);
    r->conv1 = conv(b, "conv1", i, o, 3);
    r->time_emb_proj = dr_child(b, "time_emb_proj", "linear",
                                DR_ARGS(DR_I("in_features", r->emb_features),
                                        DR_I("out_features", r->time_embedding_norm == NORM_SCALE_SHIFT ? 2 * o : o)));
    r->norm2 = norm(b, "norm2", r, o);
    r->conv2 = conv(b, "conv2", o, o, 3);
    if (i != o) r->conv_shortcut = conv(b, "conv_shortcut", i, o, 1);
    r->gamma = dr_child_weight(r->norm2, "weight");
    r->beta = dr_child_weight(r->norm2, "bias");
    return dr_failed();
}

static dr_tensor *resample(const resnet_block *r, dr_tensor *x)
{
    const dr_view *v = dr_tensor_view(x);
    if (!v || r->resample == RESAMPLE_NONE) return x;
    if (v->rank == 4 && r->resample == RESAMPLE_UP) {
        return dr_resize(x, DR_RESIZE_NEAREST, 2 * v->shape[2], 2 * v->shape[3], 0);
    }
    if (v->rank == 4 && v->shape[2] % 2 == 0 && v->shape[3] % 2 == 0) return dr_avg_pool2d(x, 2, 2);
    dr_fail(DR_ESHAPE, "resnet_block: an image of %lldx%lld pixels cannot be halved",
            v->rank == 4 ? (long long)v->shape[2] : 0, v->rank == 4 ? (long long)v->shape[3] : 0);
    return NULL;
}

static dr_tensor *dropout(const resnet_block *r, dr_tensor *x, dr_ctx *ctx)
{
    if (r->dropout == 0 || !dr_training(ctx)) return x;
    const dr_rng rng = dr_ctx_rng(ctx, "dropout");
    const dr_dropout_attr attr = { r->dropout, (int64_t)rng.seed, rng.purpose, rng.step, (int64_t)rng.sample };
    return dr_apply1("dropout", &x, 1, &attr);
}

/* h [B,o,H',W'] with the time in it, normalised and activated. Scale and shift become the norm's own gamma and beta,
 * one of each a row: (gamma h + beta)(1 + s) + b, so that the map is read once. */
static dr_tensor *with_time(const resnet_block *r, dr_tensor *h, dr_ctx *ctx)
{
    dr_tensor *emb = dr_input(ctx, 1);
    const dr_view *v = dr_tensor_view(emb);
    if (!v || v->rank != 2 || v->shape[1] != r->emb_features) {
        dr_fail(DR_ESHAPE,
                "resnet_block: the second input, the time's vector, should be [B,%lld], got %s%lld (rank %d)",
                (long long)r->emb_features,
                v ? "a last axis of " : "none: ", v && v->rank ? (long long)v->shape[v->rank - 1] : 0LL,
                v ? v->rank : 0);
        return NULL;
    }
    emb = dr_call(r->time_emb_proj, r->skip_time_act ? emb : activation(emb, r->act), ctx); /* [B,2 o] or [B,o] */
    emb = not_half(emb);
    const int64_t o = r->out_channels;
    if (r->time_embedding_norm == NORM_DEFAULT) {
        return dr_call(r->norm2, dr_add(h, dr_reshape(emb, DR_SHAPE(-1, o, 1, 1))), ctx);
    }
    dr_tensor *gain = dr_affine(1.0, dr_slice(emb, 1, 0, o), 1.0), *shift = dr_slice(emb, 1, o, o); /* [B,o] */
    return dr_group_norm(h, dr_mul(gain, r->gamma), dr_add(dr_mul(gain, r->beta), shift), r->groups, r->eps,
                         (int)r->act);
}

/* ---- the branch, its maps given back one by one: at 256 pixels they are what a network's memory goes to ---------- */

static dr_tensor *leave(dr_tensor *t) /* closes the scope, out of which t alone comes */
{
    t = dr_escape(t);
    dr_scope_close();
    return t;
}

static dr_tensor *to_conv1(const resnet_block *r, dr_tensor *x, dr_ctx *ctx)
{
    dr_scope_open();
    return leave(dr_call(r->conv1, resample(r, dr_call(r->norm1, x, ctx)), ctx)); /* [B,o,H',W'] */
}

static dr_tensor *to_norm2(const resnet_block *r, dr_tensor *x, dr_ctx *ctx)
{
    dr_scope_open();
    return leave(with_time(r, to_conv1(r, x, ctx), ctx));
}

static dr_tensor *to_conv2(const resnet_block *r, dr_tensor *x, dr_ctx *ctx)
{
    dr_scope_open();
    return leave(dr_call(r->conv2, dropout(r, to_norm2(r, x, ctx), ctx), ctx));
}

static dr_tensor *with_shortcut(const resnet_block *r, dr_tensor *x, dr_ctx *ctx)
{
    dr_scope_open();
    dr_tensor *h = to_conv2(r, x, ctx); /* [B,o,H',W'] */
    x = resample(r, x);                 /* [B,i,H',W'] */
    return leave(dr_add(r->conv_shortcut ? dr_call(r->conv_shortcut, x, ctx) : x, h));
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const resnet_block *r = self;
    dr_tensor *y = with_shortcut(r, x, ctx);
    return r->output_scale_factor == 1 ? y : dr_scale(1.0 / r->output_scale_factor, y);
}

DR_BLOCK(resnet_block, "Residual block with its own projection of the time's vector", params, .create = create,
         .forward = forward, .example = "2,4,6,6;2,5",
         .example_args = DR_STATIC_ARGS(DR_I("in_channels", 4), DR_I("out_channels", 6), DR_I("emb_features", 5),
                                        DR_I("groups", 2), DR_S("resample", "down"), DR_R("output_scale_factor", 1.5),
                                        DR_R("dropout", 0.25)))
