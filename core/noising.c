/* noising.c: from clean images to a training batch, and from a prediction back to images and noise.
 *   x_t = alpha x0 + sigma eps,  target = p x0 + q eps,  the network sees c_in x_t and `time`
 * All numbers come from the process's coefficients at t (dr_coef), in double; rows of a batch may differ in t. */
#include "noising.h"

#include <math.h>
#include <stdlib.h>

/* ---- what a process says ---------------------------------------------------------------------------------------- */

static const dr_process *api_of(const dr_instance *process) { return process->iface; }

void dr_process_coef(const dr_instance *process, double t, dr_coef *c)
{
    *c = (dr_coef){ .alpha = 1.0, .p = 1.0, .c_in = 1.0, .weight = 1.0 };
    api_of(process)->coef(process->self, t, c);
}

void dr_process_range(const dr_instance *process, double *t_noise, double *t_data, int64_t *steps)
{
    *t_noise = 0.0, *t_data = 1.0, *steps = 0;
    api_of(process)->range(process->self, t_noise, t_data, steps);
}

/* Is sigma/alpha at t above the ratio? In a form that holds where alpha is 0. */
static bool is_noisier(const dr_instance *process, double t, double ratio)
{
    dr_coef c;
    dr_process_coef(process, t, &c);
    return c.sigma > ratio * c.alpha;
}

static bool has_time(const dr_process *api) { return api->time != NULL; }

double dr_process_time(const dr_instance *process, double noise_to_signal)
{
    double noisy, clean;
    int64_t steps;
    if (has_time(api_of(process))) return api_of(process)->time(process->self, noise_to_signal);
    dr_process_range(process, &noisy, &clean, &steps);
    if (!is_noisier(process, noisy, noise_to_signal)) return noisy;
    if (is_noisier(process, clean, noise_to_signal)) return clean;
    for (int i = 0; i < 200; i++) { /* until the two are neighbours among doubles */
        const double middle = noisy + (clean - noisy) / 2.0;
        if (middle == noisy || middle == clean) break;
        if (is_noisier(process, middle, noise_to_signal)) {
            noisy = middle;
        } else {
            clean = middle;
        }
    }
    return clean;
}

/* ---- sums of two images with a factor for each row ------------------------------------------------------------ */

static bool all_equal(const double *w, int64_t B)
{
    for (int64_t b = 1; b < B; b++) {
        if (w[b] != w[0]) return false;
    }
    return true;
}

/* wa a + wb b with the factors 0 and 1 left out: what is asked for exactly comes back as it is. */
static dr_tensor *weighted_sum(double wa, dr_tensor *a, double wb, dr_tensor *b)
{
    if (wb == 0.0) return wa == 1.0 ? a : dr_scale(wa, a);
    if (wa == 0.0) return wb == 1.0 ? b : dr_scale(wb, b);
    if (wa == 1.0) return dr_axpy(wb, b, a);
    if (wb == 1.0) return dr_axpy(wa, a, b);
    return dr_axpy(wa, a, dr_scale(wb, b));
}

/* w[B] as a tensor that broadcasts over x's other axes: [B,1,..,1]. */
static dr_tensor *rows(const double *w, const dr_view *x)
{
    int64_t shape[DR_MAX_RANK] = { x->shape[0], 1, 1, 1, 1 };
    dr_tensor *t = dr_tensor_new((dr_dtype)x->dtype, x->rank, shape, DR_LAYOUT_ROW);
    return t && dr_tensor_write(t, DR_F64, w) == DR_OK ? t : NULL;
}

/* ---- training pairs ------------------------------------------------------------------------------------------- */

enum { ALPHA = 0, SIGMA, P, Q, C_IN, TIME, WEIGHT, COLUMNS };

dr_status dr_weigh(dr_instance *weighting, const dr_coef *c, double *weight)
{
    const dr_component_call call = dr_component_enter(weighting->component, "weight");
    *weight = ((const dr_weighting *)weighting->iface)->weight(weighting->self, c);
    dr_component_leave(&call, DR_OK);
    if (dr_failed() || (isfinite(*weight) && *weight >= 0.0)) return dr_failed();
    return dr_fail(DR_EINVAL, "weighting %s: %g is no weight (alpha = %g, sigma = %g, the network predicts %g x0 + %g eps)",
                   weighting->component->name, *weight, c->alpha, c->sigma, c->p, c->q);
}

