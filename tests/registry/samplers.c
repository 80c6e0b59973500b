/* Every sampler, on data N(mu, s^2) whose best prediction is known in closed form:
 *   E[x0 | x] = mu + alpha s^2/V (x - alpha mu),  E[eps | x] = sigma/V (x - alpha mu),  V = alpha^2 s^2 + sigma^2
 * An ODE sampler converges at the order that it declares to the exact solution
 *   x(t) = alpha_t mu + sqrt(V_t/V_0) (x(0) - alpha_0 mu);
 * a stochastic one returns samples of mean mu and deviation s. What a sample becomes does not depend on its batch.
 * Samplers that are one another's special cases are held to be so, noise for noise. */
#include "walk.h"

#include <math.h>

static const double mu = 0.4, s = 0.6, shift = 0.2; /* the mean of label i is mu + shift i */

static double variance(const dr_coef *c) { return c->alpha * c->alpha * s * s + c->sigma * c->sigma; }

static dr_coef coef_at(dr_instance *process, double t)
{
    dr_coef c = { 0 };
    ((const dr_process *)process->iface)->coef(process->self, t, &c);
    return c;
}

/* The network is told the time as an f32, which is too coarse for high orders and near the data. So a process is watched:
 * the model asks for its coefficients just before it runs the network. */
static double asked;
static const dr_process *watched_api;

static void watch(void *self, double t, dr_coef *c)
{
    asked = t;
    watched_api->coef(self, t, c);
}

static dr_instance watched(const dr_instance *process, dr_process *api)
{
    watched_api = process->iface;
    *api = *watched_api;
    api->coef = watch;
    return (dr_instance){ .component = process->component, .iface = api, .self = process->self };
}

/* The network that knows the data. */
typedef struct known_data {
    dr_instance *process; /* not the watched one */
    double time_to_t;     /* t = time * time_to_t */
} known_data;

/* The mean of each row, [B,1,1,1]: by its label, where it has one that is not dropped. */
static dr_tensor *means(dr_tensor *x, const dr_batch_cond *cond)
{
    enum { MOST = 128 };
    const int64_t B = dr_tensor_view(x)->shape[0];
    int32_t label[MOST] = { 0 };
    double mask[MOST], m[MOST];
    assert_true(B <= MOST);
    for (int64_t b = 0; b < B; b++) mask[b] = 1.0;
    if (cond->label) dr_tensor_read(cond->label, DR_I32, label);
    if (cond->mask) dr_tensor_read(cond->mask, DR_F64, mask);
    for (int64_t b = 0; b < B; b++) m[b] = mu + shift * label[b] * mask[b];
    dr_tensor *t = dr_tensor_new((dr_dtype)dr_tensor_view(x)->dtype, 4, (int64_t[]){ B, 1, 1, 1 }, DR_LAYOUT_ROW);
    dr_tensor_write(t, DR_F64, m);
    return t;
}

static dr_tensor *best_prediction(void *ctx, dr_tensor *x, const dr_batch_cond *cond)
{
    const known_data *k = ctx;
    const double time = dr_tensor_item(dr_slice(cond->time, 0, 0, 1));
    assert_true(fabs(time * k->time_to_t - asked) <= 1e-6 * (1.0 + fabs(asked)));
    const dr_coef c = coef_at(k->process, asked);
    const double V = variance(&c), from_x0 = c.alpha * s * s / V, from_eps = c.sigma / V;
    const double slope = c.p * from_x0 + c.q * from_eps; /* y = p m + slope (x - alpha m) */
    dr_tensor *m = means(x, cond);
    return dr_add(dr_scale(slope, x), dr_scale(c.p - slope * c.alpha, m));
}

