/* frozen.c: a plugin of ABI 1.0 that has a component of every kind and calls a good part of the host's functions. Kept with
 * the headers that it was compiled with and the shared object that came out, so that tests/shell/abi_v1_0.sh can ask later
 * hosts whether they still take both. What it computes is simple, so that the numbers are known. Never to be changed. */
#include <drift/kernel.h>
#include <math.h>
#include <string.h>

/* ---- every type of parameter ------------------------------------------------------------------------------------------- */
typedef struct {
    int64_t whole;
    double real;
    _Bool flag;
    const char *text;
    int64_t choice;
    dr_ints ints;
    dr_reals reals;
    dr_function f;
    dr_instance *part;
    dr_instances parts;
    dr_tensor *tensor;
} frozen_decay;
static const dr_param decay_params[] = {
    DR_INT(frozen_decay, whole, 3, 0, 10, "a whole number"), DR_REAL(frozen_decay, real, 0.5, 0.0, 1.0, "a number"),
    DR_BOOL(frozen_decay, flag, 1, "a flag"), DR_STRING(frozen_decay, text, "abc", "a text"),
    DR_ENUM(frozen_decay, choice, 1, "one|two", "a choice"), DR_INTS(frozen_decay, ints, 0, 100, "whole numbers"),
    DR_REALS(frozen_decay, reals, 0.0, 100.0, "numbers"), DR_FUNCTION(frozen_decay, f, "real(real)", "a function"),
    DR_COMPONENT_PARAM(frozen_decay, part, "schedule:frozen_schedule", "a component"),
    DR_COMPONENT_LIST(frozen_decay, parts, "view", "components"), DR_TENSOR(frozen_decay, tensor, "f32", "a tensor"), DR_END
};
static double factor(void *self, double epoch, int64_t epochs) /* 3 + 0.5 + 1 + 3 + 1 + ints + reals + f(2) + parts + tensor */
{
    const frozen_decay *d = self;
    double sum = (double)d->whole + d->real + d->flag + (double)strlen(d->text) + (double)d->choice + epoch / (double)epochs;
    for (int64_t i = 0; i < d->ints.n; i++) sum += (double)d->ints.v[i];
    for (int64_t i = 0; i < d->reals.n; i++) sum += d->reals.v[i];
    if (d->f) sum += ((double (*)(double))d->f)(2.0);
    if (d->part && dr_schedule_beta(d->part, 0, 1000) > 0.0) sum += 1000.0;
    sum += 10000.0 * (double)d->parts.n;
    return d->tensor ? sum + dr_tensor_item(dr_sum(d->tensor, 0, NULL, 0)) : sum;
}
DR_DECAY(frozen_decay, "a sum of its parameters", decay_params, .factor = factor)

/* ---- an op, composed, with a gradient; a kernel for another's device ------------------------------------------------------ */
typedef struct dr_frozen_op_attr { double scale; } dr_frozen_op_attr;
static const dr_param op_params[] = { DR_REAL(dr_frozen_op_attr, scale, 1.0, -100.0, 100.0, "factor"), DR_END };
static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)n_in, (void)attr, (void)offset;
    out[0] = in[0];
    return DR_OK;
}
static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in;
    out[0] = dr_affine(((const dr_frozen_op_attr *)attr)->scale, in[0], 1.0);
    return dr_failed();
}
DR_OP_COMPONENT(frozen_op, "scale x + 1", op_params, .n_in = 1, .n_out = 1, .infer = infer, .compose = compose)

/* ---- networks -------------------------------------------------------------------------------------------------------------- */
typedef struct { int64_t unused; } frozen_inner;
static dr_tensor *pass(void *self, dr_tensor *x, dr_ctx *ctx) { (void)self, (void)ctx; return x; }
DR_BLOCK(frozen_inner, "x", NULL, .forward = pass, .example = "2,4")

typedef struct { int64_t width; dr_tensor *w; dr_tensor *count; dr_module *inner; } frozen_block;
static const dr_param block_params[] = { DR_INT(frozen_block, width, 4, 1, 64, "width"), DR_END };
static dr_status create(void *self, dr_builder *b)
{
    frozen_block *f = self;
    f->w = dr_weight(b, "w", 1, &f->width, (dr_init){ DR_INIT_CONSTANT, 2.0 });
    f->count = dr_buffer(b, "count", DR_F32, 1, &f->width, 3.0);
    f->inner = dr_child(b, "inner", "frozen_inner", DR_NO_ARGS);
    return dr_failed();
}
static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx) /* 2 x + 3 */
{
    const frozen_block *f = self;
    dr_scope_open();
    dr_tensor *y = dr_escape(dr_add(dr_mul(dr_call(f->inner, x, ctx), f->w), f->count));
    dr_scope_close();
    return dr_gate(ctx, 0, dr_modulate(ctx, 0, y));
}
DR_BLOCK(frozen_block, "2 x + 3", block_params, .create = create, .forward = forward, .example = "2,4")

