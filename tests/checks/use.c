/* use.c: one use of a component of each kind, with its default parameters: it is made, put to work as programs do, and
 * ended. What came of it is kept as numbers. What holds for every kind is checked with it (common.c): the same bits
 * each time, no memory left behind, errors where memory runs out. So nothing here stops half-way: after an error all
 * that follows is NULL. */
#include "kinds.h"

#include <math.h>

static void take_number(use_results *out, double value)
{
    if (out->n == out->capacity) {
        const int64_t capacity = out->capacity ? 2 * out->capacity : 1024;
        double *v = realloc(out->v, (size_t)capacity * sizeof *v);
        if (!v) {
            out->out_of_room = true;
            return;
        }
        out->v = v;
        out->capacity = capacity;
    }
    out->v[out->n++] = value;
}

static void take(use_results *out, dr_tensor *t)
{
    const dr_view *v = dr_tensor_view(t);
    if (!v || dr_failed()) return;
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->shape[i], take_number(out, (double)v->shape[i]);
    double *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x);
    if (x && dr_tensor_read(t, DR_F64, x) == DR_OK) {
        for (int64_t i = 0; i < n; i++) take_number(out, x[i]);
    }
    free(x);
}

void use_results_free(use_results *r)
{
    free(r->v);
    *r = (use_results){ 0 };
}

int64_t use_first_difference(const use_results *a, const use_results *b, double share)
{
    double largest = 1e-3;
    for (int64_t i = 0; i < a->n; i++) largest = isfinite(a->v[i]) ? fmax(largest, fabs(a->v[i])) : largest;
    for (int64_t i = 0; i < a->n || i < b->n; i++) {
        if (i >= a->n || i >= b->n) return i;
        if (a->v[i] == b->v[i] || (isnan(a->v[i]) && isnan(b->v[i]))) continue;
        if (!(fabs(a->v[i] - b->v[i]) <= share * largest)) return i;
    }
    return -1;
}

static const int32_t FEW_LABELS[] = { 1, 0, 2, 1, 2, 0, 1, 2, 0, 1, 2, 0 };
static dr_tensor *labels(int64_t n) { return dr_tensor_from(DR_I32, 1, &n, FEW_LABELS); }

static dr_instance *made(const dr_component *c)
{
    walk_args a;
    default_args(c, &a);
    return dr_instance_new(kind_of(c), c->name, a.args);
}

/* ---- networks ---------------------------------------------------------------------------------------------------- */

static void take_gradients(dr_module *root, use_results *out)
{
    for (int64_t i = 0; i < dr_module_named_count(root) && !dr_failed(); i++)
        take(out, dr_grad(dr_module_named_at(root, i)->tensor));
}

static dr_tensor *random_sum(dr_tensor *y)
{
    const dr_view *v = dr_tensor_view(y);
    return v ? dr_sum(dr_mul(y, noise((dr_dtype)v->dtype, v->rank, v->shape, 2)), 0, NULL, false) : NULL;
}

static dr_module *network(const dr_component *c, const char *kind)
{
    walk_args a;
    default_args(c, &a);
    dr_module *root = dr_module_group(NULL, "test");
    if (!root) return NULL;
    dr_module_seed(root, 3);
    dr_module_create(root, "b", kind, c->name, a.args);
    return root;
}

static void use_block(const dr_component *c, use_results *out)
{
    const block_inputs in = block_input(c, DR_F32);
    dr_module *root = network(c, "block");
    if (!dr_failed()) {
        for (int i = 0; i < in.n; i++) {
            if (in.t[i]) dr_requires_grad(in.t[i], true);
        }
        dr_tensor *y = block_run(root, true, &in);
        take(out, y);
        if (y && dr_backward(random_sum(y), NULL) == DR_OK) take_gradients(root, out);
        for (int i = 0; i < in.n && !dr_failed(); i++) take(out, dr_grad(in.t[i]));
        if (!dr_failed()) take(out, block_run(root, false, &in));
        for (int64_t i = 0; i < dr_module_named_count(root) && !dr_failed(); i++) { /* running statistics too */
            if (dr_module_named_at(root, i)->is_buffer) take(out, dr_module_named_at(root, i)->tensor);
        }
    }
    dr_module_free(root);
}