/* fixed: of that many steps exactly; any_variance: for processes whose alpha^2 + sigma^2 is not 1. */
static dr_instance *sampler_with(const dr_component *c, int64_t steps, bool fixed, bool any_variance)
{
    walk_args a;
    default_args(c, &a);
    const bool lays_its_own = !fixed && has_param(c, "adaptive");
    if (has_param(c, "steps") && !lays_its_own) add_arg(&a, (dr_arg)DR_I("steps", steps));
    if (fixed && has_param(c, "adaptive")) add_arg(&a, (dr_arg)DR_B("adaptive", 0));
    if (any_variance && has_param(c, "variance")) add_arg(&a, (dr_arg)DR_S("variance", "posterior"));
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

/* A run that stops at t = 1/2, lest a symmetry of the whole way flatter a method. A sampler with a grid of its own goes
 * all the way. */
static double error_with(const dr_component *c, dr_instance *process, int64_t steps)
{
    enum { MOST = 64 };
    known_data k = { process, 1.0 };
    dr_process api;
    dr_instance seen = watched(process, &api);
    dr_model *f = dr_model_new(&seen, best_prediction, &k);
    dr_instance *sampler = sampler_with(c, steps, true, true);
    const bool own_grid = ((const dr_sampler *)c->iface)->grid != NULL;
    const double t_end = own_grid ? 1.0 : 0.5;
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

static void check_order(const dr_component *c)
{
    const int order = ((const dr_sampler *)c->iface)->order;
    if (order == 0) return;
    const int64_t steps = order > 4 ? 8 : 32; /* the fifth order would be at the last digits of a double */
    const double coarse = error_with(c, &circle, steps), fine = error_with(c, &circle, 2 * steps);
    const double p = log2(coarse / fine);
    print_message("        order %d: error %.2e, %.2e, so %.2f\n", order, coarse, fine, p);
    if (!(fabs(p - order) < 0.3)) fail_msg("converges at order %.2f, not %d", p, order);
}

static void ode_samplers_show_their_order(void **state)
{
    (void)state;
    for_each("sampler", 8, check_order);
}

/* ---- distribution --------------------------------------------------------------------------------------------- */

typedef struct world { /* a process with the data, and the factor from the network's time to t */
    const char *process;
    dr_args args;
    double time_to_t;
    bool unit; /* alpha^2 + sigma^2 = 1 */
} world;

static const world worlds[] = {
    { .process = "ddpm", .time_to_t = 300.0, .unit = true },
    { .process = "flow_matching", .time_to_t = 1.0 },
    { .process = "fixed_noise", .args = DR_STATIC_ARGS(DR_R("sigma", 5.0)), .time_to_t = 1.0 }, /* alpha = 1, sigma = t */
};
enum { WORLDS = sizeof worlds / sizeof *worlds };

typedef struct place { /* a world that is open */
    dr_instance *process, seen;
    dr_process api;
    known_data known;
    dr_model *f;
} place;

static void enter(place *p, const world *w)
{
    p->process = dr_instance_new("process", w->process, w->args);
    p->known = (known_data){ p->process, w->time_to_t };
    p->seen = watched(p->process, &p->api);
    p->f = dr_model_new(&p->seen, best_prediction, &p->known);
    if (!p->f) fail_msg("%s", dr_error_message());
}

static void leave(place *p)
{
    dr_model_free(p->f);
    dr_instance_free(p->process);
}

/* x at pure noise, as data of this law has it there. */
static dr_tensor *start_of(const place *p, dr_dtype dtype, int64_t B, int64_t size, uint32_t stream)
{
    double t_noise, t_data;
    int64_t steps;
    dr_model_range(p->f, &t_noise, &t_data, &steps);
    const dr_coef c = coef_at(p->process, t_noise);
    return dr_affine(sqrt(variance(&c)), noise(dtype, 4, (int64_t[]){ B, 1, size, size }, stream), c.alpha * mu);
}

static void check_moments(const char *name, dr_instance *sampler, const world *w)
{
    enum { B = 64, SIZE = 8, PIXELS = SIZE * SIZE };
    place p;
    enter(&p, w);
    const dr_rng rng = { .seed = 3, .purpose = dr_purpose("sampler") };
    dr_tensor *y = dr_sample(p.f, sampler, start_of(&p, DR_F32, B, SIZE, 3), rng, NULL, 0, NULL, NULL);
    if (!y) fail_msg("%s on %s: %s", name, w->process, dr_error_message());
    const double mean = dr_tensor_item(dr_mean(y, 0, NULL, false));
    const double deviation = sqrt(dr_tensor_item(dr_mean(dr_square(dr_affine(1.0, y, -mean)), 0, NULL, false)));
    print_message("        on %s: mean %.3f, deviation %.3f\n", w->process, mean, deviation);
    assert_true(fabs(mean - mu) < 5 * s / sqrt(B * PIXELS) + 0.01);
    assert_true(fabs(deviation / s - 1.0) < 0.06);
    leave(&p);
}

static void check_everywhere(const dr_component *c)
{
    for (int i = 0; i < WORLDS; i++) {
        dr_instance *sampler = sampler_with(c, 100, false, !worlds[i].unit);
        check_moments(c->name, sampler, &worlds[i]);
        dr_instance_free(sampler);
    }
}

static void samples_have_the_datas_moments(void **state)
{
    (void)state;
    for_each("sampler", 10, check_everywhere);
}

typedef struct choice { const char *sampler; dr_args args; } choice;

/* What adds noise only when it is asked to. */
static void samples_have_the_datas_moments_with_fresh_noise(void **state)
{
    const choice noisy[] = {
        { "ddim", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("eta", 1)) },
        { "ddim", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("eta", 0.5)) },
        { "dpmpp_2m_sde", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("eta", 0.5)) },
        { "euler_ancestral", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("eta", 0.5)) },
        { "edm", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("s_churn", 40)) },
        { "edm", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("s_churn", 20), DR_R("s_tmin", 0.05), DR_R("s_tmax", 2)) },
    };
    (void)state;
    for (size_t k = 0; k < sizeof noisy / sizeof *noisy; k++) {
        print_message("    %s\n", noisy[k].sampler);
        dr_instance *sampler = dr_instance_new("sampler", noisy[k].sampler, noisy[k].args);
        for (int i = 0; i < WORLDS; i++) check_moments(noisy[k].sampler, sampler, &worlds[i]);
        dr_instance_free(sampler);
    }
}

