/* metric.c: a metric's values, and intervals for them by the bootstrap, for every metric alike.     Efron 1979
 *   rows_r = n samples drawn with repeats, r = 1..R;   v_r = metric(rows_r)
 *   [low, high] = v + (quantiles (1-c)/2, (1+c)/2 of v_r) - mean(v_r)
 * The percentiles are shifted to lie around v: a resample holds only 63% of the samples, which moves metrics that are
 * biased in n (Frechet distance, coverage) once more. So the interval says how far chance moves the value, and nothing
 * of the value's own bias; where all samples agree (a share of 1) it has no width. Draws are Philox keyed by (seed,
 * resample, position): the same seed, the same interval. */
#include "drift.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

static const dr_metric *api_of(const dr_instance *metric) { return metric->iface; }
static const char *name_of(const dr_instance *metric) { return metric->component->name; }

/* What a metric keeps is its own, so a reload of its plugin loses it; a value of the rest would be wrong. */
static dr_status check_whole(const dr_instance *metric)
{
    if (!dr_instance_lost(metric)) return DR_OK;
    return dr_fail(DR_EINVAL, "metric %s: its plugin was reloaded, and with that its samples are gone; reset() it and give them "
                   "again", name_of(metric));
}

dr_status dr_metric_reset(dr_instance *metric)
{
    if (dr_failed()) return dr_failed();
    dr_instance_note_use(metric, false);
    const dr_component_call call = dr_component_enter(metric->component, "reset");
    return dr_component_leave(&call, api_of(metric)->reset(metric->self));
}

dr_status dr_metric_reference(dr_instance *metric, dr_tensor *real, dr_split split)
{
    const dr_metric *api = api_of(metric);
    if (dr_failed() || !api->reference || !(api->references & 1 << split)) return dr_failed();
    if (check_whole(metric) != DR_OK) return dr_failed();
    if (api->samples(metric->self) > 0) {
        return dr_fail(DR_EINVAL, "metric %s: real images come before the samples; reset() begins anew",
                       name_of(metric));
    }
    dr_instance_note_use(metric, true);
    const dr_component_call call = dr_component_enter(metric->component, "reference");
    return dr_component_leave(&call, api->reference(metric->self, real, split));
}

dr_status dr_metric_update(dr_instance *metric, dr_tensor *output, dr_tensor *label)
{
    if (dr_failed() || check_whole(metric) != DR_OK) return dr_failed();
    dr_instance_note_use(metric, true);
    const dr_component_call call = dr_component_enter(metric->component, "update");
    return dr_component_leave(&call, api_of(metric)->update(metric->self, output, label));
}

int64_t dr_metric_samples(const dr_instance *metric) { return api_of(metric)->samples(metric->self); }
int dr_metric_values(const dr_instance *metric) { return api_of(metric)->values; }

int dr_metric_better(const dr_instance *metric, int k)
{
    const dr_metric *api = api_of(metric);
    if (k < 0 || k >= api->values) return 0;
    return (api->better[k] > 0) - (api->better[k] < 0);
}

/* ---- the bootstrap, of any function of rows ---------------------------------------------------------------------- */
typedef dr_status evaluate_fn(void *ctx, const int64_t *rows, int64_t n, double *value);

