/* known_data.c: data whose best prediction is known, see known_data.h. */
#include "known_data.h"

#include <math.h>

static const double shift = 0.2; /* the mean of label i is mu + shift i */

double variance(const dr_coef *c) { return c->alpha * c->alpha * s * s + c->sigma * c->sigma; }

dr_coef coef_at(dr_instance *process, double t)
{
    dr_coef c = { 0 };
    ((const dr_process *)process->iface)->coef(process->self, t, &c);
    return c;
}

static double asked;
static const dr_process *watched_api;

static void watch(void *self, double t, dr_coef *c)
{
    asked = t;
    watched_api->coef(self, t, c);
}

dr_instance watched(const dr_instance *process, dr_process *api)
{
    watched_api = process->iface;
    *api = *watched_api;
    api->coef = watch;
    return (dr_instance){ .component = process->component, .iface = api, .self = process->self };
}

/* The mean of each row, [B,1,1,1]: by its label, where it has one that is not dropped. */
static dr_tensor *means(dr_tensor *x, const dr_batch_cond *cond)
{
    enum { MOST = 128 };
    const int64_t B = dr_tensor_view(x)->shape[0];
    int32_t label[MOST] = { 0 };
    double mask[MOST], m[MOST];
    expect(B <= MOST, "%lld images at once are too many for the known network", (long long)B);
    for (int64_t b = 0; b < B; b++) mask[b] = 1.0;
    if (cond->label) dr_tensor_read(cond->label, DR_I32, label);
    if (cond->mask) dr_tensor_read(cond->mask, DR_F64, mask);
    for (int64_t b = 0; b < B; b++) m[b] = mu + shift * label[b] * mask[b];
    dr_tensor *t = dr_tensor_new((dr_dtype)dr_tensor_view(x)->dtype, 4, (int64_t[]){ B, 1, 1, 1 }, DR_LAYOUT_ROW);
    dr_tensor_write(t, DR_F64, m);
    return t;
}

dr_tensor *best_prediction(void *ctx, dr_tensor *x, const dr_batch_cond *cond)
{
    const known_data *k = ctx;
    const double time = dr_tensor_item(dr_slice(cond->time, 0, 0, 1));
    expect(fabs(time * k->time_to_t - asked) <= 1e-6 * (1.0 + fabs(asked)), "the network is told the time %g, where t = %g was asked",
           time, asked);
    const dr_coef c = coef_at(k->process, asked);
    const double V = variance(&c), from_x0 = c.alpha * s * s / V, from_eps = c.sigma / V;
    const double slope = c.p * from_x0 + c.q * from_eps; /* y = p m + slope (x - alpha m) */
    dr_tensor *m = means(x, cond);
    return dr_add(dr_scale(slope / c.c_in, x), dr_scale(c.p - slope * c.alpha, m));
}

/* ---- processes ------------------------------------------------------------------------------------------------ */

const world worlds[WORLDS] = {
    [CHAIN] = { .process = "ddpm", .time_to_t = 300.0, .unit = true },
    [LINES] = { .process = "flow_matching", .time_to_t = 1.0 },
    [ADDED] = { .process = "fixed_noise", .args = DR_STATIC_ARGS(DR_R("sigma", 5.0)), .time_to_t = 1.0 }, /* alpha = 1, sigma = t */
};

void enter(place *p, const world *w)
{
    p->process = built("process", w->process, w->args);
    p->known = (known_data){ p->process, w->time_to_t };
    p->seen = watched(p->process, &p->api);
    p->f = dr_model_new(&p->seen, best_prediction, &p->known);
    expect_made(p->f, w->process);
}

void leave(place *p)
{
    dr_model_free(p->f);
    dr_instance_free(p->process);
}

dr_tensor *start_of(const place *p, dr_dtype dtype, int64_t B, int64_t size, uint32_t stream)
{
    double t_noise, t_data;
    int64_t steps;
    dr_model_range(p->f, &t_noise, &t_data, &steps);
    const dr_coef c = coef_at(p->process, t_noise);
    return dr_affine(sqrt(variance(&c)), noise(dtype, 4, (int64_t[]){ B, 1, size, size }, stream), c.alpha * mu);
}

static void circle_coef(void *self, double t, dr_coef *c)
{
    const double w = acos(-1.0) / 2, sine = sin(w * t), cosine = cos(w * t);
    (void)self;
    *c = (dr_coef){ .alpha = sine, .sigma = cosine, .dalpha = w * cosine, .dsigma = -w * sine, .p = w * cosine,
                    .q = -w * sine, .c_in = 1.0, .time = t, .weight = 1.0 };
}

static void circle_range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    (void)self;
    *t_noise = 0.0, *t_data = 1.0, *steps = 0;
}

static const dr_process circle_api = { .size = sizeof(dr_process), .coef = circle_coef, .range = circle_range };
static const dr_component circle_component = { .size = sizeof(dr_component), .kind = "process/1", .name = "circle" };
dr_instance circle = { .component = &circle_component, .iface = &circle_api };