/* ---- one sample among others ---------------------------------------------------------------------------------- */

/* Row 2 of 5, with label and guidance, among the others and alone. */
static void check_alone_in(const dr_component *c, const world *w)
{
    enum { B = 5, ROW = 2 };
    place p;
    enter(&p, w);
    dr_instance *sampler = sampler_with(c, 10, false, !w->unit);
    dr_instance *guidance = dr_instance_new("guidance", "cfg", DR_ARGS(DR_R("scale", 1.5)));
    dr_model_guide(p.f, guidance);
    dr_tensor *x = start_of(&p, DR_F32, B, 4, 4);
    dr_tensor *labels = dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ 0, 1, 2, 3, 4 });
    const dr_rng rng = { .seed = 9, .purpose = dr_purpose("sampler"), .sample = 20 };
    dr_rng third = rng;
    third.sample += ROW;
    dr_model_condition(p.f, labels, NULL, NULL);
    dr_tensor *all = dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL);
    dr_tensor *again = dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL);
    dr_model_condition(p.f, dr_slice(labels, 0, ROW, 1), NULL, NULL);
    dr_tensor *alone = dr_sample(p.f, sampler, dr_slice(x, 0, ROW, 1), third, NULL, 0, NULL, NULL);
    if (dr_failed()) fail_msg("%s on %s: %s", c->name, w->process, dr_error_message());
    assert_true(max_difference(all, again) == 0.0);
    assert_true(max_difference(dr_slice(all, 0, ROW, 1), alone) == 0.0);
    assert_true(max_difference(dr_slice(all, 0, ROW + 1, 1), alone) > 0.0);
    dr_model_condition(p.f, dr_slice(labels, 0, 0, B - 1), NULL, NULL);
    assert_null(dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL));
    assert_error_has("labels: 4 rows for 5 images");
    leave(&p);
    dr_instance_free(guidance);
    dr_instance_free(sampler);
}

static void check_alone(const dr_component *c)
{
    for (int i = 0; i < WORLDS; i++) check_alone_in(c, &worlds[i]);
}

