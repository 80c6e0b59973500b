/* Components that break a promise when they are called: `how` says which. tests/lua/misbehaving_components_spec.lua has what
 * is to be said of each; with how = "well" each does as it should. */
#include <drift/plugin.h>
#include <math.h>
#include <string.h>

enum { WELL = 0, FAILS, SAYS_NOTHING, GIVES_NOTHING, FAILS_AND_SAYS_OK, NO_STATUS, SHAPE, DTYPE, NOT_FINITE, CLOSES_SCOPE, LEAVES_SCOPE, LIES,
       MANY };
#define HOW "well|fails|says_nothing|gives_nothing|fails_and_says_ok|no_status|shape|dtype|not_finite|closes_scope|leaves_scope|lies|many"

typedef struct { int64_t how; } bad_create, bad_guidance, bad_filter, bad_view, bad_coupling, bad_dataset, bad_decay, bad_ema, bad_block;
typedef struct { int64_t how; } bad_schedule, bad_timesteps, bad_time_sampling, bad_weighting;
typedef struct { int64_t how, steps; } bad_sampler;
typedef struct { int64_t how; } bad_clip, bad_tokenizer;
static const dr_param params[] = { DR_ENUM(bad_clip, how, WELL, HOW, "what it does wrongly"), DR_END };

static int64_t how_of(const void *self) { return *(const int64_t *)self; } /* the first field of all of them */

static dr_status status_of(const void *self)
{
    switch (how_of(self)) {
    case FAILS: return dr_fail(DR_EUNSUPPORTED, "the moon is not full");
    case SAYS_NOTHING: return DR_EIO;
    case FAILS_AND_SAYS_OK: dr_fail(DR_EUNSUPPORTED, "the moon is not full"); return DR_OK;
    case NO_STATUS: return (dr_status)4711;
    case CLOSES_SCOPE: dr_scope_close(); return DR_OK;
    case LEAVES_SCOPE: dr_scope_open(), dr_scope_open(); return DR_OK;
    default: return DR_OK;
    }
}

static dr_tensor *tensor_of(const void *self, dr_tensor *x)
{
    switch (how_of(self)) {
    case FAILS: dr_fail(DR_EUNSUPPORTED, "the moon is not full"); return NULL;
    case GIVES_NOTHING: return NULL;
    case FAILS_AND_SAYS_OK: dr_fail(DR_EUNSUPPORTED, "the moon is not full"); return x;
    case SHAPE: return dr_slice(x, 0, 0, 1);
    case DTYPE: return dr_cast(x, DR_I32);
    case NOT_FINITE: return dr_scale(NAN, x);
    case CLOSES_SCOPE: for (int i = 0; i < 300; i++) dr_scope_close(); return dr_scale(1.0, x);
    case LEAVES_SCOPE: dr_scope_open(); return dr_scale(1.0, x);
    default: return x;
    }
}

static double number_of(const void *self, double well)
{
    switch (how_of(self)) {
    case FAILS: dr_fail(DR_EUNSUPPORTED, "the moon is not full"); return well;
    case NOT_FINITE: return NAN;
    case CLOSES_SCOPE: dr_scope_close(); return well;
    case LEAVES_SCOPE: dr_scope_open(); return well;
    case LIES: return -17.0;
    default: return well;
    }
}

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    (void)f, (void)t, (void)t_next, (void)rng;
    return tensor_of(self, x);
}
static const dr_param sampler_params[] = { DR_ENUM(bad_sampler, how, WELL, HOW, "what it does wrongly"),
                                           DR_INT(bad_sampler, steps, 3, 1, 100, "steps"), DR_END };
DR_SAMPLER(bad_sampler, "misbehaves", sampler_params, .step = step)

static dr_tensor *eval(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    return tensor_of(self, dr_predict(f, x, t, cond));
}
DR_GUIDANCE(bad_guidance, "misbehaves", params, .eval = eval)

static dr_tensor *apply(void *self, dr_tensor *x) { return tensor_of(self, x); }
DR_CLIP(bad_clip, "misbehaves", params, .apply = apply)
DR_FILTER(bad_filter, "misbehaves", params, .apply = apply)
DR_VIEW(bad_view, "misbehaves", params, .apply = apply, .invert = apply)
static dr_status create(void *self) { return status_of(self); }
static dr_tensor *as_it_is(void *self, dr_tensor *x) { (void)self; return x; }
DR_FILTER(bad_create, "misbehaves", params, .apply = as_it_is, .create = create)

static dr_status lay(void *self, dr_model *f, int64_t n, double *t)
{
    double noise, data;
    int64_t chain;
    dr_model_range(f, &noise, &data, &chain);
    for (int64_t i = 0; i <= n; i++) t[i] = how_of(self) == LIES ? 0.5 : how_of(self) == NOT_FINITE ? NAN : noise + (data - noise) * (double)i / (double)n;
    return status_of(self);
}
DR_TIMESTEPS(bad_timesteps, "misbehaves", params, .lay = lay)

static dr_status pair(void *self, dr_tensor *x0, dr_tensor *eps, dr_tensor *label, int64_t *order)
{
    (void)eps, (void)label;
    for (int64_t i = 0; i < dr_tensor_view(x0)->shape[0]; i++) order[i] = how_of(self) == LIES ? 1000000 : how_of(self) == MANY ? 0 : i;
    return status_of(self);
}
DR_COUPLING(bad_coupling, "misbehaves", params, .pair = pair)

