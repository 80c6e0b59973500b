/* res_block.c: the residual block of diffusion UNets.     He et al. 2016, Ho et al. 2020, Dhariwal & Nichol 2021
 *   h = conv1(resample(SiLU(GroupNorm(x))))
 *   h = conv2(dropout(SiLU(site(h))))          site: how time and class enter, here together with the second GroupNorm
 *   y = (skip(resample(x)) + gate h) skip_scale                                     [B,i,H,W] -> [B,o,H',W']
 * skip is x itself, or a 1x1 convolution where i and o differ. `site` says where the second norm stands: before_norm
 * h + t is normalised (DDPM); after_norm: the normalised h is scaled and shifted; instead_of_norm: the scheme normalises
 * by itself (adagn, adaln_zero). Without a conditioning the site is nothing. resample: halved by a mean of 2x2 pixels or
 * doubled by repeating them, on both branches (ADM). */
#include <drift/plugin.h>

enum { SITE_BEFORE_NORM = 0, SITE_AFTER_NORM, SITE_INSTEAD_OF_NORM };
enum { RESAMPLE_NONE = 0, RESAMPLE_DOWN, RESAMPLE_UP };

typedef struct {
    int64_t in_channels, out_channels, groups, site, resample, init;
    double dropout, skip_scale;
    dr_module *norm1, *conv1, *norm2, *conv2, *skip; /* norm2, skip: NULL where there is none */
} res_block;

static const dr_param params[] = {
    DR_INT_REQUIRED(res_block, in_channels, 1, 65536, "channels of the input"),
    DR_INT_REQUIRED(res_block, out_channels, 1, 65536, "channels of the output, and of the site"),
    DR_INT(res_block, groups, 32, 1, 65536,
           "groups of a GroupNorm: up to this, as divides its channels, and 4 channels or more each"),
    DR_ENUM(res_block, site, SITE_BEFORE_NORM, "before_norm|after_norm|instead_of_norm", "the site and the second norm"),
    DR_ENUM(res_block, resample, RESAMPLE_NONE, "none|down|up", "the image is halved, or doubled"),
    DR_REAL(res_block, dropout, 0, 0, 0.99, "share of values dropped before the second convolution"),
    DR_REAL(res_block, skip_scale, 1, 1e-3, 1, "the sum is multiplied by it; 0.7071 keeps the variance (DDPM++)"),
    DR_ENUM(res_block, init, 0, "fan_in|zero", "how the second convolution starts; zero: the block begins as its skip"),
    DR_END
};

static dr_module *norm(dr_builder *b, const char *name, const res_block *r, int64_t channels, const char *act)
{
    return dr_child(b, name, "group_norm",
                    DR_ARGS(DR_I("num_groups", dr_group_count(channels, r->groups)), DR_I("num_channels", channels),
                            DR_S("act", act)));
}

static dr_module *conv(dr_builder *b, const char *name, int64_t i, int64_t o, int64_t kernel, const char *init)
{
    return dr_child(b, name, "conv2d",
                    DR_ARGS(DR_I("in_channels", i), DR_I("out_channels", o), DR_I("kernel_size", kernel),
                            DR_I("padding", kernel / 2), DR_S("init", init)));
}

static dr_status create(void *self, dr_builder *b)
{
    res_block *r = self;
    const int64_t i = r->in_channels, o = r->out_channels;
    r->norm1 = norm(b, "norm1", r, i, "silu");
    r->conv1 = conv(b, "conv1", i, o, 3, "fan_in");
    if (r->site != SITE_INSTEAD_OF_NORM) {
        r->norm2 = norm(b, "norm2", r, o, r->site == SITE_BEFORE_NORM ? "silu" : "none");
    }
    r->conv2 = conv(b, "conv2", o, o, 3, r->init ? "zero" : "fan_in");
    if (i != o) r->skip = conv(b, "skip", i, o, 1, "fan_in");
    return dr_failed();
}

static dr_tensor *resample(const res_block *r, dr_tensor *x)
{
    const dr_view *v = dr_tensor_view(x);
    if (!v || r->resample == RESAMPLE_NONE) return x;
    if (v->rank == 4 && r->resample == RESAMPLE_UP) {
        return dr_resize(x, DR_RESIZE_NEAREST, 2 * v->shape[2], 2 * v->shape[3], 0);
    }
    if (v->rank == 4 && v->shape[2] % 2 == 0 && v->shape[3] % 2 == 0) return dr_avg_pool2d(x, 2, 2);
    dr_fail(DR_ESHAPE, "res_block: an image of %lldx%lld pixels cannot be halved",
            v->rank == 4 ? (long long)v->shape[2] : 0, v->rank == 4 ? (long long)v->shape[3] : 0);
    return NULL;
}

static dr_tensor *dropout(const res_block *r, dr_tensor *x, dr_ctx *ctx)
{
    if (r->dropout == 0 || !dr_training(ctx)) return x;
    const dr_rng rng = dr_ctx_rng(ctx, "dropout");
    const dr_dropout_attr attr = { r->dropout, (int64_t)rng.seed, rng.purpose, rng.step, (int64_t)rng.sample };
    return dr_apply1("dropout", &x, 1, &attr);
}

/* conv1's output at the site, normalised and activated: [B,o,H',W'] */
static dr_tensor *site(const res_block *r, dr_tensor *h, dr_ctx *ctx)
{
    if (r->site == SITE_BEFORE_NORM) return dr_call(r->norm2, dr_modulate(ctx, 0, h), ctx); /* with its SiLU */
    if (r->site == SITE_AFTER_NORM) h = dr_call(r->norm2, h, ctx);
    return dr_silu(dr_modulate(ctx, 0, h));
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const res_block *r = self;
    dr_tensor *h = dr_call(r->conv1, resample(r, dr_call(r->norm1, x, ctx)), ctx); /* [B,o,H',W'] */
    h = dr_call(r->conv2, dropout(r, site(r, h, ctx), ctx), ctx);
    h = dr_gate(ctx, 0, h);
    x = resample(r, x);                                                             /* [B,i,H',W'] */
    dr_tensor *y = dr_add(r->skip ? dr_call(r->skip, x, ctx) : x, h);               /* [B,o,H',W'] */
    return r->skip_scale == 1 ? y : dr_scale(r->skip_scale, y);
}

DR_BLOCK(res_block, "Residual block of diffusion UNets, with a site for the conditioning", params, .create = create,
         .forward = forward, .example = "2,3,6,6",
         .example_args = DR_STATIC_ARGS(DR_I("in_channels", 3), DR_I("out_channels", 4), DR_I("groups", 2),
                                        DR_S("resample", "down"), DR_R("skip_scale", 0.5), DR_R("dropout", 0.25)))