static void a_sample_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    for_each("sampler", 10, check_alone);
}

/* ---- samplers that are one another's special cases -------------------------------------------------------------- */

static void check_same(const world *w, choice a, choice b)
{
    place p;
    enter(&p, w);
    dr_instance *sampler[2] = { dr_instance_new("sampler", a.sampler, a.args), dr_instance_new("sampler", b.sampler, b.args) };
    dr_tensor *y[2], *x = start_of(&p, DR_F64, 3, 4, 5);
    for (int i = 0; i < 2; i++) {
        y[i] = dr_sample(p.f, sampler[i], x, (dr_rng){ .seed = 2 }, NULL, 0, NULL, NULL);
        if (!y[i]) fail_msg("%s on %s: %s", a.sampler, w->process, dr_error_message());
    }
    const double d = max_difference(y[0], y[1]);
    print_message("    %s and %s on %s: %.1e\n", a.sampler, b.sampler, w->process, d);
    assert_true(d < 1e-10);
    for (int i = 0; i < 2; i++) dr_instance_free(sampler[i]);
    leave(&p);
}

static void special_cases_agree(void **state)
{
    const choice ddpm = { "ddpm", DR_STATIC_ARGS(DR_I("steps", 12), DR_S("variance", "posterior")) };
    const choice ddim_1 = { "ddim", DR_STATIC_ARGS(DR_I("steps", 12), DR_R("eta", 1)) };
    const choice ddim_half = { "ddim", DR_STATIC_ARGS(DR_I("steps", 12), DR_R("eta", 0.5)) };
    const choice ddim_0 = { "ddim", DR_STATIC_ARGS(DR_I("steps", 12)) };
    const choice ancestral_half = { "euler_ancestral", DR_STATIC_ARGS(DR_I("steps", 12), DR_R("eta", 0.5)) };
    const choice ancestral_0 = { "euler_ancestral", DR_STATIC_ARGS(DR_I("steps", 12), DR_R("eta", 0)) };
    const choice edm_1 = { "edm", DR_STATIC_ARGS(DR_I("steps", 12), DR_I("order", 1), DR_S("timesteps", "even")) };
    const choice edm_2 = { "edm", DR_STATIC_ARGS(DR_I("steps", 12), DR_S("timesteps", "even")) };
    const choice heun = { "heun", DR_STATIC_ARGS(DR_I("steps", 12)) };
    const choice multi = { "dpmpp_2m", DR_STATIC_ARGS(DR_I("steps", 12)) };
    const choice multi_sde_0 = { "dpmpp_2m_sde", DR_STATIC_ARGS(DR_I("steps", 12), DR_R("eta", 0)) };
    (void)state;
    for (int i = 0; i < WORLDS; i++) {
        check_same(&worlds[i], ddpm, ddim_1);
        check_same(&worlds[i], ancestral_half, ddim_half);
        check_same(&worlds[i], ancestral_0, edm_1);
        check_same(&worlds[i], edm_1, ddim_0);
        check_same(&worlds[i], multi, multi_sde_0);
    }
    check_same(&worlds[2], edm_2, heun); /* t is the noise level there */
}

/* ---- adaptive steps --------------------------------------------------------------------------------------------- */

static double dopri5_error(double tol, int64_t *calls)
{
    known_data k = { &circle, 1.0 };
    dr_process api;
    dr_instance seen = watched(&circle, &api);
    dr_model *f = dr_model_new(&seen, best_prediction, &k);
    dr_instance *sampler = dr_instance_new("sampler", "dopri5", DR_ARGS(DR_R("rtol", tol), DR_R("atol", tol)));
    const dr_coef start = coef_at(&circle, 0.0), end = coef_at(&circle, 1.0);
    const double stretch = sqrt(variance(&end) / variance(&start));
    dr_tensor *x = noise(DR_F64, DR_SHAPE(2, 1, 3, 3), 1);
    dr_tensor *exact = dr_affine(stretch, x, end.alpha * mu - stretch * start.alpha * mu);
    const double error = max_difference(dr_sample(f, sampler, x, (dr_rng){ 0 }, NULL, 0, NULL, NULL), exact);
    *calls = dr_model_calls(f);
    dr_model_free(f);
    dr_instance_free(sampler);
    return error;
}