typedef struct { dr_ints channels; } frozen_conditioning;
static const dr_param conditioning_params[] = { DR_INTS(frozen_conditioning, channels, 1, 4096, "the sites' widths"), DR_END };
static dr_status embed(void *self, dr_ctx *ctx, const dr_batch_cond *c, dr_embedding *e)
{
    (void)self, (void)ctx;
    e->vec = c->time;
    return DR_OK;
}
static dr_tensor *modulate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    (void)self, (void)ctx, (void)site;
    return dr_mul(h, dr_reshape(e->vec, 4, (int64_t[]){ -1, 1, 1, 1 }));
}
DR_CONDITIONING(frozen_conditioning, "h times the time", conditioning_params, .embed = embed, .modulate = modulate)

/* ---- processes and what stands around them: flow matching, x = (1-t) x0 + t eps --------------------------------------------- */
typedef struct { int64_t unused; } frozen_schedule, frozen_process, frozen_time_sampling, frozen_weighting, frozen_coupling, frozen_timesteps,
    frozen_guidance, frozen_clip, frozen_view, frozen_filter, frozen_ema, frozen_dataset, frozen_tokenizer;
static double beta(void *self, int64_t i, int64_t T) { (void)self; return 0.01 * (double)(i + 1) / (double)T; }
DR_SCHEDULE(frozen_schedule, "0.01 (i+1)/T", NULL, .beta = beta)
static double draw_t(void *self, double u) { (void)self; return u; }
static void coef(void *self, double t, dr_coef *c)
{
    (void)self;
    *c = (dr_coef){ .alpha = 1.0 - t, .sigma = t, .dalpha = -1.0, .dsigma = 1.0, .p = -1.0, .q = 1.0, .c_in = 1.0, .time = t, .weight = 1.0 };
}
static void range(void *self, double *t_noise, double *t_data, int64_t *steps) { (void)self; *t_noise = 1.0, *t_data = 0.0, *steps = 0; }
DR_PROCESS(frozen_process, "x = (1-t) x0 + t eps", NULL, .draw_t = draw_t, .coef = coef, .range = range)
static double draw(void *self, const dr_instance *process, double u) { (void)self; return dr_process_draw_t(process, u * u); }
DR_TIME_SAMPLING(frozen_time_sampling, "u^2", NULL, .draw = draw)
static double weight(void *self, const dr_coef *c) { (void)self; return c->alpha + 2.0 * c->sigma; }
DR_WEIGHTING(frozen_weighting, "alpha + 2 sigma", NULL, .weight = weight)
static dr_status pair(void *self, dr_tensor *x0, dr_tensor *eps, dr_tensor *label, int64_t *order)
{
    (void)self, (void)eps, (void)label;
    const int64_t n = dr_tensor_view(x0)->shape[0];
    for (int64_t i = 0; i < n; i++) order[i] = n - 1 - i;
    return DR_OK;
}
DR_COUPLING(frozen_coupling, "the other way round", NULL, .pair = pair)
static dr_status lay(void *self, dr_model *f, int64_t n, double *t)
{
    double from, to;
    int64_t steps;
    (void)self;
    dr_model_range(f, &from, &to, &steps);
    for (int64_t i = 0; i <= n; i++) t[i] = from + (to - from) * (double)(i * i) / (double)(n * n);
    t[n] = to;
    return DR_OK;
}
DR_TIMESTEPS(frozen_timesteps, "squares", NULL, .lay = lay)
typedef struct { int64_t steps; dr_instance *timesteps; } frozen_sampler;
static const dr_param sampler_params[] = { DR_INT(frozen_sampler, steps, 4, 1, 1000, "steps"),
                                           DR_COMPONENT_PARAM(frozen_sampler, timesteps, "timesteps:frozen_timesteps", "the grid"), DR_END };
static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    (void)self, (void)rng;
    return dr_axpy(t_next - t, dr_eval(f, x, t), x);
}
DR_SAMPLER(frozen_sampler, "Euler", sampler_params, .order = 1, .step = step)
static dr_tensor *eval(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    (void)self;
    return dr_scale(2.0, dr_predict(f, x, t, cond));
}
DR_GUIDANCE(frozen_guidance, "twice", NULL, .eval = eval)
static dr_tensor *clip(void *self, dr_tensor *x) { (void)self; return dr_clamp(x, -1.0, 1.0); }
DR_CLIP(frozen_clip, "[-1, 1]", NULL, .apply = clip)
static dr_tensor *negate(void *self, dr_tensor *x) { (void)self; return dr_scale(-1.0, x); }
DR_VIEW(frozen_view, "-x", NULL, .apply = negate, .invert = negate)
static dr_tensor *halve(void *self, dr_tensor *x) { (void)self; return dr_scale(0.5, x); }
DR_FILTER(frozen_filter, "x/2", NULL, .apply = halve)

