/* processes.c: every process, with every choice of what the network predicts: it inverts itself (the data, the noise,
 * v and the velocity come back from the prediction), its derivatives are those of its coefficients, it goes from noise
 * to data with ever more signal, its training times lie within and can be trained on, and the best network's samples
 * are the data. Every schedule: betas between 0 and 1, ever less signal. */
#include "kinds.h"

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
        if (!got) check_fail("t = %g: %s", t, dr_error_message());
        const double scale = fmax(1.0, hypot(a, b)) / fmin(1.0, fmin(c.alpha, c.sigma));
        const double error = max_difference(got, mix(a, x0, b, eps));
        expect(error < 1e-9 * scale, "at t = %g, %g x0 + %g eps comes back from the prediction off by %g", t, a, b,
               error);
    }
}

static void check_derivatives(dr_instance *p, double t, double h)
{
    const dr_coef c = coef_at(p, t), up = coef_at(p, t + h), down = coef_at(p, t - h);
    const double dalpha = (up.alpha - down.alpha) / (2 * h), dsigma = (up.sigma - down.sigma) / (2 * h);
    expect(fabs(dalpha - c.dalpha) < 1e-5 * fmax(1.0, fabs(c.dalpha)),
           "at t = %g dalpha is %.9g, and alpha's slope %.9g", t, c.dalpha, dalpha);
    expect(fabs(dsigma - c.dsigma) < 1e-5 * fmax(1.0, fabs(c.dsigma)),
           "at t = %g dsigma is %.9g, and sigma's slope %.9g", t, c.dsigma, dsigma);
}

static void check_noising(dr_instance *p, double t_noise, double t_data)
{
    dr_tensor *x0 = noise(DR_F32, DR_SHAPE(B, 2, 3, 3), 1), *eps = noise(DR_F32, DR_SHAPE(B, 2, 3, 3), 2);
    double t[B];
    for (int b = 0; b < B; b++) t[b] = t_noise + (t_data - t_noise) * (b + 0.5) / (B + 1);
    dr_noised n;
    dr_noising(p, NULL, x0, eps, t, &n);
    expect_ok("a batch");
    for (int b = 0; b < B; b++) { /* each row by its own t */
        const dr_coef c = coef_at(p, t[b]);
        dr_tensor *x = dr_slice(x0, 0, b, 1), *e = dr_slice(eps, 0, b, 1);
        expect(max_difference(dr_slice(n.x_t, 0, b, 1), mix(c.alpha, x, c.sigma, e)) < 1e-5 * fmax(1, c.sigma),
               "x_t of a batch is not alpha x0 + sigma eps at t = %g", t[b]);
        expect(max_difference(dr_slice(n.target, 0, b, 1), mix(c.p, x, c.q, e)) < 1e-5 * fmax(1, hypot(c.p, c.q)),
               "a batch's target is not p x0 + q eps at t = %g", t[b]);
        expect(max_difference(dr_slice(n.input, 0, b, 1), dr_scale(c.c_in, dr_slice(n.x_t, 0, b, 1))) < 1e-5,
               "a batch's input is not c_in x_t at t = %g", t[b]);
        expect(fabs(dr_tensor_item(dr_slice(n.time, 0, b, 1)) - c.time) < 1e-6 * fmax(1.0, fabs(c.time)),
               "a batch's time is not %g at t = %g", c.time, t[b]);
        const double weight = n.weight ? dr_tensor_item(dr_slice(n.weight, 0, b, 1)) : 1.0;
        expect(n.weight ? fabs(weight / c.weight - 1.0) < 1e-6 : c.weight == 1.0,
               "a batch has weight %g at t = %g, the process %g", weight, t[b], c.weight);
    }
}

static void check_times(dr_instance *p, double t_noise, double t_data)
{
    const double low = fmin(t_noise, t_data), high = fmax(t_noise, t_data);
    for (int i = 0; i <= 1000; i++) {
        const double t = api_of(p)->draw_t(p->self, i < 1000 ? i / 1000.0 : nextafter(1.0, 0.0));
        expect(t >= low && t <= high, "draw_t gives %g, outside [%g, %g]", t, low, high);
    }
}

/* draw_t is monotone in u, and what lies at its two ends can be trained on. */
static void check_ends_of_training(dr_instance *p)
{
    enum { DRAWS = 1000 };
    const double last = nextafter(1.0, 0.0),
                 t[2] = { api_of(p)->draw_t(p->self, 0.0), api_of(p)->draw_t(p->self, last) };
    const double direction = t[1] < t[0] ? -1.0 : 1.0;
    for (int i = 0; i < DRAWS; i++) {
        const double a = api_of(p)->draw_t(p->self, i / (double)DRAWS);
        const double b = api_of(p)->draw_t(p->self, fmin(last, (i + 1) / (double)DRAWS));
        expect(direction * (b - a) >= 0.0, "draw_t is not monotone: %g, then %g", a, b);
    }
    dr_tensor *x0 = noise(DR_F32, DR_SHAPE(2, 1, 3, 3), 1), *eps = noise(DR_F32, DR_SHAPE(2, 1, 3, 3), 2);
    dr_noised n;
    dr_noising(p, NULL, x0, eps, t, &n);
    expect_ok("at an end of training");
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
        expect(signal_share(&c) > before, "at t = %g the signal does not rise towards the data", t);
        before = signal_share(&c);
    }
}