static void use_conditioning(const dr_component *c, use_results *out)
{
    enum { B = 3 };
    dr_module *root = network(c, "conditioning");
    if (!dr_failed()) {
        dr_module *m = dr_module_child_at(root, 0);
        const dr_batch_cond cond = { .time = dr_tensor_full(DR_F32, DR_SHAPE(B), 0.3), .label = labels(B) };
        dr_embedding e;
        dr_tensor *h = noise(DR_F32, DR_SHAPE(B, 4, 5, 5), 1);
        dr_tensor *y = dr_module_embed(m, &cond, &e) == DR_OK ? dr_module_modulate(m, 0, h, &e) : NULL;
        y = y ? dr_module_gate(m, 0, y, &e) : NULL;
        take(out, y);
        if (y && dr_backward(random_sum(y), NULL) == DR_OK) take_gradients(root, out);
    }
    dr_module_free(root);
}

/* ---- diffusion --------------------------------------------------------------------------------------------------- */

static void use_schedule(const dr_component *c, use_results *out)
{
    dr_instance *s = made(c);
    for (int64_t i = 0; s && i < 50; i++) take_number(out, dr_schedule_beta(s, i, 50));
    dr_instance_free(s);
}

static void take_coef(use_results *out, const dr_instance *p, double t)
{
    dr_coef c = { 0 };
    dr_process_coef(p, t, &c);
    const double v[] = { c.alpha, c.sigma, c.dalpha, c.dsigma, c.p, c.q, c.c_in, c.time, c.weight };
    for (int i = 0; i < 9; i++) take_number(out, v[i]);
}

static void use_process(const dr_component *c, use_results *out)
{
    dr_instance *p = made(c);
    double t_noise = 0.0, t_data = 0.0;
    int64_t steps;
    if (p) dr_process_range(p, &t_noise, &t_data, &steps);
    for (int i = 0; p && i < 20; i++) {
        take_coef(out, p, t_noise + (t_data - t_noise) * (i + 0.35) / 20);
        take_number(out, dr_process_draw_t(p, i / 20.0));
    }
    dr_instance_free(p);
}

static void use_time_sampling(const dr_component *c, use_results *out)
{
    dr_instance *ts = made(c), *p = dr_instance_new("process", "flow_matching", DR_NO_ARGS);
    double t = 0.0;
    for (int i = 0; p && i < 50 && dr_draw_time(p, ts, i / 50.0, &t) == DR_OK; i++) take_number(out, t);
    dr_instance_free(p);
    dr_instance_free(ts);
}

static void use_weighting(const dr_component *c, use_results *out)
{
    dr_instance *w = made(c), *p = dr_instance_new("process", "flow_matching", DR_NO_ARGS);
    for (int i = 0; p && i < 20; i++) {
        dr_coef at;
        double weight;
        dr_process_coef(p, (i + 0.5) / 20.0, &at);
        if (dr_weigh(w, &at, &weight) == DR_OK) take_number(out, weight);
    }
    dr_instance_free(p);
    dr_instance_free(w);
}

static void use_coupling(const dr_component *c, use_results *out)
{
    dr_instance *p = made(c);
    take(out,
         p ? dr_pair(p, noise(DR_F32, DR_SHAPE(12, 5, 1, 1), 1), noise(DR_F32, DR_SHAPE(12, 5, 1, 1), 2), labels(12))
           : NULL);
    dr_instance_free(p);
}

/* A network of no meaning: a third of its input, moved by what labels are not dropped. */
static dr_tensor *plain_network(void *ctx, dr_tensor *x, const dr_batch_cond *cond)
{
    (void)ctx;
    dr_tensor *y = dr_scale(0.3, x);
    const dr_view *v = dr_tensor_view(x);
    if (!cond->label || !v) return y;
    dr_tensor *label = dr_cast(cond->label, (dr_dtype)v->dtype);
    if (cond->mask) label = dr_mul(label, dr_cast(cond->mask, (dr_dtype)v->dtype));
    const int64_t n = dr_tensor_view(label) ? dr_tensor_view(label)->shape[0] : 1;
    return dr_add(y, dr_reshape(dr_scale(0.1, label), DR_SHAPE(n, 1, 1, 1)));
}

typedef struct world_in_use {
    dr_instance *process;
    dr_model *f;
} world_in_use;

static world_in_use model_in_use(const char *process)
{
    world_in_use w = { .process = dr_instance_new("process", process, DR_NO_ARGS) };
    w.f = w.process ? dr_model_new(w.process, plain_network, NULL) : NULL;
    if (w.f) dr_model_network(w.f, "weak", plain_network, NULL);
    return w;
}

static void end_model(world_in_use *w)
{
    if (w->f) dr_model_free(w->f);
    dr_instance_free(w->process);
}

