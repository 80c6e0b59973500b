/* dopri5.c: adaptive Runge-Kutta 5(4) for the probability-flow ODE: as long a step as the tolerance allows.
 *                                                                                    Dormand & Prince 1980
 *   k_i = f(y + h sum_j a_ij k_j, phi + c_i h),  y' = y + h sum_i b_i k_i,  error = h sum_i e_i k_i
 *   |error| = rms(error/(atol + rtol max(|y|, |y'|))): the step is taken where it is at most 1
 *   next h = h min(10, max(1/5, 0.9 |error|^(-1/5)))
 * in the angle phi = atan(sigma/alpha) and y = x/rho, rho^2 = alpha^2 + sigma^2, where the velocity
 *   dy/dphi = cos(phi) eps - sin(phi) x0 = (rho dx/dt - x drho/dt)/(alpha dsigma/dt - sigma dalpha/dt)
 * has neither the kinks of a chain's time at whole steps, which error estimates miss, nor the process's own pace.
 * k_7 of one step is k_1 of the next. Each image walks alone with steps of its own, so it does not depend on its batch.
 * Where dx/dt is singular at the data, the walk stops at sigma/alpha = 0.3 sqrt(atol + rtol) and ends with x0_hat, whose
 * error there is of the tolerance's size. */
#include <drift/plugin.h>
#include <math.h>

enum { STAGES = 7 };

static const double c[STAGES] = { 0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1 };
static const double a[STAGES][STAGES] = {
    { 0 },
    { 1.0 / 5 },
    { 3.0 / 40, 9.0 / 40 },
    { 44.0 / 45, -56.0 / 15, 32.0 / 9 },
    { 19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729 },
    { 9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656 },
    { 35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84 }, /* b */
};
static const double e[STAGES] = { 71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40 };

typedef struct {
    int64_t steps, max_steps;
    double rtol, atol;
    _Bool adaptive;
    dr_instance *timesteps;
} dopri5;

static const dr_param params[] = {
    DR_INT(dopri5, steps, 1, 0, 1000000, "intervals that are walked adaptively, one after the other; 0: all of the process's"),
    DR_REAL(dopri5, rtol, 1e-5, 1e-12, 1, "error of a step that is accepted, relative to the image"),
    DR_REAL(dopri5, atol, 1e-5, 1e-12, 1, "and absolute; the two are added"),
    DR_INT(dopri5, max_steps, 1000, 1, 1000000, "in one interval, those that were not accepted included; more are an error"),
    DR_BOOL(dopri5, adaptive, 1, "false: each interval is one step of the fifth-order rule, whatever its error"),
    DR_COMPONENT_PARAM(dopri5, timesteps, "timesteps:even", "how the intervals are laid between noise and data"),
    DR_END
};

/* From one time to another, as the angle has it. */
typedef struct way {
    dr_model *f;
    double t, t_end, phi, phi_end;
} way;

static double time_at(const way *w, double phi)
{
    if (phi == w->phi) return w->t;
    return phi == w->phi_end ? w->t_end : dr_process_time(dr_model_process(w->f), tan(phi));
}

static dr_tensor *scaled(double scale, dr_tensor *x) { return scale == 1.0 ? x : dr_scale(scale, x); }

/* dy/dphi */
static dr_tensor *velocity(const way *w, dr_tensor *y, double phi)
{
    dr_coef at;
    const double t = time_at(w, phi);
    dr_model_coef(w->f, t, &at);
    const double rho = hypot(at.alpha, at.sigma), drho = (at.alpha * at.dalpha + at.sigma * at.dsigma) / rho;
    const double turn = at.alpha * at.dsigma - at.sigma * at.dalpha;
    dr_tensor *v = dr_eval(w->f, scaled(rho, y), t); /* [1,C,H,W], dx/dt */
    return dr_axpy(-rho * drho / turn, y, dr_scale(rho / turn, v));
}

/* y + h sum_i w[i] k[i] over the first n; y NULL: without it. */
static dr_tensor *combine(dr_tensor *y, double h, const double *w, dr_tensor *const *k, int n)
{
    dr_tensor *sum = y;
    for (int i = 0; i < n; i++) {
        if (w[i] == 0.0) continue;
        sum = sum ? dr_axpy(h * w[i], k[i], sum) : dr_scale(h * w[i], k[i]);
    }
    return sum;
}

static double rms(dr_tensor *x) { return sqrt(dr_tensor_item(dr_mean(dr_square(x), 0, NULL, 0))); }

/* atol + rtol size */
static dr_tensor *scale_of(const dopri5 *p, dr_tensor *size) { return dr_affine(p->rtol, size, p->atol); }