typedef struct statistic {
    evaluate_fn *evaluate;
    void *ctx;
    int64_t n;
    int values;
    const double (*range)[2];
} statistic;

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, int64_t n, double q) /* linear between order statistics */
{
    const double at = q * (double)(n - 1);
    const int64_t i = (int64_t)at;
    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

static double within(double x, const double range[2])
{
    return range[0] < range[1] ? fmin(fmax(x, range[0]), range[1]) : x;
}

static void interval(double *draw, int64_t n, double confidence, const double range[2], dr_metric_value *v)
{
    double mean = draw[0];
    for (int64_t r = 0; r < n; r++) mean += (draw[r] - draw[0]) / (double)n; /* exact where all are equal */
    qsort(draw, (size_t)n, sizeof *draw, compare);
    v->low = within(v->value + quantile(draw, n, (1.0 - confidence) / 2.0) - mean, range);
    v->high = within(v->value + quantile(draw, n, (1.0 + confidence) / 2.0) - mean, range);
}

static dr_status evaluate(const statistic *s, const int64_t *rows, double *value)
{
    dr_scope_open();
    const dr_status status = s->evaluate(s->ctx, rows, s->n, value);
    dr_scope_close();
    if (status != DR_OK && !dr_failed()) dr_fail(status, "a metric failed and did not say why");
    return dr_failed();
}

/* rows [n], draw [values][resamples]: room */
static dr_status bootstrap(const statistic *s, const dr_resampling *how, int64_t *rows, double *draw,
                           dr_metric_value *out)
{
    double value[DR_METRIC_VALUES];
    const int64_t R = how->resamples;
    for (int64_t i = 0; i < s->n; i++) rows[i] = i;
    if (evaluate(s, rows, value)) return dr_failed();
    for (int k = 0; k < s->values; k++) out[k].value = value[k];
    for (int64_t r = 0; r < R; r++) {
        dr_rng rng = { .seed = how->seed, .purpose = dr_purpose("bootstrap"), .step = (uint32_t)r };
        for (int64_t i = 0; i < s->n; i++) {
            rng.sample = (uint64_t)i;
            rows[i] = (int64_t)(dr_rng_uniform(&rng, 0) * (double)s->n);
        }
        if (evaluate(s, rows, value)) return dr_failed();
        for (int k = 0; k < s->values; k++) draw[k * R + r] = value[k];
    }
    for (int k = 0; k < s->values && R > 0; k++) interval(draw + k * R, R, how->confidence, s->range[k], &out[k]);
    return DR_OK;
}

static dr_status check(const dr_resampling *how)
{
    if (how->resamples < 0 || how->resamples > 1000000) {
        return dr_fail(DR_EINVAL, "resamples = %lld is outside [0, 1000000]", (long long)how->resamples);
    }
    if (how->confidence > 0.0 && how->confidence < 1.0) return DR_OK;
    return dr_fail(DR_EINVAL, "confidence = %g is outside (0, 1)", how->confidence);
}

static dr_status with_intervals(const statistic *s, const dr_resampling *how, dr_metric_value *out)
{
    for (int k = 0; k < s->values; k++) out[k].value = out[k].low = out[k].high = NAN;
    if (dr_failed() || check(how) || s->n == 0) return dr_failed();
    int64_t *rows = malloc((size_t)s->n * sizeof *rows);
    double *draw = malloc((size_t)(how->resamples * s->values + 1) * sizeof *draw);
    if (rows && draw) {
        bootstrap(s, how, rows, draw, out);
    } else {
        dr_fail(DR_ENOMEM, "no memory for resamples of %lld rows", (long long)s->n);
    }
    free(rows);
    free(draw);
    return dr_failed();
}

/* A value outside of what the metric says that it can be is a wrong one; NaN is one that is not defined. */
static dr_status checked_evaluate(void *ctx, const int64_t *rows, int64_t n, double *value)
{
    const dr_instance *metric = ctx;
    const dr_metric *api = api_of(metric);
    const dr_component_call call = dr_component_enter(metric->component, "evaluate");
    if (dr_component_leave(&call, api->evaluate(metric->self, rows, n, value)) != DR_OK) return dr_failed();
    for (int k = 0; k < api->values; k++) {
        const double *range = api->range[k], rounding = 1e-6 * (range[1] - range[0]);
        if (range[0] >= range[1] || !(value[k] < range[0] - rounding || value[k] > range[1] + rounding)) continue;
        return dr_fail(DR_EINTERNAL, "metric %s: %s = %g is outside the range that it declares, [%g, %g]", name_of(metric),
                       api->value_name[k], value[k], range[0], range[1]);
    }
    return DR_OK;
}

dr_status dr_metric_result(dr_instance *metric, const dr_resampling *how, dr_metric_value *out)
{
    const dr_metric *api = api_of(metric);
    const statistic s = { checked_evaluate, metric, dr_metric_samples(metric), api->values, api->range };
    for (int k = 0; k < s.values; k++) out[k].name = api->value_name[k];
    if (check_whole(metric) != DR_OK) return dr_failed();
    if (s.n < 0) return dr_fail(DR_EINTERNAL, "metric %s: samples says that it has %lld", name_of(metric), (long long)s.n);
    return with_intervals(&s, how, out);
}

/* ---- the mean of given numbers ----------------------------------------------------------------------------------- */
static dr_status mean(void *ctx, const int64_t *rows, int64_t n, double *value)
{
    const double *x = ctx;
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += x[rows[i]];
    *value = sum / (double)n;
    return DR_OK;
}

dr_status dr_bootstrap_mean(const double *x, int64_t n, const dr_resampling *how, dr_metric_value *out)
{
    static const double unbounded[1][2] = { { 0.0, 0.0 } };
    const statistic s = { mean, (void *)(uintptr_t)x, n, 1, unbounded };
    out->name = "mean";
    return with_intervals(&s, how, out);
}
