/* Every process, with every choice of what the network predicts: it inverts itself (the data, the noise, v and the
 * velocity come back from the prediction), its derivatives are those of its coefficients, it goes from noise to data
 * with ever more signal, its training times lie within and can be trained on, and the best network's samples are the
 * data. Every schedule: betas between 0 and 1, ever less signal. */
#include "walk.h"

#include <math.h>

enum { B = 4 };

static const dr_process *api_of(const dr_instance *p) { return p->iface; }

static dr_coef coef_at(dr_instance *p, double t)
{
    dr_coef c = { 0 };
    api_of(p)->coef(p->self, t, &c);
    return c;
}

static void range_of(dr_instance *p, double *t_noise, double *t_data)
{
    int64_t steps;
    api_of(p)->range(p->self, t_noise, t_data, &steps);
}

static dr_tensor *mix(double a, dr_tensor *x0, double b, dr_tensor *eps) { return dr_axpy(a, x0, dr_scale(b, eps)); }

/* What comes back from x_t and the target must be what x0 and eps were made of. */
static void inverts_itself(dr_instance *p, double t)
{
    const dr_coef c = coef_at(p, t);
    dr_tensor *x0 = noise(DR_F64, DR_SHAPE(B, 1, 3, 3), 1), *eps = noise(DR_F64, DR_SHAPE(B, 1, 3, 3), 2);
    dr_tensor *x = mix(c.alpha, x0, c.sigma, eps), *y = mix(c.p, x0, c.q, eps);
    const double wanted[][2] = { { 1, 0 }, { 0, 1 }, { -c.sigma, c.alpha }, { c.dalpha, c.dsigma } };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const double a = wanted[i][0], b = wanted[i][1];
        dr_tensor *got = dr_prediction_to(&c, x, y, a, b);
        if (!got) fail_msg("t = %g: %s", t, dr_error_message());
        const double scale = fmax(1.0, hypot(a, b)) / fmin(1.0, fmin(c.alpha, c.sigma));
        const double error = max_difference(got, mix(a, x0, b, eps));
        if (!(error < 1e-9 * scale)) fail_msg("t = %g: %g x0 + %g eps is off by %g", t, a, b, error);
    }
}

static void check_derivatives(dr_instance *p, double t, double h)
{
    const dr_coef c = coef_at(p, t), up = coef_at(p, t + h), down = coef_at(p, t - h);
    assert_true(fabs((up.alpha - down.alpha) / (2 * h) - c.dalpha) < 1e-5 * fmax(1.0, fabs(c.dalpha)));
    assert_true(fabs((up.sigma - down.sigma) / (2 * h) - c.dsigma) < 1e-5 * fmax(1.0, fabs(c.dsigma)));
}

static void check_noising(dr_instance *p, double t_noise, double t_data)
{
    dr_tensor *x0 = noise(DR_F32, DR_SHAPE(B, 2, 3, 3), 1), *eps = noise(DR_F32, DR_SHAPE(B, 2, 3, 3), 2);
    double t[B];
    for (int b = 0; b < B; b++) t[b] = t_noise + (t_data - t_noise) * (b + 0.5) / (B + 1);
    dr_noised n;
    assert_int_equal(dr_noising(p, NULL, x0, eps, t, &n), DR_OK);
    for (int b = 0; b < B; b++) { /* each row by its own t */
        const dr_coef c = coef_at(p, t[b]);
        dr_tensor *x = dr_slice(x0, 0, b, 1), *e = dr_slice(eps, 0, b, 1);
        assert_true(max_difference(dr_slice(n.x_t, 0, b, 1), mix(c.alpha, x, c.sigma, e)) < 1e-5 * fmax(1, c.sigma));
        assert_true(max_difference(dr_slice(n.target, 0, b, 1), mix(c.p, x, c.q, e)) < 1e-5 * fmax(1, hypot(c.p, c.q)));
        assert_true(max_difference(dr_slice(n.input, 0, b, 1), dr_scale(c.c_in, dr_slice(n.x_t, 0, b, 1))) < 1e-5);
        assert_true(fabs(dr_tensor_item(dr_slice(n.time, 0, b, 1)) - c.time) < 1e-6 * fmax(1.0, fabs(c.time)));
        if (n.weight) assert_true(fabs(dr_tensor_item(dr_slice(n.weight, 0, b, 1)) / c.weight - 1.0) < 1e-6);
        if (!n.weight) assert_true(c.weight == 1.0);
    }
}

