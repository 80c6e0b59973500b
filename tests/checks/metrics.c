/* metrics.c: every metric: says that it has seen nothing before it has, counts samples however they are batched,
 * starts again after reset, evaluates any rows, gives values within the range that it declares, and has an interval
 * that holds its value and shrinks with more samples. */
#include "kinds.h"

#include <math.h>

static const dr_metric *api_of(const dr_instance *m) { return m->iface; }

enum { K = 3, SIDE = 4, ROWS = 24 };

/* Normal rows in the metric's space, from a stream of their own: [n,3] or [n,1,4,4] */
static dr_tensor *rows_for(const dr_instance *m, int64_t n, uint32_t stream)
{
    const int64_t image[] = { n, 1, SIDE, SIDE }, row[] = { n, K };
    const bool pixels = api_of(m)->space == DR_SPACE_PIXELS;
    return noise(DR_F32, pixels ? 4 : 2, pixels ? image : row, stream);
}

static dr_tensor *labels_for(int64_t n)
{
    int32_t *label = calloc((size_t)n, sizeof *label);
    for (int64_t i = 0; label && i < n; i++) label[i] = (int32_t)(i % K);
    dr_tensor *t = dr_tensor_from(DR_I32, 1, &n, label);
    free(label);
    return t;
}

static dr_instance *make(const dr_component *c, int64_t real, uint32_t stream)
{
    dr_instance *m = instance_of(c);
    if (!real) return m;
    dr_metric_reference(m, rows_for(m, real, stream), DR_TEST);
    dr_metric_reference(m, rows_for(m, real, stream + 1), DR_TRAIN);
    expect_ok("reference");
    return m;
}

static void update(dr_instance *m, dr_tensor *rows, dr_tensor *labels)
{
    dr_metric_update(m, rows, labels);
    expect_ok("update");
}

static void result(dr_instance *m, uint64_t seed, dr_metric_value *out)
{
    const dr_resampling how = { .resamples = 100, .confidence = 0.9, .seed = seed };
    dr_metric_result(m, &how, out);
    expect_ok("evaluate");
}

static double value_of(dr_instance *m, int k)
{
    dr_metric_value out[DR_METRIC_VALUES];
    const dr_resampling how = { .resamples = 0, .confidence = 0.95 };
    dr_metric_result(m, &how, out);
    expect_ok("evaluate");
    expect(isnan(out[k].low) && isnan(out[k].high), "without resamples there is an interval");
    return out[k].value;
}

static void check_counts(const dr_component *c)
{
    dr_metric_value out[DR_METRIC_VALUES];
    dr_instance *m = make(c, ROWS, 1);
    const int values = dr_metric_values(m);
    expect(values >= 1 && values <= DR_METRIC_VALUES, "it has %d values", values);
    expect(dr_metric_samples(m) == 0, "it starts with %lld samples", (long long)dr_metric_samples(m));
    result(m, 0, out);
    for (int k = 0; k < values; k++) {
        expect(isnan(out[k].value) && isnan(out[k].low) && isnan(out[k].high), "before any sample %s is %g",
               out[k].name, out[k].value);
        expect(out[k].name != NULL, "value %d has no name", k + 1);
    }
    update(m, rows_for(m, ROWS, 3), labels_for(ROWS));
    expect(dr_metric_samples(m) == ROWS, "after %d samples it counts %lld", ROWS, (long long)dr_metric_samples(m));
    result(m, 0, out);
    for (int k = 0; k < values; k++) {
        const double *range = api_of(m)->range[k], v = out[k].value;
        expect(isfinite(v), "%s is %g", out[k].name, v);
        expect(range[0] >= range[1] || (v >= range[0] && v <= range[1]),
               "%s = %g is outside the range [%g, %g] that it declares", out[k].name, v, range[0], range[1]);
    }
    dr_metric_reset(m);
    expect_ok("reset");
    expect(dr_metric_samples(m) == 0, "after reset it counts %lld samples", (long long)dr_metric_samples(m));
    if (api_of(m)->references) {
        const dr_resampling how = { .resamples = 0, .confidence = 0.95 };
        const bool refused = dr_metric_update(m, rows_for(m, ROWS, 3), labels_for(ROWS)) != DR_OK; /* or later: */
        expect(refused || dr_metric_result(m, &how, out) != DR_OK, "reset does not forget the real images");
        expect_error("real images");
    }
    dr_instance_free(m);
}

