/* t5_feed_forward.c: T5's two-layer network, on each token alone.     Raffel et al. 2020, Shazeer 2020 (gated)
 *   gated (v1.1):   y = wo(act(wi_0 x) * (wi_1 x))        plain (v1.0):   y = wo(act(wi x))
 * x [..,dim] -> [..,dim], hidden size d_ff. Names are Hugging Face's DenseReluDense. */
#include <drift/plugin.h>

typedef struct {
    int64_t dim, hidden, act;
    _Bool gated;
    dr_module *wi_0, *wi_1, *wo; /* wi_1: NULL where not gated; wi_0 is called wi then */
} t5_feed_forward;

enum { GELU_TANH, GELU, RELU, SILU };

static const dr_param params[] = {
    DR_INT_REQUIRED(t5_feed_forward, dim, 1, 65536, "size of a token (d_model)"),
    DR_INT_REQUIRED(t5_feed_forward, hidden, 1, 1 << 24, "hidden size (d_ff)"),
    DR_BOOL(t5_feed_forward, gated, 1, "a second projection multiplies the first"),
    DR_ENUM(t5_feed_forward, act, GELU_TANH, "gelu_tanh|gelu|relu|silu", "the activation"),
    DR_END
};

static dr_module *project(dr_builder *b, const char *name, int64_t i, int64_t o)
{
    return dr_child(b, name, "linear", DR_ARGS(DR_I("in_features", i), DR_I("out_features", o), DR_B("bias", 0)));
}

static dr_status create(void *self, dr_builder *b)
{
    t5_feed_forward *f = self;
    f->wi_0 = project(b, f->gated ? "wi_0" : "wi", f->dim, f->hidden);
    if (f->gated) f->wi_1 = project(b, "wi_1", f->dim, f->hidden);
    f->wo = project(b, "wo", f->hidden, f->dim);
    return dr_failed();
}

static dr_tensor *activate(int64_t act, dr_tensor *h)
{
    if (act == RELU) return dr_relu(h);
    return act == SILU ? dr_silu(h) : dr_gelu(h, act == GELU_TANH);
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const t5_feed_forward *f = self;
    dr_tensor *h = activate(f->act, dr_call(f->wi_0, x, ctx)); /* [..,hidden] */
    if (f->gated) h = dr_mul(h, dr_call(f->wi_1, x, ctx));
    return dr_call(f->wo, h, ctx);
}

DR_BLOCK(t5_feed_forward, "T5's feed-forward network, gated or plain", params, .create = create, .forward = forward,
         .example = "2,5,6", .example_args = DR_STATIC_ARGS(DR_I("dim", 6), DR_I("hidden", 8)))