/* Every hundredth of the tolerance: a smaller error, and 100^(1/5) = 2.5 times the steps once they are many. */
static void dopri5s_error_follows_its_tolerance(void **state)
{
    double error[4];
    int64_t calls[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        const double tol = pow(100.0, -i - 2);
        error[i] = dopri5_error(tol, &calls[i]);
        print_message("    tolerance %.0e: error %.1e after %lld calls\n", tol, error[i], (long long)calls[i]);
        assert_true(error[i] < 5 * tol);
        if (i > 0) assert_true(error[i] < error[i - 1] / 10 && calls[i] > calls[i - 1] && calls[i] < 3 * calls[i - 1]);
    }
}

/* sigma/alpha of ddpm's data is 0, and its velocity infinite. */
static void dopri5_ends_where_the_velocity_is_singular(void **state)
{
    place p;
    (void)state;
    enter(&p, &worlds[0]);
    assert_true(dr_singular(p.f, 0.0));
    const dr_coef c = coef_at(p.process, 300.0);
    dr_tensor *x = start_of(&p, DR_F64, 2, 3, 6);
    dr_tensor *exact = dr_affine(s / sqrt(variance(&c)), x, mu - s / sqrt(variance(&c)) * c.alpha * mu);
    for (int i = 2; i <= 7; i++) {
        const double tol = pow(10.0, -i);
        dr_instance *sampler = dr_instance_new("sampler", "dopri5", DR_ARGS(DR_R("rtol", tol), DR_R("atol", tol)));
        const double error = max_difference(dr_sample(p.f, sampler, x, (dr_rng){ 0 }, NULL, 0, NULL, NULL), exact);
        print_message("    tolerance %.0e: error %.1e\n", tol, error);
        assert_true(error < 5 * tol);
        dr_instance_free(sampler);
    }
    leave(&p);
}

static void dopri5_says_when_it_does_not_arrive(void **state)
{
    place p;
    (void)state;
    enter(&p, &worlds[1]);
    dr_instance *sampler = dr_instance_new("sampler", "dopri5", DR_ARGS(DR_I("max_steps", 3), DR_R("atol", 1e-9), DR_R("rtol", 1e-9)));
    assert_null(dr_sample(p.f, sampler, start_of(&p, DR_F64, 2, 3, 6), (dr_rng){ 0 }, NULL, 0, NULL, NULL));
    assert_error_has("sampler dopri5: max_steps = 3");
    dr_instance_free(sampler);
    leave(&p);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static void the_wrong_way_is_refused(void **state)
{
    static const char *const towards_data[] = { "ddpm", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "edm" };
    const double t[2] = { 0.75, 0.5 };
    (void)state;
    for (size_t i = 0; i < sizeof towards_data / sizeof *towards_data; i++) {
        place p;
        enter(&p, &worlds[1]);
        dr_instance *sampler = dr_instance_new("sampler", towards_data[i], DR_NO_ARGS);
        assert_null(dr_sample(p.f, sampler, start_of(&p, DR_F32, 2, 3, 6), (dr_rng){ 0 }, t, 1, NULL, NULL));
        assert_error_has("does not go towards the data");
        dr_instance_free(sampler);
        leave(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ode_samplers_show_their_order),
        cmocka_unit_test(samples_have_the_datas_moments),
        cmocka_unit_test(samples_have_the_datas_moments_with_fresh_noise),
        cmocka_unit_test(a_sample_does_not_depend_on_its_batch),
        cmocka_unit_test(special_cases_agree),
        cmocka_unit_test(dopri5s_error_follows_its_tolerance),
        cmocka_unit_test(dopri5_ends_where_the_velocity_is_singular),
        cmocka_unit_test(dopri5_says_when_it_does_not_arrive),
        cmocka_unit_test(the_wrong_way_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