static void check_batches(const dr_component *c)
{
    dr_instance *whole = make(c, ROWS, 1), *parts = make(c, 0, 0);
    for (int i = 0; i < 2 && api_of(parts)->references; i++) {
        const dr_split split = i ? DR_TRAIN : DR_TEST;
        dr_tensor *real = rows_for(parts, ROWS, i ? 2 : 1);
        dr_metric_reference(parts, dr_slice(real, 0, 0, 5), split);
        dr_metric_reference(parts, dr_slice(real, 0, 5, ROWS - 5), split);
        expect_ok("reference");
    }
    dr_tensor *rows = rows_for(whole, ROWS, 3), *labels = labels_for(ROWS);
    update(whole, rows, labels);
    for (int64_t i = 0; i < ROWS; i += 8) {
        update(parts, dr_slice(rows, 0, i, 8), dr_slice(labels, 0, i, 8));
        value_of(parts, 0); /* an evaluation in between changes nothing */
    }
    for (int k = 0; k < dr_metric_values(whole); k++) {
        const double a = value_of(whole, k), b = value_of(parts, k);
        expect(fabs(a - b) <= 1e-12 * fmax(1.0, fabs(a)), "value %d is %.17g whole, %.17g in batches of 8", k + 1, a,
               b);
    }
    dr_instance_free(whole);
    dr_instance_free(parts);
}

/* Batches in another order: the same samples. */
static void check_order(const dr_component *c)
{
    dr_instance *forward = make(c, ROWS, 1), *backward = make(c, ROWS, 1);
    dr_tensor *rows = rows_for(forward, ROWS, 3), *labels = labels_for(ROWS);
    for (int64_t i = 0; i < ROWS; i += 8) {
        update(forward, dr_slice(rows, 0, i, 8), dr_slice(labels, 0, i, 8));
        update(backward, dr_slice(rows, 0, ROWS - 8 - i, 8), dr_slice(labels, 0, ROWS - 8 - i, 8));
    }
    for (int k = 0; k < dr_metric_values(forward); k++) {
        const double a = value_of(forward, k), b = value_of(backward, k);
        expect(fabs(a - b) <= 1e-9 * fmax(1.0, fabs(a)),
               "value %d is %.17g, and %.17g with its batches in the other order", k + 1, a, b);
    }
    dr_instance_free(forward);
    dr_instance_free(backward);
}

/* ---- intervals --------------------------------------------------------------------------------------------------- */

static double width_at(const dr_component *c, int64_t n)
{
    dr_metric_value out[DR_METRIC_VALUES], again[DR_METRIC_VALUES], other[DR_METRIC_VALUES];
    double width = 0.0;
    dr_instance *m = make(c, 200, 1);
    update(m, dr_scale(1.2, rows_for(m, n, 3)), labels_for(n));
    result(m, 7, out);
    result(m, 7, again);
    result(m, 8, other);
    bool differs = false;
    for (int k = 0; k < dr_metric_values(m); k++) {
        expect(out[k].low <= out[k].value && out[k].value <= out[k].high, "%s = %g is outside its interval [%g, %g]",
               out[k].name, out[k].value, out[k].low, out[k].high);
        expect(out[k].low == again[k].low && out[k].high == again[k].high, "%s: one seed gives two intervals",
               out[k].name);
        differs = differs || out[k].low != other[k].low || out[k].high != other[k].high;
        width += out[k].high - out[k].low;
    }
    expect(differs, "its intervals do not depend on which samples are drawn");
    dr_instance_free(m);
    return width;
}

static void check_interval(const dr_component *c)
{
    const double few = width_at(c, 60), many = width_at(c, 960);
    expect(many > 0.0 && many < 0.6 * few, "intervals have width %g at 60 samples, %g at 960", few, many);
}

/* Rows are what is evaluated: in any order, and without the samples that they do not name. */
static void check_rows(const dr_component *c)
{
    double whole[DR_METRIC_VALUES], turned[DR_METRIC_VALUES], some[DR_METRIC_VALUES];
    int64_t rows[ROWS];
    dr_instance *m = make(c, ROWS, 1);
    update(m, rows_for(m, ROWS, 3), labels_for(ROWS));
    for (int64_t i = 0; i < ROWS; i++) rows[i] = i;
    expect(api_of(m)->evaluate(m->self, rows, ROWS, whole) == DR_OK, "evaluate fails");
    for (int64_t i = 0; i < ROWS; i++) rows[i] = ROWS - 1 - i;
    expect(api_of(m)->evaluate(m->self, rows, ROWS, turned) == DR_OK, "evaluate fails");
    expect(api_of(m)->evaluate(m->self, rows, 11, some) == DR_OK, "evaluate fails for some of the rows");
    bool differs = false;
    for (int k = 0; k < dr_metric_values(m); k++) {
        expect(fabs(whole[k] - turned[k]) <= 1e-12 * fmax(1.0, fabs(whole[k])),
               "value %d is %.17g, and %.17g for the same rows in"
               " another order",
               k + 1, whole[k], turned[k]);
        differs = differs || fabs(whole[k] - some[k]) > 1e-6;
    }
    expect(differs, "of 11 rows it says what it says of all %d", ROWS);
    dr_instance_free(m);
}

const check metric_checks[] = {
    { "counts samples, and its values are within its range", check_counts },
    { "is the same in batches", check_batches },
    { "the order of batches does not matter", check_order },
    { "has an interval that shrinks with more samples", check_interval },
    { "evaluates any rows", check_rows },
    { NULL, NULL },
};