/* ---- the best network for data N(mu, s^2), sampled over noise levels that fall evenly in logarithm --------------- */

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
    expect(isfinite(time) && fabs(time - c.time) < 1e-6 * fmax(1.0, fabs(c.time)),
           "the network is told the time %g, not %g", time, c.time);
    const double V = c.alpha * c.alpha * s * s + c.sigma * c.sigma, from_x0 = c.alpha * s * s / V,
                 from_eps = c.sigma / V;
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
    expect_made(x, "sampling");
    /* the exact solution of the ODE takes z to mu + s z */
    const double error = max_difference(x, dr_affine(s, z, mu));
    check_note("        samples are off by %.1e", error);
    expect(error < 0.01, "the best network's samples are off the ODE's exact solution by %g", error);
    dr_model_free(f);
}

static void check_built(const dr_component *c, dr_args args)
{
    enum { POINTS = 9 };
    double t_noise, t_data, before = -1.0;
    dr_instance *p = built("process", c->name, args);
    range_of(p, &t_noise, &t_data);
    expect(t_noise != t_data, "noise and data are at one time, t = %g", t_data);
    for (int i = 0; i < POINTS; i++) {
        const double t = t_noise + (t_data - t_noise) * (i + 0.3512) / POINTS; /* not on a whole step of a chain */
        const dr_coef at = coef_at(p, t);
        expect(at.alpha > 0.0 && at.sigma > 0.0 && at.weight > 0.0 && at.c_in > 0.0,
               "at t = %g alpha, sigma, weight, c_in are %g, %g, %g, %g: all should be positive within the range", t,
               at.alpha, at.sigma, at.weight, at.c_in);
        expect(at.alpha / at.sigma > before, "at t = %g the signal does not rise towards the data",
               t); /* ever more signal */
        before = at.alpha / at.sigma;
        inverts_itself(p, t);
        const double found = dr_process_time(p, at.sigma / at.alpha);
        expect(fabs(found - t) < 1e-9 * fabs(t_data - t_noise),
               "the time of the noise level of t = %.12g is found as %.12g", t, found);
        check_derivatives(p, t, 1e-6 * fabs(t_data - t_noise));
    }
    const dr_coef end = coef_at(p, t_data);
    expect(end.sigma == 0.0 && end.alpha == 1.0, "at the data alpha = %g and sigma = %g: these should be 1 and 0",
           end.alpha, end.sigma);
    check_signal_rises(p, t_noise, t_data);
    check_noising(p, t_noise, t_data);
    check_times(p, t_noise, t_data);
    check_ends_of_training(p);
    if (api_of(p)->draw_t(p->self, 0.0) != api_of(p)->draw_t(p->self, 0.9)) /* not of one noise level */
        check_samples(p, t_noise, t_data);
    dr_instance_free(p);
}

static void check_process(const dr_component *c) { for_each_choice(c, "predict", check_built); }

/* ---- schedules --------------------------------------------------------------------------------------------------- */

static void check_schedule(const dr_component *c)
{
    static const int64_t chains[] = { 1, 2, 20, 1000 };
    dr_instance *schedule = instance_of(c);
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        for (int64_t i = 0; i < chains[k]; i++) {
            const double beta = dr_schedule_beta(schedule, i, chains[k]);
            expect(beta > 0.0 && beta < 1.0, "beta of step %lld of %lld is %g", (long long)i, (long long)chains[k],
                   beta);
        }
    }
    dr_instance_free(schedule);
}

/* Every schedule makes a chain: the signal-to-noise ratio falls at every step. */
static void check_chain(const dr_component *c)
{
    walk_args a;
    default_args(c, &a);
    const dr_arg schedule = { .name = "schedule", .type = DR_PARAM_COMPONENT, .text = c->name, .children = &a.args };
    static const int64_t chains[] = { 2, 50, 1000 };
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        dr_instance *p = built("process", "ddpm", DR_ARGS(schedule, DR_I("T", chains[k])));
        const dr_coef start = coef_at(p, 0);
        expect(start.alpha == 1.0 && start.sigma == 0.0, "T = %lld: at t = 0 alpha = %g, sigma = %g",
               (long long)chains[k], start.alpha, start.sigma);
        for (int64_t t = 1; t <= chains[k]; t++) {
            const dr_coef before = coef_at(p, (double)t - 1), now = coef_at(p, (double)t);
            expect(now.alpha < before.alpha && now.alpha / now.sigma < before.alpha / before.sigma,
                   "T = %lld: the signal does not fall at t = %lld", (long long)chains[k], (long long)t);
        }
        dr_instance_free(p);
    }
}

const check process_checks[] = {
    { "inverts itself, and its samples are the data", check_process },
    { NULL, NULL },
};
const check schedule_checks[] = {
    { "betas stay between 0 and 1", check_schedule },
    { "makes a chain whose signal falls at every step", check_chain },
    { NULL, NULL },
};