static double *coefficient_columns(const dr_instance *process, dr_instance *weighting, const double *t, int64_t B)
{
    double *w = malloc((size_t)(B * COLUMNS) * sizeof *w + 1);
    if (!w) {
        dr_fail(DR_ENOMEM, "noising: no memory for a batch of %lld", (long long)B);
        return NULL;
    }
    for (int64_t b = 0; b < B; b++) {
        dr_coef c;
        dr_process_coef(process, t[b], &c);
        if (weighting && isfinite(c.p) && isfinite(c.q) && dr_weigh(weighting, &c, &c.weight) != DR_OK) {
            free(w);
            return NULL;
        }
        const double value[COLUMNS] = { c.alpha, c.sigma, c.p, c.q, c.c_in, c.time, c.weight };
        for (int k = 0; k < COLUMNS; k++) {
            if (!isfinite(value[k])) {
                dr_fail(DR_EINVAL, "process %s: t = %g cannot be trained on: the target is not finite there",
                        process->component->name, t[b]);
                free(w);
                return NULL;
            }
            w[k * B + b] = value[k];
        }
    }
    return w;
}

static dr_tensor *column(const double *w, int64_t B)
{
    dr_tensor *t = dr_tensor_new(DR_F32, 1, &B, DR_LAYOUT_ROW);
    return t && dr_tensor_write(t, DR_F64, w) == DR_OK ? t : NULL;
}

/* Which columns differ from row to row. Where they do not, kernels get them as numbers; the rest are tensors. */
typedef struct form { bool image, target, c_in, weight; } form;

static form form_of_batch(const double *w, int64_t B)
{
    bool same[COLUMNS];
    for (int k = 0; k < COLUMNS; k++) same[k] = B > 0 && all_equal(w + k * B, B);
    return (form){ .image = !same[ALPHA] || !same[SIGMA],
                   .target = !same[P] || !same[Q],
                   .c_in = !same[C_IN] || w[C_IN * B] != 1.0,
                   .weight = !same[WEIGHT] || w[WEIGHT * B] != 1.0 };
}

/* What the process says all over its training times: so that a batch's form does not hang on its own times, but where
 * these are others still. */
static dr_status form_of_process(dr_instance *process, dr_instance *weighting, const double *w, int64_t B, form *out)
{
    enum { PROBES = 33 };
    double t[PROBES];
    const form own = form_of_batch(w, B);
    for (int i = 0; i < PROBES; i++) t[i] = dr_process_draw_t(process, (i + 0.5) / PROBES);
    double *all = coefficient_columns(process, weighting, t, PROBES);
    if (!all) { /* some time of the process cannot be trained on: then the batch decides */
        dr_error_clear();
        *out = own;
        return DR_OK;
    }
    const form f = form_of_batch(all, PROBES);
    const bool other_image = all[ALPHA * PROBES] != w[ALPHA * B] || all[SIGMA * PROBES] != w[SIGMA * B];
    const bool other_target = all[P * PROBES] != w[P * B] || all[Q * PROBES] != w[Q * B];
    free(all);
    *out = (form){ .image = f.image || own.image || other_image, .target = f.target || own.target || other_target,
                   .c_in = f.c_in || own.c_in, .weight = f.weight || own.weight };
    return DR_OK;
}

static dr_status lay_levels(const double *w, const form *f, const dr_view *images, dr_levels *out)
{
    const int64_t B = images->shape[0];
    if (f->image) out->alpha = rows(w + ALPHA * B, images), out->sigma = rows(w + SIGMA * B, images);
    if (f->target) out->p = rows(w + P * B, images), out->q = rows(w + Q * B, images);
    if (f->c_in) out->c_in = rows(w + C_IN * B, images);
    out->time = column(w + TIME * B, B);
    if (f->weight) out->weight = column(w + WEIGHT * B, B);
    return dr_failed();
}

