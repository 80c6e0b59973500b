/* reload_plugin.h: a plugin for the tests of hot reload, compiled by them in versions: cc -x c -DFACTOR=3 -DNEW_WEIGHT ...
 * All that its components do is to multiply by FACTOR; the other macros say in what a version differs. */
#ifndef DRIFT_TESTS_RELOAD_PLUGIN_H
#define DRIFT_TESTS_RELOAD_PLUGIN_H
#include <drift/kernel.h>
#include <stdlib.h>

#ifndef FACTOR
#define FACTOR 2.0
#endif
#ifdef DOES_NOT_COMPILE
this is no C
#endif
#ifndef SAMPLES
#define SAMPLES 8
#endif

/* ---- a block with a weight and a buffer -------------------------------------------------------------------------- */
#ifndef NO_BLOCK
typedef struct {
    int64_t features;
#ifndef NO_SCALE
    double scale;
#endif
#ifdef NEW_PARAMETER
    double offset;
#endif
    dr_instance *schedule; /* a component to hold */
    dr_tensor *gain, *count;
    double beta;
    void *memory;
} changing;

static const dr_param changing_params[] = {
    DR_INT_REQUIRED(changing, features, 1, 1000, "width"),
#ifndef NO_SCALE
#ifndef SCALE_DEFAULT
#define SCALE_DEFAULT 1.0
#endif
    DR_REAL(changing, scale, SCALE_DEFAULT, -100, 100, "a factor"),
#endif
#ifdef NEW_PARAMETER
    DR_REAL(changing, offset, 10.0, -100, 100, "a summand"),
#endif
    DR_COMPONENT_PARAM(changing, schedule, "schedule:changing_schedule", "something to hold"),
    DR_END
};

static dr_status changing_create(void *self, dr_builder *b)
{
    changing *c = self;
#ifdef CREATE_FAILS
    return dr_fail(DR_EINVAL, "block changing: not today");
#endif
#ifdef OTHER_SHAPE
    c->gain = dr_weight(b, "gain", DR_SHAPE(c->features, 2), DR_INIT_ONES);
#elif defined OTHER_NAME
    c->gain = dr_weight(b, "amplification", DR_SHAPE(c->features), DR_INIT_ONES);
#elif !defined NO_WEIGHT
    c->gain = dr_weight(b, "gain", DR_SHAPE(c->features), DR_INIT_ONES);
#endif
#ifdef NEW_WEIGHT
    dr_weight(b, "bias", DR_SHAPE(c->features), DR_INIT_ZEROS);
#endif
#ifdef BUFFER_IS_WEIGHT
    c->count = dr_weight(b, "count", DR_SHAPE(1), DR_INIT_ZEROS);
#else
    c->count = dr_buffer(b, "count", DR_F32, DR_SHAPE(1), 0.0);
#endif
#ifdef WRITES
    const float zero[1000] = { 0 };
    dr_tensor_write(c->gain, DR_F32, zero);
    dr_tensor_write(c->count, DR_F32, zero);
#endif
#ifdef WRITES_AND_FAILS
    return dr_fail(DR_EINVAL, "block changing: after it wrote");
#endif
    c->beta = dr_schedule_beta(c->schedule, 0, 1);
    return dr_failed();
}

static dr_tensor *changing_forward(void *self, dr_tensor *x, dr_ctx *ctx) /* [B,features] */
{
    const changing *c = self;
    (void)ctx;
#ifdef FORWARD_FAILS
    dr_fail(DR_EINVAL, "block changing: not like this");
#endif
    double scale = FACTOR;
#ifndef NO_SCALE
    scale *= c->scale;
#endif
    dr_tensor *y = dr_scale(scale, dr_mul(x, c->gain));
#ifdef NEW_PARAMETER
    y = dr_affine(1.0, y, c->offset);
#endif
    return y;
}

DR_BLOCK(changing, "x times a weight", changing_params, .create = changing_create, .forward = changing_forward, .example = "2,4",
         .example_args = DR_STATIC_ARGS(DR_I("features", 4)))
#endif

/* ---- a block of others: children of this plugin and of another --------------------------------------------------- */
typedef struct {
    int64_t features;
    dr_instance *part;
    dr_module *first, *second, *held;
} changing_pair;

static const dr_param pair_params[] = {
    DR_INT_REQUIRED(changing_pair, features, 1, 1000, "width"),
    DR_COMPONENT_PARAM(changing_pair, part, "block", "a block as a part"),
    DR_END
};

