/* training.c: optimizers, decays, averages and metrics that break a promise. */
#include <drift/plugin.h>
#include <stdlib.h>

/* ---- state where no checkpoint sees it --------------------------------------------------------------------------- */
typedef struct {
    double lr;
    int64_t steps;
} keeps_count;

static const dr_param keeps_params[] = { DR_REAL(keeps_count, lr, 0.05, 0, 10, "learning rate"), DR_END };

static dr_status keeps_step(void *self, dr_optim_state *s)
{
    keeps_count *o = self;
    o->steps++;
    for (int64_t i = 0; i < s->n; i++) {
        dr_assign(s->param[i], dr_axpy(-s->lr / (1.0 + 0.0001 * (double)o->steps), s->grad[i], s->param[i]));
    }
    return dr_failed();
}

DR_OPTIMIZER(keeps_count, "gradient descent that counts its steps by itself", keeps_params, .step = keeps_step)

/* ---- exit() ------------------------------------------------------------------------------------------------------ */
typedef struct {
    int64_t nothing;
} ends_process;

static double give_up(void *self, double epoch, int64_t epochs)
{
    (void)self;
    if (epochs == 7 && epoch > 3) exit(3);
    return 1.0;
}

DR_DECAY(ends_process, "exit(3) at epoch 4 of 7", NULL, .factor = give_up)

typedef struct {
    int64_t nothing;
} aborts;

static double give_up_loudly(void *self, double epoch, int64_t epochs)
{
    (void)self;
    if (epochs == 7 && epoch > 3) abort();
    return 1.0;
}

DR_DECAY(aborts, "abort() at epoch 4 of 7", NULL, .factor = give_up_loudly)

/* ---- falls ------------------------------------------------------------------------------------------------------- */
typedef struct {
    int64_t nothing;
} forgets_again;

static double falling(void *self, int64_t step)
{
    (void)self;
    return step < 100000 ? 0.999 : 0.99;
}

DR_EMA(forgets_again, "remembers less after 100000 steps", NULL, .decay = falling)

/* ---- a metric that remembers the order of its batches ------------------------------------------------------------ */
typedef struct {
    double *v;
    int64_t n, batches;
} order_matters;

static dr_status reset(void *self)
{
    order_matters *m = self;
    m->n = m->batches = 0;
    return DR_OK;
}

static dr_status update(void *self, dr_tensor *output, dr_tensor *label)
{
    order_matters *m = self;
    const int64_t B = dr_tensor_view(output) ? dr_tensor_view(output)->shape[0] : 0;
    double *grown = realloc(m->v, (size_t)(m->n + B + 1) * sizeof *grown);
    (void)label;
    if (!grown) return dr_fail(DR_ENOMEM, "metric order_matters: out of memory");
    m->v = grown;
    if (dr_tensor_read(dr_mean(output, 3, (int64_t[]){ 1, 2, 3 }, 0), DR_F64, m->v + m->n) != DR_OK) return dr_failed();
    for (int64_t i = 0; i < B; i++) m->v[m->n + i] *= 1.0 + 0.5 * (double)(m->n + i) / 24.0; /* the later, the more */
    m->n += B;
    return DR_OK;
}

static int64_t samples(void *self) { return ((const order_matters *)self)->n; }

static dr_status evaluate(void *self, const int64_t *rows, int64_t n, double *value)
{
    const order_matters *m = self;
    value[0] = 0.0;
    for (int64_t i = 0; i < n; i++) value[0] += m->v[rows[i]] / (double)n;
    return DR_OK;
}

static void destroy(void *self) { free(((order_matters *)self)->v); }

DR_METRIC(order_matters, "a mean in which later samples count more", NULL, .space = DR_SPACE_PIXELS, .values = 1,
          .value_name = { "mean" }, .reset = reset, .update = update, .samples = samples, .evaluate = evaluate,
          .destroy = destroy)