/* wa a + wb b, with a factor for each row where there are such, else the same for all. */
static dr_tensor *sum(dr_tensor *rows_a, double wa, dr_tensor *a, dr_tensor *rows_b, double wb, dr_tensor *b)
{
    if (!rows_a || !rows_b) return weighted_sum(wa, a, wb, b);
    return dr_add(dr_mul(rows_a, a), dr_mul(rows_b, b));
}

/* same: the numbers where the levels have no tensors of them */
static dr_status noise(const dr_coef *same, dr_tensor *x0, dr_tensor *eps, const dr_levels *l, dr_noised *out)
{
    out->x_t = sum(l->alpha, same->alpha, x0, l->sigma, same->sigma, eps);
    out->target = sum(l->p, same->p, x0, l->q, same->q, eps);
    out->input = l->c_in && out->x_t ? dr_mul(l->c_in, out->x_t) : out->x_t;
    out->time = l->time;
    out->weight = l->weight;
    return dr_failed();
}

static dr_status check_images(dr_tensor *x0, dr_tensor *eps)
{
    const dr_view *v = dr_tensor_view(x0), *e = dr_tensor_view(eps);
    if (dr_failed()) return dr_failed();
    if (!v || !e) return dr_fail(DR_EINVAL, "noising: no images or no noise");
    if (v->rank >= 1 && v->rank == e->rank && v->shape[0] == e->shape[0]) return DR_OK;
    char a[128], b[128];
    return dr_fail(DR_ESHAPE, "noising: images %s and noise %s should have one shape", dr_view_text(v, a, sizeof a),
                   dr_view_text(e, b, sizeof b));
}

dr_status dr_batch_levels(dr_instance *process, dr_instance *weighting, dr_tensor *x0, const double *t, dr_levels *out)
{
    *out = (dr_levels){ 0 };
    if (check_images(x0, x0) != DR_OK) return dr_failed();
    const dr_view *v = dr_tensor_view(x0);
    double *w = coefficient_columns(process, weighting, t, v->shape[0]);
    form f;
    if (w && v->shape[0] > 0 && form_of_process(process, weighting, w, v->shape[0], &f) == DR_OK) {
        lay_levels(w, &f, v, out);
    }
    free(w);
    return dr_failed();
}

dr_status dr_noise_batch(dr_instance *process, dr_tensor *x0, dr_tensor *eps, const dr_levels *levels, dr_noised *out)
{
    dr_coef same;
    *out = (dr_noised){ 0 };
    if (check_images(x0, eps) != DR_OK) return dr_failed();
    dr_process_coef(process, dr_process_draw_t(process, 0.5), &same);
    return noise(&same, x0, eps, levels, out);
}

dr_status dr_noising(dr_instance *process, dr_instance *weighting, dr_tensor *x0, dr_tensor *eps, const double *t,
                     dr_noised *out)
{
    *out = (dr_noised){ 0 };
    if (check_images(x0, eps) != DR_OK) return dr_failed();
    const dr_view *v = dr_tensor_view(x0);
    const int64_t B = v->shape[0];
    double *w = coefficient_columns(process, weighting, t, B);
    if (!w) return dr_failed();
    const form f = form_of_batch(w, B);
    const dr_coef same = B > 0 ? (dr_coef){ .alpha = w[ALPHA * B], .sigma = w[SIGMA * B], .p = w[P * B], .q = w[Q * B] }
                               : (dr_coef){ 0 };
    dr_levels levels = { 0 };
    if (lay_levels(w, &f, v, &levels) == DR_OK) noise(&same, x0, eps, &levels, out);
    free(w);
    return dr_failed();
}

/* A component's time must be one that the process itself may draw: between the ends of draw_t, which is monotone. */
static dr_status check_time(const dr_instance *process, const dr_instance *time_sampling, double t)
{
    const double first = dr_process_draw_t(process, 0.0), last = dr_process_draw_t(process, nextafter(1.0, 0.0));
    if (t >= fmin(first, last) && t <= fmax(first, last)) return dr_failed();
    return dr_fail(DR_EINVAL, "time_sampling %s: t = %g is outside [%g, %g], the training times of process %s",
                   time_sampling->component->name, t, fmin(first, last), fmax(first, last), process->component->name);
}

