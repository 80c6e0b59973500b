/* Every sampler, on data N(mu, s^2) whose best prediction is known in closed form:
 *   E[x0 | x] = mu + alpha s^2/V (x - alpha mu),  E[eps | x] = sigma/V (x - alpha mu),  V = alpha^2 s^2 + sigma^2
 * An ODE sampler converges at the order that it declares to the exact solution
 *   x(t) = alpha_t mu + sqrt(V_t/V_0) (x(0) - alpha_0 mu);
 * a stochastic one returns samples of mean mu and deviation s. What a sample becomes does not depend on its batch. */
#include "walk.h"

#include <math.h>

static const double mu = 0.4, s = 0.6;

static double variance(const dr_coef *c) { return c->alpha * c->alpha * s * s + c->sigma * c->sigma; }

static dr_coef coef_at(dr_instance *process, double t)
{
    dr_coef c = { 0 };
    ((const dr_process *)process->iface)->coef(process->self, t, &c);
    return c;
}

/* The network that knows the data: finds t again by its time input, so it is built for one process. */
typedef struct known_data {
    dr_instance *process;
    double time_to_t; /* t = time * time_to_t */
} known_data;

static dr_tensor *best_prediction(void *ctx, dr_tensor *x, const dr_batch_cond *cond)
{
    const known_data *k = ctx;
    const double time = dr_tensor_item(dr_slice(cond->time, 0, 0, 1));
    double t = time * k->time_to_t;
    if (k->time_to_t > 1.0) t = round(t * 1e4) / 1e4; /* the network's time is an f32 */
    const dr_coef c = coef_at(k->process, t);
    const double V = variance(&c), from_x0 = c.alpha * s * s / V, from_eps = c.sigma / V;
    const double slope = c.p * from_x0 + c.q * from_eps; /* y = p mu + slope (x - alpha mu) */
    return dr_affine(slope, x, c.p * mu - slope * c.alpha * mu);
}

static dr_instance *sampler_with(const dr_component *c, int64_t steps)
{
    walk_args a;
    default_args(c, &a);
    if (has_param(c, "steps")) add_arg(&a, (dr_arg)DR_I("steps", steps));
    dr_instance *i = dr_instance_new("sampler", c->name, a.args);
    if (!i) fail_msg("%s", dr_error_message());
    return i;
}

/* ---- order ---------------------------------------------------------------------------------------------------- */

/* x_t = sin(pi t/2) x0 + cos(pi t/2) eps, the network asked for the velocity. On straight lines V is quadratic in t,
 * and the midpoint rule would show one order more than it has. */
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
static dr_instance circle = { .component = &circle_component, .iface = &circle_api };

/* A run that stops at t = 3/4, lest a symmetry of the whole way flatter a method. A sampler with a grid of its own goes
 * all the way. */
static double error_with(const dr_component *c, dr_instance *process, int64_t steps)
{
    enum { MOST = 64 };
    known_data k = { process, 1.0 };
    dr_model *f = dr_model_new(process, best_prediction, &k);
    dr_instance *sampler = sampler_with(c, steps);
    const bool own_grid = ((const dr_sampler *)c->iface)->grid != NULL;
    const double t_end = own_grid ? 1.0 : 0.75;
    double t[MOST + 1];
    for (int64_t i = 0; i <= steps; i++) t[i] = t_end * (double)i / (double)steps;
    const dr_coef start = coef_at(process, 0.0), end = coef_at(process, t_end);
    const double stretch = sqrt(variance(&end) / variance(&start));
    dr_tensor *x = noise(DR_F64, DR_SHAPE(4, 1, 3, 3), 1);
    dr_tensor *exact = dr_affine(stretch, x, end.alpha * mu - stretch * start.alpha * mu);
    dr_tensor *y = dr_sample(f, sampler, x, (dr_rng){ .seed = 1 }, own_grid ? NULL : t, steps, NULL, NULL);
    if (!y) fail_msg("%s", dr_error_message());
    const double error = max_difference(y, exact);
    dr_instance_free(sampler);
    dr_model_free(f);
    return error;
}