static double beta(void *self, int64_t i, int64_t T) { (void)i, (void)T; return number_of(self, 0.01); }
DR_SCHEDULE(bad_schedule, "misbehaves", params, .beta = beta)
static double draw(void *self, const dr_instance *process, double u) { return number_of(self, dr_process_draw_t(process, u)); }
DR_TIME_SAMPLING(bad_time_sampling, "misbehaves", params, .draw = draw)
static double weight(void *self, const dr_coef *c) { (void)c; return number_of(self, 1.0); }
DR_WEIGHTING(bad_weighting, "misbehaves", params, .weight = weight)
static double factor(void *self, double epoch, int64_t epochs) { (void)epoch, (void)epochs; return number_of(self, 1.0); }
DR_DECAY(bad_decay, "misbehaves", params, .factor = factor)
static double decay(void *self, int64_t n) { (void)n; return number_of(self, 0.5); }
DR_EMA(bad_ema, "misbehaves", params, .decay = decay)

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx) { (void)ctx; return tensor_of(self, x); }
DR_BLOCK(bad_block, "misbehaves", params, .forward = forward, .example = "2,1,4,4")
static dr_status declare(void *self, dr_builder *b)
{
    if (how_of(self) == LIES) dr_weight(b, "one", 1, (int64_t[]){ -3 }, DR_INIT_ZEROS);
    if (how_of(self) == MANY) dr_weight(b, "one", 1, (int64_t[]){ 3 }, DR_INIT_ZEROS), dr_weight(b, "one", 1, (int64_t[]){ 4 }, DR_INIT_ZEROS);
    return status_of(self);
}
typedef struct { int64_t how; } bad_layer;
static dr_tensor *pass(void *self, dr_tensor *x, dr_ctx *ctx) { (void)self, (void)ctx; return x; }
DR_BLOCK(bad_layer, "misbehaves", params, .create = declare, .forward = pass, .example = "2,1,4,4")

typedef struct { int64_t how; dr_ints channels; } bad_modulation;
static const dr_param modulation_params[] = { DR_ENUM(bad_modulation, how, WELL, HOW, "what it does wrongly"),
                                              DR_INTS(bad_modulation, channels, 1, 4096, "the sites' widths"), DR_END };
static dr_status embed(void *self, dr_ctx *ctx, const dr_batch_cond *c, dr_embedding *e) { (void)self, (void)ctx, (void)c, (void)e; return DR_OK; }
static dr_tensor *modulate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    (void)ctx, (void)site, (void)e;
    return tensor_of(self, h);
}
DR_CONDITIONING(bad_modulation, "misbehaves", modulation_params, .embed = embed, .modulate = modulate)

static dr_status optim_step(void *self, dr_optim_state *s) { (void)s; return status_of(self); }
typedef struct { int64_t how; double lr; } bad_steps;
static const dr_param optim_params[] = { DR_ENUM(bad_steps, how, WELL, HOW, "what it does wrongly"), DR_REAL(bad_steps, lr, 0.1, 0.0, 1.0, "learning rate"), DR_END };
DR_OPTIMIZER(bad_steps, "misbehaves", optim_params, .step = optim_step)

static dr_status info(void *self, dr_split split, dr_dataset_info *out)
{
    (void)split;
    *out = (dr_dataset_info){ .n = how_of(self) == GIVES_NOTHING ? 0 : how_of(self) == LIES ? -5 : 10, .channels = 1, .height = 4, .width = 4,
                              .classes = 3, .source = "nowhere" };
    return how_of(self) == SAYS_NOTHING || how_of(self) == NO_STATUS ? status_of(self) : DR_OK;
}
static dr_status read_sample(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    (void)split;
    const int64_t how = how_of(self);
    for (int i = 0; i < (how == SHAPE ? 17 : 16); i++) image[i] = 0.5F;
    *label = how == MANY ? 3 : (int32_t)(index % 3);
    return how == FAILS || how == FAILS_AND_SAYS_OK ? status_of(self) : DR_OK;
}
DR_DATASET(bad_dataset, "misbehaves", params, .info = info, .read = read_sample)

typedef struct { int64_t how, n; } bad_judge;
static const dr_param judge_params[] = { DR_ENUM(bad_judge, how, WELL, HOW, "what it does wrongly"), DR_END };
static dr_status reset(void *self) { ((bad_judge *)self)->n = 0; return DR_OK; }
static dr_status update(void *self, dr_tensor *y, dr_tensor *label)
{
    (void)label;
    ((bad_judge *)self)->n += dr_tensor_view(y)->shape[0];
    return how_of(self) == SAYS_NOTHING ? DR_EIO : DR_OK;
}
static int64_t samples(void *self) { return how_of(self) == MANY ? -4 : ((bad_judge *)self)->n; }
static dr_status evaluate(void *self, const int64_t *r, int64_t n, double *value)
{
    (void)r, (void)n;
    *value = how_of(self) == LIES ? 1.5 : 0.5;
    return how_of(self) == LIES ? DR_OK : status_of(self);
}
DR_METRIC(bad_judge, "misbehaves", judge_params, .space = DR_SPACE_PIXELS, .values = 1, .value_name = { "share" }, .range = { { 0.0, 1.0 } },
          .reset = reset, .update = update, .samples = samples, .evaluate = evaluate)

DR_PLUGIN("misbehaves", "1.0", "components that break their promises when they are called")