/* ---- training ------------------------------------------------------------------------------------------------------------------ */
typedef struct { double lr; } frozen_optim;
static const dr_param optim_params[] = { DR_REAL(frozen_optim, lr, 0.1, 0.0, 10.0, "learning rate"), DR_END };
static dr_status descend(void *self, dr_optim_state *s)
{
    (void)self;
    for (int64_t i = 0; i < s->n && !dr_failed(); i++) {
        float w[4], g[4];
        if (dr_tensor_read(s->param[i], DR_F32, w) != DR_OK || dr_tensor_read(s->grad[i], DR_F32, g) != DR_OK) break;
        for (int k = 0; k < 4; k++) w[k] -= (float)s->lr * g[k];
        dr_tensor_write(s->param[i], DR_F32, w);
    }
    return dr_failed();
}
DR_OPTIMIZER(frozen_optim, "gradient descent of weights of 4 numbers", optim_params, .slots = 1, .slot_name = { "unused" }, .step = descend)
static double average(void *self, int64_t n) { (void)self; return 1.0 - 1.0 / (double)n; }
DR_EMA(frozen_ema, "1 - 1/n", NULL, .decay = average)

/* ---- data, judgement, text ------------------------------------------------------------------------------------------------------- */
static dr_status info(void *self, dr_split split, dr_dataset_info *i)
{
    (void)self;
    *i = (dr_dataset_info){ .n = split == DR_TRAIN ? 6 : 2, .channels = 1, .height = 2, .width = 2, .classes = 3, .source = "frozen" };
    return DR_OK;
}
static dr_status read_sample(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    (void)self, (void)split;
    for (int i = 0; i < 4; i++) image[i] = (float)index / 8.0F;
    *label = (int32_t)(index % 3);
    return DR_OK;
}
DR_DATASET(frozen_dataset, "grey squares", NULL, .info = info, .read = read_sample)
typedef struct { int64_t n; double sum; } frozen_metric;
static dr_status reset(void *self) { memset(self, 0, sizeof(frozen_metric)); return DR_OK; }
static dr_status update(void *self, dr_tensor *y, dr_tensor *label)
{
    frozen_metric *m = self;
    (void)label;
    m->n += dr_tensor_view(y)->shape[0];
    m->sum += dr_tensor_item(dr_sum(y, 0, NULL, 0));
    return dr_failed();
}
static int64_t samples(void *self) { return ((frozen_metric *)self)->n; }
static dr_status evaluate(void *self, const int64_t *rows, int64_t n, double *v) { (void)rows, (void)n; *v = ((frozen_metric *)self)->sum; return DR_OK; }
DR_METRIC(frozen_metric, "the sum of all", NULL, .space = DR_SPACE_PIXELS, .values = 1, .value_name = { "sum" }, .better = { 1 }, .reset = reset,
          .update = update, .samples = samples, .evaluate = evaluate)
static int32_t ids[64];
static char text_of[64];
static dr_status vocabulary(void *self, dr_tokenizer_info *i) { (void)self; *i = (dr_tokenizer_info){ .pieces = 256, .pad = 0, .eos = 1, .unk = -1 }; return DR_OK; }
static const int32_t *encode(void *self, const char *t, size_t bytes, int64_t *n)
{
    (void)self;
    for (*n = 0; *n < (int64_t)bytes && *n < 64; (*n)++) ids[*n] = (unsigned char)t[*n];
    return ids;
}
static const char *decode(void *self, const int32_t *t, int64_t n, size_t *bytes)
{
    (void)self;
    for (*bytes = 0; *bytes < (size_t)n && *bytes < 64; (*bytes)++) text_of[*bytes] = (char)t[*bytes];
    return text_of;
}
static const char *normalize(void *self, const char *t, size_t bytes, size_t *n) { (void)self; *n = bytes; return t; }
DR_TOKENIZER(frozen_tokenizer, "bytes", NULL, .info = vocabulary, .encode = encode, .decode = decode, .normalize = normalize)

static double frozen_export(double a, int64_t b) { return a * (double)b; }
DR_EXPORT(frozen_export, "real(real,int)", "a product")

DR_PLUGIN("frozen_v1_0", "1.0", "a component of every kind, as ABI 1.0 has them")