/* Time is exact here: 3/4 i/steps with steps a power of two fits the f32 that the network sees. */
static void check_order(const dr_component *c)
{
    const int order = ((const dr_sampler *)c->iface)->order;
    if (order == 0) return;
    const double coarse = error_with(c, &circle, 32), fine = error_with(c, &circle, 64), p = log2(coarse / fine);
    print_message("        order %d: error %.2e, %.2e, so %.2f\n", order, coarse, fine, p);
    if (!(fabs(p - order) < 0.3)) fail_msg("converges at order %.2f, not %d", p, order);
}

static void ode_samplers_show_their_order(void **state)
{
    (void)state;
    for_each("sampler", 2, check_order);
}

/* ---- distribution --------------------------------------------------------------------------------------------- */

static void check_moments(const dr_component *c, const char *process_name, double time_to_t)
{
    enum { B = 64, PIXELS = 64 };
    dr_instance *process = dr_instance_new("process", process_name, DR_NO_ARGS), *sampler = sampler_with(c, 100);
    known_data k = { process, time_to_t };
    dr_model *f = dr_model_new(process, best_prediction, &k);
    double t_noise, t_data;
    int64_t steps;
    dr_model_range(f, &t_noise, &t_data, &steps);
    const dr_coef start = coef_at(process, t_noise);
    dr_tensor *x = dr_affine(sqrt(variance(&start)), noise(DR_F32, DR_SHAPE(B, 1, 8, 8), 3), start.alpha * mu);
    const dr_rng rng = { .seed = 3, .purpose = dr_purpose("sampler") };
    dr_tensor *y = dr_sample(f, sampler, x, rng, NULL, 0, NULL, NULL);
    if (!y) fail_msg("%s on %s: %s", c->name, process_name, dr_error_message());
    const double mean = dr_tensor_item(dr_mean(y, 0, NULL, false));
    const double deviation = sqrt(dr_tensor_item(dr_mean(dr_square(dr_affine(1.0, y, -mean)), 0, NULL, false)));
    print_message("        on %s: mean %.3f, deviation %.3f\n", process_name, mean, deviation);
    assert_true(fabs(mean - mu) < 5 * s / sqrt(B * PIXELS) + 0.01);
    assert_true(fabs(deviation / s - 1.0) < 0.06);
    dr_model_free(f);
    dr_instance_free(sampler);
    dr_instance_free(process);
}

static void check_on_chain(const dr_component *c) { check_moments(c, "ddpm", 300.0); }

static void samples_have_the_datas_moments(void **state)
{
    (void)state;
    for_each("sampler", 3, check_on_chain);
}

/* ---- one sample among others ---------------------------------------------------------------------------------- */

static void check_alone(const dr_component *c)
{
    dr_instance *process = dr_instance_new("process", "ddpm", DR_NO_ARGS), *sampler = sampler_with(c, 10);
    known_data k = { process, 300.0 };
    dr_model *f = dr_model_new(process, best_prediction, &k);
    dr_tensor *x = noise(DR_F32, DR_SHAPE(5, 1, 4, 4), 4);
    const dr_rng rng = { .seed = 9, .purpose = dr_purpose("sampler"), .sample = 20 };
    dr_rng third = rng;
    third.sample += 2;
    dr_tensor *all = dr_sample(f, sampler, x, rng, NULL, 0, NULL, NULL);
    dr_tensor *again = dr_sample(f, sampler, x, rng, NULL, 0, NULL, NULL);
    dr_tensor *alone = dr_sample(f, sampler, dr_slice(x, 0, 2, 1), third, NULL, 0, NULL, NULL);
    assert_true(max_difference(all, again) == 0.0);
    assert_true(max_difference(dr_slice(all, 0, 2, 1), alone) == 0.0);
    dr_model_free(f);
    dr_instance_free(sampler);
    dr_instance_free(process);
}

static void a_sample_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    for_each("sampler", 3, check_alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ode_samplers_show_their_order),
        cmocka_unit_test(samples_have_the_datas_moments),
        cmocka_unit_test(a_sample_does_not_depend_on_its_batch),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