static dr_status pair_create(void *self, dr_builder *b)
{
    changing_pair *p = self;
    const dr_args linear = DR_ARGS(DR_I("in_features", p->features), DR_I("out_features", p->features));
#ifdef CHILDREN_TURNED
    p->second = dr_child(b, "second", "linear", linear);
#endif
    p->first = dr_child(b, "first", "changing", DR_ARGS(DR_I("features", p->features)));
#ifndef CHILDREN_TURNED
    p->second = dr_child(b, "second", "linear", linear);
#endif
    if (p->part) p->held = dr_child_from(b, "held", p->part);
    return dr_failed();
}

static dr_tensor *pair_forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const changing_pair *p = self;
    dr_tensor *y = dr_call(p->second, dr_call(p->first, x, ctx), ctx);
    return p->held ? dr_call(p->held, y, ctx) : y;
}

DR_BLOCK(changing_pair, "two blocks", pair_params, .create = pair_create, .forward = pair_forward, .example = "2,4",
         .example_args = DR_STATIC_ARGS(DR_I("features", 4)))

/* ---- schedule, process: a table is made in create() --------------------------------------------------------------- */
typedef struct {
    double unit;
} changing_schedule;

static const dr_param schedule_params[] = { DR_REAL(changing_schedule, unit, 0.01, 0, 0.1, "beta of one"), DR_END };

static double beta(void *self, int64_t i, int64_t T)
{
    (void)i, (void)T;
    return FACTOR * ((const changing_schedule *)self)->unit;
}

DR_SCHEDULE(changing_schedule, "constant", schedule_params, .beta = beta)

typedef struct {
    dr_instance *schedule;
    double *table;
} changing_process;

static const dr_param process_params[] = { DR_COMPONENT_PARAM(changing_process, schedule, "schedule:linear", "its noise"), DR_END };

static dr_status process_create(void *self)
{
    changing_process *p = self;
    p->table = malloc(sizeof *p->table);
    if (!p->table) return dr_fail(DR_ENOMEM, "no memory");
    *p->table = dr_schedule_beta(p->schedule, 0, 10);
    return DR_OK;
}

static void process_destroy(void *self) { free(((changing_process *)self)->table); }
static double process_draw(void *self, double u) { return (void)self, u; }

static void process_coef(void *self, double t, dr_coef *c)
{
    *c = (dr_coef){ .alpha = 1.0, .sigma = t, .dsigma = 1.0, .q = 1.0, .c_in = FACTOR, .time = t,
                    .weight = *((const changing_process *)self)->table };
}

static void process_range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    (void)self;
    *t_noise = 1.0, *t_data = 0.0, *steps = 0;
}

DR_PROCESS(changing_process, "noise added to the data", process_params, .create = process_create, .destroy = process_destroy,
           .draw_t = process_draw, .coef = process_coef, .range = process_range)

/* ---- sampler, guidance, decay ------------------------------------------------------------------------------------- */
typedef struct {
    int64_t steps;
} changing_sampler;

static const dr_param sampler_params[] = { DR_INT(changing_sampler, steps, 2, 1, 1000, "steps"), DR_END };

static dr_tensor *sampler_step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    (void)self, (void)rng;
    return dr_axpy(FACTOR * (t_next - t), dr_eval(f, x, t), x);
}

DR_SAMPLER(changing_sampler, "a step", sampler_params, .step = sampler_step, .order = 1)

typedef struct {
    double unused;
} changing_guidance;

static dr_tensor *guide(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    (void)self;
    return dr_scale(FACTOR, dr_predict(f, x, t, cond));
}

DR_GUIDANCE(changing_guidance, "a factor", NULL, .eval = guide)

typedef struct {
    double rate;
    dr_function curve;
} changing_decay;

static const dr_param decay_params[] = {
    DR_REAL(changing_decay, rate, 0.5, 0, 1, "a rate"),
    DR_FUNCTION(changing_decay, curve, "real(real)", "its form"),
    DR_END
};

static double decay_factor(void *self, double epoch, int64_t epochs)
{
    const changing_decay *d = self;
    (void)epochs;
    return FACTOR * (d->curve ? ((double (*)(double))d->curve)(epoch) : d->rate);
}

DR_DECAY(changing_decay, "a factor", decay_params, .factor = decay_factor)

/* ---- optimizer: momentum, written with ops ------------------------------------------------------------------------ */
#ifndef SLOT
#define SLOT "velocity"
#endif
typedef struct {
    double lr;
} changing_optim;

static const dr_param optim_params[] = { DR_REAL(changing_optim, lr, 0.1, 0, 100, "learning rate"), DR_END };

static dr_status optim_step(void *self, dr_optim_state *s)
{
    (void)self;
    for (int64_t i = 0; i < s->n; i++) {
        dr_assign(s->slot[0][i], dr_add(s->slot[0][i], s->grad[i]));
        dr_assign(s->param[i], dr_axpy(-FACTOR * s->lr, s->slot[0][i], s->param[i]));
    }
    return dr_failed();
}