/* One step from phi to phi + h: k[1..6] from k[0], and the error in units of the tolerance. k[6] is the velocity at its end. */
static dr_tensor *try_step(const dopri5 *p, const way *w, dr_tensor *y, double phi, double h, dr_tensor **k, double *error)
{
    dr_tensor *next = y;
    for (int i = 1; i < STAGES; i++) {
        next = combine(y, h, a[i], k, i); /* [1,C,H,W] */
        k[i] = velocity(w, next, c[i] == 1.0 && fabs(w->phi_end - phi - h) < 1e-12 ? w->phi_end : phi + c[i] * h);
    }
    dr_tensor *scale = scale_of(p, dr_maximum(dr_abs(y), dr_abs(next)));
    *error = rms(dr_div(combine(NULL, h, e, k, STAGES), scale));
    return next;
}

/* A hundredth of the angle in which y would change by its own size. */
static double first_step(const dopri5 *p, dr_tensor *y, dr_tensor *k1, double length)
{
    dr_tensor *scale = scale_of(p, dr_abs(y));
    const double size = rms(dr_div(y, scale)), speed = rms(dr_div(k1, scale));
    if (!(speed > 0.0)) return length;
    return fmax(fmin(0.01 * size / speed, length), 1e-6 * length);
}

static dr_tensor *too_many(const dopri5 *p, const way *w, double phi)
{
    dr_fail(DR_EINVAL, "sampler dopri5: max_steps = %lld steps come from t = %g to %g, not to %g; raise max_steps, or "
                       "rtol = %g and atol = %g", (long long)p->max_steps, w->t, time_at(w, phi), w->t_end, p->rtol, p->atol);
    return NULL;
}

static double next_length(double h, double error, int rejected)
{
    const double factor = fmin(fmax(0.9 * pow(fmax(error, 1e-10), -0.2), 0.2), 10.0);
    return h * (rejected ? fmin(factor, 1.0) : factor);
}

static dr_tensor *walk(const dopri5 *p, const way *w, dr_tensor *y)
{
    const double towards = w->phi_end > w->phi ? 1.0 : -1.0;
    dr_tensor *k1 = velocity(w, y, w->phi);
    double phi = w->phi, h = first_step(p, y, k1, fabs(w->phi_end - phi)), error = 0.0;
    for (int64_t i = 0; phi != w->phi_end && !dr_failed(); i++) {
        if (i == p->max_steps || phi + towards * h == phi) return too_many(p, w, phi);
        const int is_last = h >= 0.999 * fabs(w->phi_end - phi);
        dr_tensor *k[STAGES] = { k1 };
        if (is_last) h = fabs(w->phi_end - phi);
        dr_scope_open();
        dr_tensor *next = try_step(p, w, y, phi, towards * h, k, &error);
        const int rejected = !(error <= 1.0);
        if (!rejected) {
            y = dr_escape(next);
            k1 = dr_escape(k[STAGES - 1]);
            phi = is_last ? w->phi_end : phi + towards * h;
        }
        dr_scope_close();
        if (!isfinite(error) && !dr_failed()) {
            dr_fail(DR_EINVAL, "sampler dopri5: the velocity is not finite near t = %g", time_at(w, phi));
        }
        h = next_length(h, error, rejected);
    }
    return dr_failed() ? NULL : y;
}

static dr_tensor *one_step(const dopri5 *p, const way *w, dr_tensor *y)
{
    dr_tensor *k[STAGES] = { velocity(w, y, w->phi) };
    double error;
    return try_step(p, w, y, w->phi, w->phi_end - w->phi, k, &error);
}

/* Stops short of a t_end at which the velocity is singular. */
static void stop_before(const dopri5 *p, way *w)
{
    const double least = 0.3 * sqrt(p->atol + p->rtol);
    if (!dr_singular(w->f, w->t_end) || w->phi_end >= atan(least)) return;
    w->phi_end = fmin(atan(least), w->phi);
    w->t_end = w->phi_end == w->phi ? w->t : dr_process_time(dr_model_process(w->f), least);
}

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    const dopri5 *p = self;
    dr_coef now, stop, next;
    (void)rng;
    dr_model_coef(f, t, &now);
    dr_model_coef(f, t_next, &next);
    way w = { .f = f, .t = t, .t_end = t_next, .phi = atan2(now.sigma, now.alpha), .phi_end = atan2(next.sigma, next.alpha) };
    stop_before(p, &w);
    dr_model_coef(f, w.t_end, &stop);
    if (w.phi != w.phi_end) {
        dr_tensor *y = scaled(1.0 / hypot(now.alpha, now.sigma), x);
        x = scaled(hypot(stop.alpha, stop.sigma), p->adaptive ? walk(p, &w, y) : one_step(p, &w, y));
    }
    if (w.t_end == t_next) return x;
    dr_tensor *x0 = dr_eval_x0(f, x, w.t_end), *mean = scaled(next.alpha, x0);
    return next.sigma > 0.0 ? dr_axpy(next.sigma, dr_x0_to_eps(f, x, x0, w.t_end), mean) : mean;
}

DR_SAMPLER(dopri5, "Adaptive Dormand-Prince 5(4) ODE steps", params, .step = step, .order = 5,
           .flags = DR_SAMPLER_ROW_BY_ROW)