static void use_sampler(const dr_component *c, use_results *out)
{
    walk_args a;
    default_args(c, &a);
    if (has_param(c, "steps")) add_arg(&a, (dr_arg)DR_I("steps", 4));
    world_in_use w = model_in_use("ddpm"); /* alpha^2 + sigma^2 = 1, which some ask for */
    dr_instance *sampler = dr_instance_new("sampler", c->name, a.args);
    const dr_rng rng = { .seed = 9, .purpose = dr_purpose("sampler"), .sample = 20 };
    if (sampler && w.f)
        take(out, dr_sample(w.f, sampler, noise(DR_F32, DR_SHAPE(2, 1, 4, 4), 1), rng, NULL, 0, NULL, NULL));
    dr_instance_free(sampler);
    end_model(&w);
}

static void use_timesteps(const dr_component *c, use_results *out)
{
    walk_args a;
    default_args(c, &a);
    const dr_arg arg[] = { DR_I("steps", 7),
                           { .name = "timesteps", .type = DR_PARAM_COMPONENT, .text = c->name, .children = &a.args } };
    dr_instance *process = dr_instance_new("process", "ddpm", DR_NO_ARGS);
    dr_instance *sampler = process ? dr_instance_new("sampler", "euler", (dr_args){ arg, 2 }) : NULL;
    dr_model *f = sampler ? dr_model_new(process, plain_network, NULL) : NULL;
    double *t = NULL;
    int64_t n = 0;
    if (f && dr_sample_grid(f, sampler, &t, &n) == DR_OK) {
        for (int64_t i = 0; i <= n; i++) take_number(out, t[i]);
    }
    free(t);
    if (f) dr_model_free(f);
    dr_instance_free(sampler);
    dr_instance_free(process);
}

static void use_guidance(const dr_component *c, use_results *out)
{
    world_in_use w = model_in_use("flow_matching");
    dr_instance *g = made(c);
    if (w.f && g) {
        dr_tensor *x = noise(DR_F32, DR_SHAPE(2, 1, 4, 4), 1);
        dr_model_guide(w.f, g);
        if (dr_model_condition(w.f, labels(2), NULL, NULL) == DR_OK) {
            for (int i = 1; i < 4; i++) take(out, dr_eval(w.f, x, 0.25 * i));
        }
    }
    if (w.f) dr_model_free(w.f);
    dr_instance_free(g);
    dr_instance_free(w.process);
}

/* ---- images ------------------------------------------------------------------------------------------------------ */

static void use_clip(const dr_component *c, use_results *out)
{
    dr_instance *i = made(c);
    if (i) take(out, ((const dr_clip *)i->iface)->apply(i->self, noise(DR_F32, DR_SHAPE(2, 3, 5, 7), 1)));
    dr_instance_free(i);
}

static void use_filter(const dr_component *c, use_results *out)
{
    dr_instance *i = made(c);
    if (i) take(out, dr_filter_apply(i, noise(DR_F32, DR_SHAPE(2, 3, 40, 48), 1)));
    dr_instance_free(i);
}

static void use_view(const dr_component *c, use_results *out)
{
    dr_instance *i = made(c);
    dr_tensor *y = i ? dr_image_view_apply(i, noise(DR_F32, DR_SHAPE(2, 3, 64, 64), 1)) : NULL;
    take(out, y);
    if (y) take(out, dr_image_view_invert(i, y));
    dr_instance_free(i);
}

/* ---- training ---------------------------------------------------------------------------------------------------- */

static void use_optim(const dr_component *c, use_results *out)
{
    static const char *const path[] = { "w" };
    dr_instance *i = made(c);
    dr_tensor *w = dr_keep(dr_requires_grad(noise(DR_F32, DR_SHAPE(3, 4), 1), true));
    dr_optim *o = i && w ? dr_optim_new(i, &w, path, 1) : NULL;
    for (int k = 0; o && k < 4 && !dr_failed(); k++) {
        dr_scope_open();
        if (dr_backward(dr_sum(dr_square(w), 0, NULL, false), NULL) == DR_OK) dr_optim_step(o, 1.0);
        dr_scope_close();
    }
    take(out, w);
    if (o) dr_optim_free(o);
    dr_instance_free(i);
    dr_release(w);
}

static void use_decay(const dr_component *c, use_results *out)
{
    dr_instance *i = made(c);
    for (int e = 0; i && e <= 9; e++) take_number(out, ((const dr_decay *)i->iface)->factor(i->self, e, 9));
    dr_instance_free(i);
}