static void check_times(dr_instance *p, double t_noise, double t_data)
{
    const double low = fmin(t_noise, t_data), high = fmax(t_noise, t_data);
    for (int i = 0; i <= 1000; i++) {
        const double t = api_of(p)->draw_t(p->self, i < 1000 ? i / 1000.0 : nextafter(1.0, 0.0));
        if (!(t >= low && t <= high)) fail_msg("a training time %g outside [%g, %g]", t, low, high);
    }
}

/* draw_t is monotone in u, and what lies at its two ends can be trained on. */
static void check_ends_of_training(dr_instance *p)
{
    enum { DRAWS = 1000 };
    const double last = nextafter(1.0, 0.0), t[2] = { api_of(p)->draw_t(p->self, 0.0), api_of(p)->draw_t(p->self, last) };
    const double direction = t[1] < t[0] ? -1.0 : 1.0;
    for (int i = 0; i < DRAWS; i++) {
        const double a = api_of(p)->draw_t(p->self, i / (double)DRAWS);
        const double b = api_of(p)->draw_t(p->self, fmin(last, (i + 1) / (double)DRAWS));
        if (!(direction * (b - a) >= 0.0)) fail_msg("draw_t is not monotone: %g, then %g", a, b);
    }
    dr_tensor *x0 = noise(DR_F32, DR_SHAPE(2, 1, 3, 3), 1), *eps = noise(DR_F32, DR_SHAPE(2, 1, 3, 3), 2);
    dr_noised n;
    if (dr_noising(p, NULL, x0, eps, t, &n) != DR_OK) fail_msg("at an end of training: %s", dr_error_message());
}

/* alpha/sigma, or as a growing function of it where sigma is 0: strictly rising over a fine grid. */
static double signal_share(const dr_coef *c) { return c->alpha / (c->alpha + c->sigma); }

static void check_signal_rises(dr_instance *p, double t_noise, double t_data)
{
    enum { FINE = 4000 };
    double before = -1.0;
    for (int i = 0; i <= FINE; i++) {
        const double t = t_noise + (t_data - t_noise) * i / FINE;
        const dr_coef c = coef_at(p, t);
        if (!(signal_share(&c) > before)) fail_msg("at t = %g the signal does not rise", t);
        before = signal_share(&c);
    }
}

/* ---- the best network for data N(mu, s^2), sampled over noise levels that fall evenly in logarithm ---------------- */

static const double mu = 0.4, s = 0.6;

typedef struct known_data {
    dr_instance *process;
    double t; /* where the sampler asks: time goes through f32 and need not be invertible */
} known_data;

static dr_tensor *best_prediction(void *ctx, dr_tensor *input, const dr_batch_cond *cond)
{
    const known_data *k = ctx;
    const dr_coef c = coef_at(k->process, k->t);
    const double time = dr_tensor_item(dr_slice(cond->time, 0, 0, 1));
    assert_true(isfinite(time) && fabs(time - c.time) < 1e-6 * fmax(1.0, fabs(c.time)));
    const double V = c.alpha * c.alpha * s * s + c.sigma * c.sigma, from_x0 = c.alpha * s * s / V, from_eps = c.sigma / V;
    const double slope = c.p * from_x0 + c.q * from_eps; /* y = p mu + slope (x - alpha mu) */
    return dr_affine(slope / c.c_in, input, c.p * mu - slope * c.alpha * mu);
}