DR_OPTIMIZER(changing_optim, "momentum", optim_params, .slots = 1, .slot_name = { SLOT }, .step = optim_step)

/* ---- data: images of one value ------------------------------------------------------------------------------------ */
typedef struct {
    char *source;
} changing_data;

static dr_status data_open(void *self)
{
    changing_data *d = self;
    d->source = calloc(1, 32);
    if (d->source) d->source[0] = 'a';
    return d->source ? DR_OK : dr_fail(DR_ENOMEM, "no memory");
}

static void data_close(void *self) { free(((changing_data *)self)->source); }

static dr_status data_info(void *self, dr_split split, dr_dataset_info *info)
{
    (void)split;
    *info = (dr_dataset_info){ .n = SAMPLES, .channels = 1, .height = 2, .width = 2, .classes = 2, .source = ((changing_data *)self)->source };
    return DR_OK;
}

static dr_status data_read(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    (void)self, (void)split;
    for (int i = 0; i < 4; i++) image[i] = (float)(FACTOR / 10.0);
    *label = (int32_t)(index % 2);
    return DR_OK;
}

DR_DATASET(changing_data, "images of one value", NULL, .open = data_open, .close = data_close, .info = data_info, .read = data_read)

/* ---- metric: how many, times a factor ----------------------------------------------------------------------------- */
typedef struct {
    int64_t n;
} changing_metric;

static dr_status metric_reset(void *self) { return ((changing_metric *)self)->n = 0, DR_OK; }

static dr_status metric_update(void *self, dr_tensor *output, dr_tensor *label)
{
    (void)label;
    ((changing_metric *)self)->n += dr_tensor_view(output)->shape[0];
    return DR_OK;
}

static int64_t metric_samples(void *self) { return ((changing_metric *)self)->n; }

static dr_status metric_evaluate(void *self, const int64_t *rows, int64_t n, double *value)
{
    (void)self, (void)rows;
    *value = FACTOR * (double)n;
    return DR_OK;
}

DR_METRIC(changing_metric, "a count", NULL, .space = DR_SPACE_LOGITS, .values = 1, .value_name = { "count" }, .reset = metric_reset,
          .update = metric_update, .samples = metric_samples, .evaluate = metric_evaluate)

/* ---- op, export --------------------------------------------------------------------------------------------------- */
#ifdef WITH_OP
typedef dr_none_attr dr_changing_op_attr;

static dr_status op_infer(const dr_view *in, int n, const void *attr, dr_view *out, int64_t *offset)
{
    (void)n, (void)attr, (void)offset;
    *out = *in;
    return DR_OK;
}

static dr_status op_compose(dr_tensor *const *in, int n, const void *attr, dr_tensor **out)
{
    (void)n, (void)attr;
    out[0] = dr_scale(FACTOR, in[0]);
    return dr_failed();
}

static dr_status op_backward(const dr_backward_args *b)
{
    b->din[0] = dr_scale(FACTOR, b->dout[0]);
    return dr_failed();
}

#ifdef WITH_KERNEL
static void op_kernel(const dr_kargs *a)
{
    const float *x = a->in[0].data;
    float *y = a->out[0].data;
    for (int64_t i = 0; i < a->in[0].shape[0]; i++) y[i] = (float)FACTOR * x[i];
}
DR_DEVICE_KERNEL(ref, changing_op, DR_F32, op_kernel)
#endif

DR_OP_COMPONENT(changing_op, "changing_op(x) = x times a factor", NULL, .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_ANY },
                .out_layout = { DR_LAYOUT_ANY }, .infer = op_infer, .compose = op_compose, .backward = op_backward)
#endif

static double changing_number(void) { return FACTOR; }

DR_EXPORT(changing_number, "real()", "the factor")

#ifdef OTHER_ABI
static dr_status other_load(const dr_host *host)
{
    (void)host;
    __builtin_trap();
}
const dr_host *dr_host_table;
__attribute__((visibility("default"))) extern const dr_plugin dr_plugin_entry;
const dr_plugin dr_plugin_entry = { .size = sizeof(dr_plugin), .abi_major = DR_ABI_MAJOR + 1, .id = "changing", .version = "1.0", .load = other_load };
#elif defined REFUSES
static dr_status refuse(void) { return dr_fail(DR_EUNSUPPORTED, "needs another day"); }
DR_PLUGIN_WITH("changing", "1.0", "changes", refuse, NULL)
#else
DR_PLUGIN("changing", "1.0", "changes")
#endif
#endif