static void use_ema(const dr_component *c, use_results *out)
{
    dr_instance *i = made(c);
    for (int k = 1; i && k < 1000; k *= 2) take_number(out, ((const dr_ema *)i->iface)->decay(i->self, k));
    dr_instance_free(i);
}

static void use_metric(const dr_component *c, use_results *out)
{
    dr_instance *m = made(c);
    dr_metric_value v[DR_METRIC_VALUES];
    if (m) {
        const bool pixels = ((const dr_metric *)m->iface)->space == DR_SPACE_PIXELS;
        const int64_t image[] = { 12, 1, 4, 4 }, row[] = { 12, 3 };
        for (uint32_t k = 0; k < 3 && !dr_failed(); k++) {
            dr_tensor *rows = noise(DR_F32, pixels ? 4 : 2, pixels ? image : row, 1 + k);
            if (k < 2) dr_metric_reference(m, rows, k ? DR_TEST : DR_TRAIN);
            else dr_metric_update(m, rows, labels(12));
        }
        const dr_resampling how = { .resamples = 5, .confidence = 0.9, .seed = 1 };
        if (!dr_failed() && dr_metric_result(m, &how, v) == DR_OK) {
            for (int k = 0; k < dr_metric_values(m); k++)
                take_number(out, v[k].value), take_number(out, v[k].low), take_number(out, v[k].high);
        }
    }
    dr_instance_free(m);
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

static void take_split(const dr_dataset *api, void *self, dr_split split, use_results *out)
{
    dr_dataset_info info = { 0 };
    if (api->info(self, split, &info) != DR_OK || dr_failed() || info.n < 1) return;
    const int64_t size = info.channels * info.height * info.width;
    if (size < 1 || size > 1 << 24) return;
    float *image = malloc((size_t)size * sizeof *image);
    for (int64_t k = 0; image && k < 3 && !dr_failed(); k++) {
        int32_t label = 0;
        if (api->read(self, split, k * (info.n - 1) / 2, image, &label) != DR_OK) break;
        for (int64_t i = 0; i < size; i++) take_number(out, image[i]);
        if (info.classes > 0) take_number(out, label);
    }
    free(image);
}

static void use_dataset(const dr_component *c, use_results *out)
{
    dr_instance *d = made(c);
    if (d) {
        take_split(d->iface, d->self, DR_TRAIN, out);
        if (!dr_failed()) take_split(d->iface, d->self, DR_TEST, out);
    }
    dr_instance_free(d);
}

static void use_tokenizer(const dr_component *c, use_results *out)
{
    static const char text[] = "a photo of a lighthouse, at night; \xc3\xa9t\xc3\xa9 42";
    dr_instance *t = made(c);
    if (t) {
        const dr_tokenizer *api = t->iface;
        int64_t n = 0;
        size_t bytes = 0;
        const int32_t *ids = api->encode(t->self, text, sizeof text - 1, &n);
        for (int64_t i = 0; ids && i < n; i++) take_number(out, ids[i]);
        const char *again = ids ? api->decode(t->self, ids, n, &bytes) : NULL;
        for (size_t i = 0; again && i < bytes; i++) take_number(out, again[i]);
    }
    dr_instance_free(t);
}

void use_results_take(use_results *out, dr_tensor *t) { take(out, t); }

/* ---- by kind ----------------------------------------------------------------------------------------------------- */

static const struct use_row {
    const char *kind;
    void (*use)(const dr_component *c, use_results *out);
} uses[] = {
    { "block", use_block },
    { "conditioning", use_conditioning },
    { "schedule", use_schedule },
    { "process", use_process },
    { "time_sampling", use_time_sampling },
    { "weighting", use_weighting },
    { "coupling", use_coupling },
    { "sampler", use_sampler },
    { "timesteps", use_timesteps },
    { "guidance", use_guidance },
    { "clip", use_clip },
    { "filter", use_filter },
    { "view", use_view },
    { "optim", use_optim },
    { "decay", use_decay },
    { "ema", use_ema },
    { "metric", use_metric },
    { "dataset", use_dataset },
    { "tokenizer", use_tokenizer },
    { "op", use_op },
};

static const struct use_row *row_of(const dr_component *c)
{
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        if (is_kind(c, uses[i].kind)) return &uses[i];
    }
    return NULL;
}

bool component_has_use(const dr_component *c) { return row_of(c) != NULL; }

void component_use(const dr_component *c, use_results *out)
{
    *out = (use_results){ 0 };
    dr_scope_open();
    row_of(c)->use(c, out);
    dr_scope_close();
    out->status = dr_failed();
}