static void check_samples(dr_instance *p, double t_noise, double t_data)
{
    enum { STEPS = 200 };
    known_data k = { .process = p };
    dr_model *f = dr_model_new(p, best_prediction, &k);
    const dr_coef start = coef_at(p, t_noise);
    const double V = start.alpha * start.alpha * s * s + start.sigma * start.sigma;
    dr_tensor *z = noise(DR_F64, DR_SHAPE(2, 1, 8, 8), 3), *x = dr_affine(sqrt(V), z, start.alpha * mu);
    const double most = 0.9 * fmin(50.0, start.alpha > 0.0 ? start.sigma / start.alpha : 50.0), least = 1e-3;
    k.t = t_noise;
    for (int i = 0; i <= STEPS; i++) { /* Heun's steps; Euler's to where there is no velocity */
        const double next = i < STEPS ? dr_process_time(p, most * pow(least / most, i / (STEPS - 1.0))) : t_data;
        const double dt = next - k.t;
        dr_tensor *d0 = dr_eval(f, x, k.t), *euler = dr_axpy(dt, d0, x);
        k.t = next;
        x = dr_singular(f, next) ? euler : dr_axpy(dt / 2.0, dr_add(d0, dr_eval(f, euler, next)), x);
    }
    if (!x) fail_msg("%s", dr_error_message());
    /* the exact solution of the ODE takes z to mu + s z */
    const double error = max_difference(x, dr_affine(s, z, mu));
    print_message("        samples are off by %.1e\n", error);
    if (!(error < 0.01)) fail_msg("samples are off by %g", error);
    dr_model_free(f);
}

static void check_built(const dr_component *c, dr_args args)
{
    enum { POINTS = 9 };
    double t_noise, t_data, before = -1.0;
    dr_instance *p = dr_instance_new("process", c->name, args);
    if (!p) fail_msg("%s", dr_error_message());
    range_of(p, &t_noise, &t_data);
    assert_true(t_noise != t_data);
    for (int i = 0; i < POINTS; i++) {
        const double t = t_noise + (t_data - t_noise) * (i + 0.3512) / POINTS; /* not on a whole step of a chain */
        const dr_coef at = coef_at(p, t);
        assert_true(at.alpha > 0.0 && at.sigma > 0.0 && at.weight > 0.0 && at.c_in > 0.0);
        assert_true(at.alpha / at.sigma > before); /* ever more signal */
        before = at.alpha / at.sigma;
        inverts_itself(p, t);
        assert_true(fabs(dr_process_time(p, at.sigma / at.alpha) - t) < 1e-9 * fabs(t_data - t_noise));
        check_derivatives(p, t, 1e-6 * fabs(t_data - t_noise));
    }
    assert_true(coef_at(p, t_data).sigma == 0.0 && coef_at(p, t_data).alpha == 1.0);
    check_signal_rises(p, t_noise, t_data);
    check_noising(p, t_noise, t_data);
    check_times(p, t_noise, t_data);
    check_ends_of_training(p);
    if (api_of(p)->draw_t(p->self, 0.0) != api_of(p)->draw_t(p->self, 0.9)) /* not of one noise level */
        check_samples(p, t_noise, t_data);
    dr_instance_free(p);
}

static void check_process(const dr_component *c)
{
    const dr_param *row = has_param(c, "predict");
    walk_args a;
    default_args(c, &a);
    check_built(c, a.args);
    for (const char *s = row ? row->choices : ""; *s;) {
        char choice[64];
        const size_t length = strcspn(s, "|");
        snprintf(choice, sizeof choice, "%.*s", (int)length, s);
        print_message("        predict = %s\n", choice);
        default_args(c, &a);
        add_arg(&a, (dr_arg)DR_S("predict", choice));
        check_built(c, a.args);
        s += length + (s[length] == '|');
    }
}

static void every_process_inverts_itself(void **state)
{
    (void)state;
    for_each("process", 6, check_process);
}

/* ---- what papers say of single processes --------------------------------------------------------------------------- */

static bool close_to(double a, double b) { return fabs(a - b) <= 1e-12 * fmax(1.0, fabs(b)); }

/* D = c_skip x + c_out F, with F the prediction; the weight of the data's error is lambda. */
static void edm_is_preconditioned_as_the_paper_says(void **state)
{
    (void)state;
    const double sd = 0.7, sigmas[] = { 0.002, 0.1, 0.7, 5.0, 80.0, 200.0 };
    dr_instance *p = dr_instance_new("process", "edm", DR_ARGS(DR_R("sigma_data", sd)));
    for (size_t i = 0; i < sizeof sigmas / sizeof *sigmas; i++) {
        const double t = sigmas[i], sum = t * t + sd * sd, c_skip = sd * sd / sum, c_out = t * sd / sqrt(sum);
        const dr_coef c = coef_at(p, t);
        assert_true(close_to(c.p, (1.0 - c_skip) / c_out) && close_to(c.q, -c_skip * t / c_out));
        assert_true(close_to(c.c_in, 1.0 / sqrt(sum)) && close_to(c.time, log(t) / 4.0));
        assert_true(close_to(c.weight, sum / (t * t * sd * sd) * c_out * c_out));
        assert_true(dr_process_time(p, t) == t);
        /* the target has variance 1 for data of deviation sd: that is what c_out is for */
        assert_true(close_to(c.p * c.p * sd * sd + c.q * c.q, 1.0));
    }
    assert_true(fabs(api_of(p)->draw_t(p->self, 0.5) - exp(-1.2)) < 1e-15);
    assert_true(close_to(log(api_of(p)->draw_t(p->self, 0.8413447460685429)), 0.0));
    dr_instance_free(p);
    assert_null(dr_instance_new("process", "edm", DR_ARGS(DR_R("sigma_min", 5), DR_R("sigma_max", 5))));
    assert_error_has("sigma_min = 5 should be below sigma_max = 5");
}