dr_status dr_draw_time(dr_instance *process, dr_instance *time_sampling, double u, double *t)
{
    if (dr_failed()) return dr_failed();
    if (!time_sampling) {
        *t = dr_process_draw_t(process, u);
        return dr_failed();
    }
    const dr_component_call call = dr_component_enter(time_sampling->component, "draw");
    *t = ((const dr_time_sampling *)time_sampling->iface)->draw(time_sampling->self, process, u);
    return dr_component_leave(&call, DR_OK) != DR_OK ? dr_failed() : check_time(process, time_sampling, *t);
}

dr_status dr_draw_times(dr_instance *process, dr_instance *time_sampling, const dr_rng *rng, int64_t B, double *t)
{
    for (int64_t b = 0; b < B; b++) {
        dr_rng row = *rng;
        row.sample += (uint64_t)b;
        if (dr_draw_time(process, time_sampling, dr_rng_uniform(&row, 0), &t[b]) != DR_OK) break;
    }
    return dr_failed();
}

/* ---- from a prediction to what one wants ---------------------------------------------------------------------- */

/* The prediction y = p x0 + q eps and x = alpha x0 + sigma eps are two equations for x0 and eps. With
 * D = alpha q - sigma p:   x0 = (q x - sigma y)/D,  eps = (alpha y - p x)/D
 *   wx0 x0 + weps eps = ((q wx0 - p weps) x + (alpha weps - sigma wx0) y)/D
 * Where D is 0, x and y say the same, and only multiples of them can be had. */
typedef struct solution { double of_x, of_y; } solution;

static bool parallel(double a0, double a1, double b0, double b1) /* (a0,a1) and (b0,b1) */
{
    return fabs(a0 * b1 - a1 * b0) <= 1e-12 * hypot(a0, a1) * hypot(b0, b1);
}

static bool solve(const dr_coef *c, double wx0, double weps, solution *s)
{
    if (!isfinite(wx0) || !isfinite(weps) || !isfinite(c->p) || !isfinite(c->q)) return false;
    if (!parallel(c->alpha, c->sigma, c->p, c->q)) {
        const double D = c->alpha * c->q - c->sigma * c->p;
        *s = (solution){ (c->q * wx0 - c->p * weps) / D, (c->alpha * weps - c->sigma * wx0) / D };
        return true;
    }
    const double norm = c->p * c->p + c->q * c->q;
    if (norm > 0.0 && parallel(wx0, weps, c->p, c->q)) {
        *s = (solution){ 0.0, (wx0 * c->p + weps * c->q) / norm };
        return true;
    }
    return false;
}

dr_tensor *dr_prediction_to(const dr_coef *c, dr_tensor *x, dr_tensor *prediction, double wx0, double weps)
{
    solution s;
    if (dr_failed() || !x || !prediction) return NULL;
    if (!solve(c, wx0, weps, &s)) {
        dr_fail(DR_EINVAL, "at this t, what the network predicts does not determine %s",
                weps == 0.0 ? "the data" : wx0 == 0.0 ? "the noise" : "the velocity");
        return NULL;
    }
    return weighted_sum(s.of_x, x, s.of_y, prediction);
}

bool dr_prediction_determines(const dr_coef *c, double wx0, double weps)
{
    solution s;
    return solve(c, wx0, weps, &s);
}

/* ---- and back to more noise ------------------------------------------------------------------------------------- */

dr_tensor *dr_renoise(const dr_instance *process, dr_tensor *x, double from, double to, dr_tensor *noise)
{
    dr_coef now, then;
    if (dr_failed() || !x || !noise) return NULL;
    dr_process_coef(process, from, &now);
    dr_process_coef(process, to, &then);
    const double a = then.alpha / now.alpha, b2 = then.sigma * then.sigma - a * a * now.sigma * now.sigma;
    if (!isfinite(a) || !(b2 >= 0.0)) {
        dr_fail(DR_EINVAL, "renoise: t = %g to %g does not go towards the noise, on process %s", from, to,
                process->component->name);
        return NULL;
    }
    return weighted_sum(a, x, sqrt(b2), noise);
}
