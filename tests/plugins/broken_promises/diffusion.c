/* diffusion.c: samplers, processes and what belongs to them that break a promise. */
#include <drift/plugin.h>
#include <math.h>
#include <stdlib.h>

/* ---- order ------------------------------------------------------------------------------------------------------- */
typedef struct {
    int64_t steps;
} wrong_order;

static const dr_param order_params[] = { DR_INT(wrong_order, steps, 25, 1, 100000, "steps"), DR_END };

static dr_tensor *euler(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    (void)self, (void)rng;
    return dr_axpy(t_next - t, dr_eval(f, x, t), x);
}

DR_SAMPLER(wrong_order, "Euler's step, which is said to be of order 2", order_params, .step = euler, .order = 2)

/* ---- a step that ends far too early: other moments, and no order ------------------------------------------------- */
typedef struct {
    int64_t steps;
} no_noise;

static const dr_param noise_params[] = { DR_INT(no_noise, steps, 25, 1, 100000, "steps"), DR_END };

static dr_tensor *shrink(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    return dr_scale(0.99, euler(self, f, x, t, t_next, rng));
}

DR_SAMPLER(no_noise, "Euler's step, made smaller", noise_params, .step = shrink, .order = 0)

/* ---- derivatives ------------------------------------------------------------------------------------------------- */
typedef struct {
    int64_t nothing;
} wrong_derivative;

static double draw_t(void *self, double u)
{
    (void)self;
    return 1.0 - u;
}

static void wrong_coef(void *self, double t, dr_coef *c)
{
    (void)self;
    *c = (dr_coef){
        .alpha = 1.0 - t, .sigma = t, .dalpha = -1.0, .dsigma = 1.1, .q = 1.0, .c_in = 1.0, .time = t, .weight = 1.0
    };
}

static void range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    (void)self;
    *t_noise = 1.0, *t_data = 0.0, *steps = 0;
}

DR_PROCESS(wrong_derivative, "straight lines whose noise is said to grow faster", NULL, .draw_t = draw_t,
           .coef = wrong_coef, .range = range)

/* ---- a schedule that does not end -------------------------------------------------------------------------------- */
typedef struct {
    int64_t nothing;
} loops_forever;

static double loops_beta(void *self, int64_t i, int64_t T)
{
    (void)self;
    volatile int64_t k = 0;
    while (T > 500 && i == T - 1) k++;
    return 0.02;
}

DR_SCHEDULE(loops_forever, "no end to the last step of a long chain", NULL, .beta = loops_beta)

typedef struct {
    int64_t nothing;
} beta_above_1;

static double beta_beta(void *self, int64_t i, int64_t T)
{
    (void)self;
    return T == 1000 && i > 900 ? 1.5 : 0.02;
}

DR_SCHEDULE(beta_above_1, "a beta of 1.5 in long chains", NULL, .beta = beta_beta)

/* ---- times, weights, pairs --------------------------------------------------------------------------------------- */
typedef struct {
    int64_t nothing;
} too_late;

static double late(void *self, const dr_instance *process, double u)
{
    double t_noise, t_data;
    int64_t steps;
    (void)self;
    dr_process_range(process, &t_noise, &t_data, &steps);
    return u > 0.99 && steps == 0 ? t_noise + 2.0 * (t_data - t_noise) : dr_process_draw_t(process, u);
}

DR_TIME_SAMPLING(too_late, "times beyond the process's", NULL, .draw = late)

typedef struct {
    int64_t nothing;
} by_prediction;

static double weigh(void *self, const dr_coef *c)
{
    (void)self;
    return 1.0 + fabs(c->p);
}

DR_WEIGHTING(by_prediction, "what counts depends on what is predicted", NULL, .weight = weigh)

typedef struct {
    int64_t nothing;
} pairs_twice;

static dr_status twice(void *self, dr_tensor *x0, dr_tensor *eps, dr_tensor *label, int64_t *order)
{
    const int64_t B = dr_tensor_view(x0)->shape[0];
    (void)self, (void)eps, (void)label;
    for (int64_t i = 0; i < B; i++) order[i] = B == 17 && i == 3 ? 2 : i;
    return DR_OK;
}

DR_COUPLING(pairs_twice, "one noise for two images, in batches of 17", NULL, .pair = twice)

typedef struct {
    int64_t nothing;
} not_deterministic;

static int64_t turns;

static dr_status turned(void *self, dr_tensor *x0, dr_tensor *eps, dr_tensor *label, int64_t *order)
{
    const int64_t B = dr_tensor_view(x0)->shape[0];
    (void)self, (void)eps, (void)label;
    turns++;
    for (int64_t i = 0; i < B; i++) order[i] = (i + turns) % B;
    return DR_OK;
}

DR_COUPLING(not_deterministic, "another order in each call", NULL, .pair = turned)

/* ---- guidance ---------------------------------------------------------------------------------------------------- */
typedef struct {
    int64_t nothing;
} mixes_images;

static dr_tensor *mixed(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    (void)self;
    dr_tensor *y = dr_predict(f, x, t, cond);
    return dr_axpy(0.1, dr_mean(y, 1, (int64_t[]){ 0 }, 1), y);
}

DR_GUIDANCE(mixes_images, "a tenth of the batch's mean in each estimate", NULL, .eval = mixed)