static void an_edm_network_is_not_asked_at_no_noise(void **state)
{
    (void)state;
    dr_instance *p = dr_instance_new("process", "edm", DR_NO_ARGS);
    known_data k = { p, 0.0 };
    dr_model *f = dr_model_new(p, best_prediction, &k);
    assert_true(dr_singular(f, 0.0) && !dr_singular(f, 0.002));
    assert_null(dr_eval(f, noise(DR_F32, DR_SHAPE(1, 1, 2, 2), 1), 0.0));
    assert_error_has("process edm: the network cannot be asked at t = 0");
    dr_model_free(f);
    dr_instance_free(p);
}

/* A chain with beta_i = beta(i/T)/T goes to the VP SDE as T grows. */
static void ddpm_goes_to_vp(void **state)
{
    (void)state;
    enum { T = 100000 };
    const dr_args linear = DR_ARGS(DR_R("beta_start", 0.1 / T), DR_R("beta_end", 20.0 / T));
    const dr_arg schedule = { .name = "schedule", .type = DR_PARAM_COMPONENT, .text = "linear", .children = &linear };
    dr_instance *chain = dr_instance_new("process", "ddpm", DR_ARGS(schedule, DR_I("T", T)));
    dr_instance *sde = dr_instance_new("process", "vp", DR_NO_ARGS);
    for (int i = 1; i <= 10; i++) {
        const dr_coef a = coef_at(chain, i * (T / 10.0)), b = coef_at(sde, i / 10.0);
        assert_true(fabs(a.alpha - b.alpha) < 1e-4 && fabs(a.sigma - b.sigma) < 1e-4);
        assert_true(fabs(b.alpha * b.alpha + b.sigma * b.sigma - 1.0) < 1e-15);
    }
    dr_instance_free(chain);
    dr_instance_free(sde);
}

static void ve_is_geometric(void **state)
{
    (void)state;
    dr_instance *p = dr_instance_new("process", "ve", DR_NO_ARGS);
    for (int i = 1; i <= 10; i++) {
        const double paper = 0.01 * pow(5000.0, i / 10.0); /* without s(0)^2 */
        assert_true(close_to(hypot(coef_at(p, i / 10.0).sigma, 0.01), paper));
    }
    assert_true(dr_process_time(p, INFINITY) == 1.0);
    dr_instance_free(p);
    assert_null(dr_instance_new("process", "ve", DR_ARGS(DR_R("sigma_min", 5), DR_R("sigma_max", 4))));
    assert_error_has("sigma_min = 5 should be below sigma_max = 4");
}

static void the_schedules_are_the_papers(void **state)
{
    (void)state;
    enum { T = 1000 };
    dr_instance *scaled = dr_instance_new("schedule", "scaled_linear", DR_NO_ARGS);
    assert_true(close_to(dr_schedule_beta(scaled, 0, T), 0.00085) && close_to(dr_schedule_beta(scaled, T - 1, T), 0.012));
    const double root = (sqrt(0.00085) * 2 + sqrt(0.012)) / 3;
    assert_true(close_to(dr_schedule_beta(scaled, 333, T), root * root)); /* 333/999 = 1/3 */
    dr_instance *as_beta = dr_instance_new("schedule", "sigmoid_beta", DR_NO_ARGS);
    assert_true(close_to(dr_schedule_beta(as_beta, 0, T), 1e-4 + 0.0199 / (1 + exp(6.0))));
    assert_true(close_to(dr_schedule_beta(as_beta, 50, 101), 1e-4 + 0.0199 / 2));
    dr_instance *as_abar = dr_instance_new("schedule", "sigmoid", DR_NO_ARGS);
    double abar = 1.0;
    for (int i = 0; i < T; i++) {
        abar *= 1.0 - dr_schedule_beta(as_abar, i, T);
        const double v0 = 1 / (1 + exp(3.0)), v1 = 1 / (1 + exp(-3.0)), v = 1 / (1 + exp(3.0 - 6.0 * (i + 1) / T));
        if (i < T - 1) assert_true(fabs(abar - (v1 - v) / (v1 - v0)) < 1e-12);
    }
    assert_true(dr_schedule_beta(as_abar, T - 1, T) == 0.999);
    dr_instance_free(scaled);
    dr_instance_free(as_beta);
    dr_instance_free(as_abar);
}

/* ---- schedules ------------------------------------------------------------------------------------------------------- */

static void check_schedule(const dr_component *c)
{
    static const int64_t chains[] = { 1, 2, 20, 1000 };
    walk_args a;
    default_args(c, &a);
    dr_instance *s = dr_instance_new("schedule", c->name, a.args);
    assert_non_null(s);
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        for (int64_t i = 0; i < chains[k]; i++) {
            const double beta = dr_schedule_beta(s, i, chains[k]);
            if (!(beta > 0.0 && beta < 1.0)) fail_msg("beta of step %lld is %g", (long long)i, beta);
        }
    }
    dr_instance_free(s);
}

static void every_schedule_stays_between_0_and_1(void **state)
{
    (void)state;
    for_each("schedule", 6, check_schedule);
}

/* Every schedule makes a chain, and a chain refuses what cannot be a beta. */
static void check_chain(const dr_component *c)
{
    walk_args a;
    default_args(c, &a);
    const dr_arg schedule = { .name = "schedule", .type = DR_PARAM_COMPONENT, .text = c->name, .children = &a.args };
    static const int64_t chains[] = { 2, 50, 1000 };
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        dr_instance *p = dr_instance_new("process", "ddpm", DR_ARGS(schedule, DR_I("T", chains[k])));
        if (!p) fail_msg("%s", dr_error_message());
        assert_true(coef_at(p, 0).alpha == 1.0 && coef_at(p, 0).sigma == 0.0);
        for (int64_t t = 1; t <= chains[k]; t++) { /* the signal-to-noise ratio falls at every step */
            const dr_coef before = coef_at(p, (double)t - 1), now = coef_at(p, (double)t);
            if (now.alpha < before.alpha && now.alpha / now.sigma < before.alpha / before.sigma) continue;
            fail_msg("T = %lld: the signal does not fall at t = %lld", (long long)chains[k], (long long)t);
        }
        dr_instance_free(p);
    }
}

static void every_schedule_makes_a_chain(void **state)
{
    (void)state;
    for_each("schedule", 6, check_chain);
}

static double beta_of_one(int64_t i, int64_t T) { return i == T - 1 ? 1.0 : 0.01; }

static void a_beta_of_one_is_refused(void **state)
{
    (void)state;
    const dr_arg beta = { .name = "beta", .type = DR_PARAM_FUNCTION, .fn = (dr_function)beta_of_one };
    const dr_args args = DR_ARGS(beta);
    const dr_arg schedule = { .name = "schedule", .type = DR_PARAM_COMPONENT, .text = "custom", .children = &args };
    assert_null(dr_instance_new("process", "ddpm", DR_ARGS(schedule)));
    assert_error_has("schedule custom: beta of step 299 is 1");
    assert_null(dr_instance_new("process", "ddpm", DR_ARGS(DR_S("schedule", "custom"))));
    assert_error_has("beta is required");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_process_inverts_itself),
        cmocka_unit_test(edm_is_preconditioned_as_the_paper_says),
        cmocka_unit_test(an_edm_network_is_not_asked_at_no_noise),
        cmocka_unit_test(ddpm_goes_to_vp),
        cmocka_unit_test(ve_is_geometric),
        cmocka_unit_test(the_schedules_are_the_papers),
        cmocka_unit_test(every_schedule_stays_between_0_and_1),
        cmocka_unit_test(every_schedule_makes_a_chain),
        cmocka_unit_test(a_beta_of_one_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
