/* Every metric: says that it has seen nothing before it has, counts samples however they are batched, starts again after
 * reset, and has an interval that holds its value and shrinks with more samples. Each one's own promise, where it can be
 * known: known Gaussians, sets of points whose neighbours are found by hand. */
#include "walk.h"

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
    for (int64_t i = 0; i < n; i++) label[i] = (int32_t)(i % K);
    dr_tensor *t = dr_tensor_from(DR_I32, 1, &n, label);
    free(label);
    return t;
}

static dr_instance *make(const char *name, int64_t real, uint32_t stream)
{
    dr_instance *m = dr_instance_new("metric", name, DR_NO_ARGS);
    assert_non_null(m);
    if (!real) return m;
    assert_int_equal(dr_metric_reference(m, rows_for(m, real, stream), DR_TEST), DR_OK);
    assert_int_equal(dr_metric_reference(m, rows_for(m, real, stream + 1), DR_TRAIN), DR_OK);
    return m;
}

static void result(dr_instance *m, uint64_t seed, dr_metric_value *out)
{
    const dr_resampling how = { .resamples = 100, .confidence = 0.9, .seed = seed };
    assert_int_equal(dr_metric_result(m, &how, out), DR_OK);
}

static double value_of(dr_instance *m, int k)
{
    dr_metric_value out[DR_METRIC_VALUES];
    const dr_resampling how = { .resamples = 0, .confidence = 0.95 };
    if (dr_metric_result(m, &how, out) != DR_OK) fail_msg("metric %s: %s", m->component->name, dr_error_message());
    assert_true(isnan(out[k].low) && isnan(out[k].high));
    return out[k].value;
}

static void check_counts(const dr_component *c)
{
    dr_metric_value out[DR_METRIC_VALUES];
    dr_instance *m = make(c->name, ROWS, 1);
    assert_true(dr_metric_values(m) >= 1 && dr_metric_values(m) <= DR_METRIC_VALUES);
    assert_int_equal(dr_metric_samples(m), 0);
    result(m, 0, out);
    for (int k = 0; k < dr_metric_values(m); k++) {
        assert_true(isnan(out[k].value) && isnan(out[k].low) && isnan(out[k].high));
        assert_non_null(out[k].name);
    }
    assert_int_equal(dr_metric_update(m, rows_for(m, ROWS, 3), labels_for(ROWS)), DR_OK);
    assert_int_equal(dr_metric_samples(m), ROWS);
    result(m, 0, out);
    for (int k = 0; k < dr_metric_values(m); k++) assert_true(isfinite(out[k].value));
    assert_int_equal(dr_metric_reset(m), DR_OK);
    assert_int_equal(dr_metric_samples(m), 0);
    if (api_of(m)->references) {
        assert_int_equal(dr_metric_update(m, rows_for(m, ROWS, 3), labels_for(ROWS)), DR_OK);
        const dr_resampling how = { .resamples = 0, .confidence = 0.95 };
        assert_int_not_equal(dr_metric_result(m, &how, out), DR_OK); /* reset forgot the real images */
        assert_error_has("real images");
    }
    dr_instance_free(m);
}

static void every_metric_counts(void **state)
{
    (void)state;
    for_each("metric", 6, check_counts);
}

static void check_batches(const dr_component *c)
{
    dr_instance *whole = make(c->name, ROWS, 1), *parts = make(c->name, 0, 0);
    for (int i = 0; i < 2 && api_of(parts)->references; i++) {
        const dr_split split = i ? DR_TRAIN : DR_TEST;
        dr_tensor *real = rows_for(parts, ROWS, i ? 2 : 1);
        assert_int_equal(dr_metric_reference(parts, dr_slice(real, 0, 0, 5), split), DR_OK);
        assert_int_equal(dr_metric_reference(parts, dr_slice(real, 0, 5, ROWS - 5), split), DR_OK);
    }
    dr_tensor *rows = rows_for(whole, ROWS, 3), *labels = labels_for(ROWS);
    assert_int_equal(dr_metric_update(whole, rows, labels), DR_OK);
    for (int64_t i = 0; i < ROWS; i += 8) {
        assert_int_equal(dr_metric_update(parts, dr_slice(rows, 0, i, 8), dr_slice(labels, 0, i, 8)), DR_OK);
        value_of(parts, 0); /* an evaluation in between changes nothing */
    }
    for (int k = 0; k < dr_metric_values(whole); k++) {
        const double a = value_of(whole, k), b = value_of(parts, k);
        if (fabs(a - b) > 1e-12 * fmax(1.0, fabs(a))) fail_msg("metric %s: %.17g whole, %.17g in parts", c->name, a, b);
    }
    dr_instance_free(whole);
    dr_instance_free(parts);
}

static void every_metric_is_the_same_in_batches(void **state)
{
    (void)state;
    for_each("metric", 6, check_batches);
}

/* ---- intervals ----------------------------------------------------------------------------------------------------- */

static double width_at(const dr_component *c, int64_t n)
{
    dr_metric_value out[DR_METRIC_VALUES], again[DR_METRIC_VALUES], other[DR_METRIC_VALUES];
    double width = 0.0;
    dr_instance *m = make(c->name, 200, 1);
    assert_int_equal(dr_metric_update(m, dr_scale(1.2, rows_for(m, n, 3)), labels_for(n)), DR_OK);
    result(m, 7, out);
    result(m, 7, again);
    result(m, 8, other);
    bool differs = false;
    for (int k = 0; k < dr_metric_values(m); k++) {
        if (!(out[k].low <= out[k].value && out[k].value <= out[k].high)) {
            fail_msg("metric %s: %s = %g is outside [%g, %g]", c->name, out[k].name, out[k].value, out[k].low, out[k].high);
        }
        assert_true(out[k].low == again[k].low && out[k].high == again[k].high);
        differs = differs || out[k].low != other[k].low || out[k].high != other[k].high;
        width += out[k].high - out[k].low;
    }
    assert_true(differs);
    dr_instance_free(m);
    return width;
}

static void check_interval(const dr_component *c)
{
    const double few = width_at(c, 60), many = width_at(c, 960);
    if (!(many > 0.0 && many < 0.6 * few)) fail_msg("metric %s: intervals of width %g at 60, %g at 960", c->name, few, many);
}

static void every_metric_has_an_interval(void **state)
{
    (void)state;
    for_each("metric", 6, check_interval);
}

/* Of a normal mean, the interval misses the true one about as often as it says, and evenly to both sides. */
static void intervals_miss_as_often_as_they_say(void **state)
{
    (void)state;
    enum { TRIALS = 600, N = 40 };
    const dr_resampling how = { .resamples = 200, .confidence = 0.9, .seed = 3 };
    int above = 0, below = 0;
    for (uint32_t trial = 0; trial < TRIALS; trial++) {
        double x[N];
        dr_metric_value v;
        dr_tensor *t = noise(DR_F64, DR_SHAPE(N), 1000 + trial);
        assert_int_equal(dr_tensor_read(t, DR_F64, x), DR_OK);
        assert_int_equal(dr_bootstrap_mean(x, N, &how, &v), DR_OK);
        above += v.low > 0.0, below += v.high < 0.0;
    }
    assert_in_range(above, TRIALS * 25 / 1000, TRIALS * 85 / 1000); /* 5% are meant; 200 resamples of 40 give a little more */
    assert_in_range(below, TRIALS * 25 / 1000, TRIALS * 85 / 1000);
}

/* Rows are what is evaluated: in any order, and without the samples that they do not name. */
static void check_rows(const dr_component *c)
{
    double whole[DR_METRIC_VALUES], turned[DR_METRIC_VALUES], some[DR_METRIC_VALUES];
    int64_t rows[ROWS];
    dr_instance *m = make(c->name, ROWS, 1);
    assert_int_equal(dr_metric_update(m, rows_for(m, ROWS, 3), labels_for(ROWS)), DR_OK);
    for (int64_t i = 0; i < ROWS; i++) rows[i] = i;
    assert_int_equal(api_of(m)->evaluate(m->self, rows, ROWS, whole), DR_OK);
    for (int64_t i = 0; i < ROWS; i++) rows[i] = ROWS - 1 - i;
    assert_int_equal(api_of(m)->evaluate(m->self, rows, ROWS, turned), DR_OK);
    assert_int_equal(api_of(m)->evaluate(m->self, rows, 11, some), DR_OK);
    bool differs = false;
    for (int k = 0; k < dr_metric_values(m); k++) {
        assert_true(fabs(whole[k] - turned[k]) <= 1e-12 * fmax(1.0, fabs(whole[k])));
        differs = differs || fabs(whole[k] - some[k]) > 1e-6;
    }
    assert_true(differs);
    dr_instance_free(m);
}

static void every_metric_evaluates_any_rows(void **state)
{
    (void)state;
    for_each("metric", 6, check_rows);
}

static void resampling_is_checked(void **state)
{
    (void)state;
    dr_metric_value v;
    const dr_resampling none = { .resamples = -1, .confidence = 0.9 }, all = { .resamples = 10, .confidence = 1.0 };
    assert_int_not_equal(dr_bootstrap_mean((double[]){ 1.0 }, 1, &none, &v), DR_OK);
    assert_error_has("resamples = -1");
    assert_int_not_equal(dr_bootstrap_mean((double[]){ 1.0 }, 1, &all, &v), DR_OK);
    assert_error_has("confidence = 1");
}

/* ---- class accuracy ------------------------------------------------------------------------------------------------- */
static dr_tensor *logits(void) /* argmax 2, 0, 1, 1 */
{
    return dr_tensor_from(DR_F32, DR_SHAPE(4, 3), (float[]){ 0, 1, 2, 5, -1, 3, -9, -1, -2, 0, 4, 3 });
}

static dr_tensor *labels(void) { return dr_tensor_from(DR_I32, DR_SHAPE(4), (int32_t[]){ 2, 0, 0, 1 }); }

static void class_accuracy_is_the_share_of_right_rows(void **state)
{
    (void)state;
    dr_instance *m = make("class_accuracy", 0, 0);
    assert_int_equal(dr_metric_update(m, logits(), labels()), DR_OK);
    assert_int_equal(dr_metric_samples(m), 4);
    assert_true(value_of(m, 0) == 0.75);
    assert_int_not_equal(dr_metric_update(m, logits(), dr_slice(labels(), 0, 0, 3)), DR_OK);
    assert_error_has("logits [B,K] and labels [B]");
    dr_instance_free(m);
}

/* ---- Frechet distance ----------------------------------------------------------------------------------------------- */

/* n = 4 points with mean (mx, my) and covariance (n - 1) R diag(a^2, b^2) R^T exactly, R a rotation by `angle`. */
static dr_tensor *cross(double a, double b, double angle, double mx, double my)
{
    const double scale = sqrt(1.5), c = cos(angle), s = sin(angle); /* 2 scale^2 / (4 - 1) = 1 */
    const double p[4][2] = { { a, 0 }, { -a, 0 }, { 0, b }, { 0, -b } };
    double v[8];
    for (int i = 0; i < 4; i++) {
        v[2 * i] = mx + scale * (c * p[i][0] - s * p[i][1]);
        v[2 * i + 1] = my + scale * (s * p[i][0] + c * p[i][1]);
    }
    return dr_tensor_from(DR_F64, DR_SHAPE(4, 2), v);
}

/* tr (A B)^1/2 of two 2x2 covariances: its eigenvalues' product is sqrt(det A det B), so its square is
 * tr AB + 2 sqrt(det A det B). */
static double root_trace(double a, double b, double s, double t, double angle)
{
    const double c2 = pow(cos(angle), 2), s2 = 1.0 - c2;
    const double trace = c2 * (a * a * s * s + b * b * t * t) + s2 * (a * a * t * t + b * b * s * s);
    return sqrt(trace + 2.0 * a * b * s * t);
}

static void frechet_distance_of_known_gaussians(void **state)
{
    (void)state;
    static const double cases[][7] = { /* a, b, angle of one; a, b, angle of the other; distance of the means */
        { 1, 1, 0, 1, 1, 0, 0 }, { 1, 2, 0, 1, 2, 0, 3 }, { 1, 2, 0, 3, 0.5, 0, 0 },
        { 1, 2, 0.3, 3, 0.5, 1.4, 2 }, { 2, 0, 0, 1, 1, 0.7, 0 }, { 5, 0.01, 0.2, 4, 0.02, -0.9, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double *k = cases[i];
        dr_instance *m = make("frechet", 0, 0);
        assert_int_equal(dr_metric_reference(m, cross(k[0], k[1], k[2], 0, 0), DR_TEST), DR_OK);
        assert_int_equal(dr_metric_update(m, cross(k[3], k[4], k[5], k[6] * 0.6, k[6] * 0.8), NULL), DR_OK);
        const double expected = k[6] * k[6] + k[0] * k[0] + k[1] * k[1] + k[3] * k[3] + k[4] * k[4] -
                                2.0 * root_trace(k[0], k[1], k[3], k[4], k[5] - k[2]);
        const double got = value_of(m, 0);
        if (fabs(got - expected) > 2e-6 * (1.0 + expected)) fail_msg("case %zu: %.9g, expected %.9g", i, got, expected);
        dr_instance_free(m);
    }
}

/* More features than samples: both covariances are singular; equal sets are still at distance 0, and a shift adds its
 * square. */
static void frechet_distance_with_many_features(void **state)
{
    (void)state;
    enum { N = 40, D = 90 };
    dr_tensor *x = noise(DR_F32, DR_SHAPE(N, D), 5);
    for (int shift = 0; shift < 2; shift++) {
        dr_instance *m = make("frechet", 0, 0);
        assert_int_equal(dr_metric_reference(m, x, DR_TEST), DR_OK);
        assert_int_equal(dr_metric_update(m, dr_affine(1.0, x, shift), NULL), DR_OK);
        const double got = value_of(m, 0), expected = shift * D;
        if (fabs(got - expected) > 1e-4) fail_msg("shift %d: %.9g, expected %.9g", shift, got, expected);
        dr_instance_free(m);
    }
}

/* ---- kernel distance ------------------------------------------------------------------------------------------------ */
static double cubic(const float *a, const float *b, int64_t D)
{
    double dot = 0.0;
    for (int64_t d = 0; d < D; d++) dot += (double)a[d] * b[d];
    return pow(dot / (double)D + 1.0, 3.0);
}

/* Mean of k over pairs i != j of one set (b NULL), or over all pairs of two. */
static double mean_kernel(const float *a, int64_t n, const float *b, int64_t m, int64_t D)
{
    double sum = 0.0;
    int64_t pairs = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < (b ? m : n); j++) {
            if (!b && i == j) continue;
            sum += cubic(a + i * D, (b ? b : a) + j * D, D);
            pairs++;
        }
    }
    return sum / (double)pairs;
}

static void kid_by_brute_force(void **state)
{
    (void)state;
    enum { N = 50, M = 70, D = 6 };
    float x[N * D], r[M * D];
    dr_tensor *seen = dr_affine(1.3, noise(DR_F32, DR_SHAPE(N, D), 1), 0.2), *real = noise(DR_F32, DR_SHAPE(M, D), 2);
    dr_tensor_read(seen, DR_F32, x), dr_tensor_read(real, DR_F32, r);
    for (int64_t block = 2; block <= 200; block = block == 2 ? 20 : block * 10) { /* pairs of 2, of 20, 20 and 10, of all */
        double within = 0.0, pairs = 0.0;
        for (int64_t first = 0; first < N; first += block) {
            const int64_t n = N - first < block ? N - first : block;
            within += mean_kernel(x + first * D, n, NULL, 0, D) * (double)(n * (n - 1));
            pairs += (double)(n * (n - 1));
        }
        const double expected = within / pairs + mean_kernel(r, M, NULL, 0, D) - 2.0 * mean_kernel(x, N, r, M, D);
        dr_instance *m = dr_instance_new("metric", "kid", DR_ARGS(DR_I("block", block)));
        dr_metric_reference(m, real, DR_TEST);
        dr_metric_update(m, seen, NULL);
        const double got = value_of(m, 0);
        if (fabs(got - expected) > 1e-5 * fabs(expected)) fail_msg("block %d: %.9g, expected %.9g", (int)block, got, expected);
        dr_instance_free(m);
    }
}

/* Over many pairs of sets of one distribution the mean is 0, within 3 of its standard errors, though each has few
 * samples; of another distribution it is not. */
static void kid_is_unbiased(void **state)
{
    (void)state;
    enum { TRIALS = 200, N = 10, D = 4 };
    for (int other = 0; other < 2; other++) {
        double sum = 0.0, squares = 0.0;
        for (uint32_t trial = 0; trial < TRIALS; trial++) {
            dr_instance *m = make("kid", 0, 0);
            dr_metric_reference(m, noise(DR_F32, DR_SHAPE(N, D), 5000 + 2 * trial), DR_TEST);
            dr_metric_update(m, dr_affine(1.0, noise(DR_F32, DR_SHAPE(N, D), 5001 + 2 * trial), 0.7 * other), NULL);
            const double v = value_of(m, 0);
            sum += v, squares += v * v;
            dr_instance_free(m);
        }
        const double mean = sum / TRIALS, error = sqrt((squares / TRIALS - mean * mean) / TRIALS);
        if ((fabs(mean) < 3.0 * error) == other) fail_msg("other %d: mean %g, standard error %g", other, mean, error);
    }
}

/* ---- neighbours ------------------------------------------------------------------------------------------------------ */
enum { REAL = 60, SEEN = 45, WIDE = 5 };

static double between(const float *a, const float *b)
{
    double sum = 0.0;
    for (int d = 0; d < WIDE; d++) sum += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
    return sum;
}

/* Squared distance of a to its k-th nearest of b[n], itself (where `self` is its number) left out. */
static double kth(const float *a, const float *b, int n, int self, int k)
{
    double d[REAL + SEEN];
    int count = 0;
    for (int j = 0; j < n; j++) {
        if (j == self) continue;
        const double x = between(a, b + j * WIDE);
        int at = count++;
        for (; at > 0 && d[at - 1] > x; at--) d[at] = d[at - 1];
        d[at] = x;
    }
    return d[k - 1];
}

/* Is p in the ball around center i of c[n]? */
static bool in_ball(const float *p, const float *c, int n, int i, int k)
{
    return between(p, c + i * WIDE) <= kth(c + i * WIDE, c, n, i, k);
}

static void check_balls(dr_tensor *real, dr_tensor *seen, int k)
{
    float r[REAL * WIDE], x[SEEN * WIDE];
    double precision = 0, recall = 0, density = 0, coverage = 0;
    dr_tensor_read(real, DR_F32, r), dr_tensor_read(seen, DR_F32, x);
    for (int j = 0; j < SEEN; j++) {
        int balls = 0;
        for (int i = 0; i < REAL; i++) balls += in_ball(x + j * WIDE, r, REAL, i, k);
        precision += balls > 0, density += balls;
    }
    for (int i = 0; i < REAL; i++) {
        bool reached = false, covered = false;
        for (int j = 0; j < SEEN; j++) {
            reached = reached || in_ball(r + i * WIDE, x, SEEN, j, k);
            covered = covered || in_ball(x + j * WIDE, r, REAL, i, k);
        }
        recall += reached, coverage += covered;
    }
    const double expected[2][2] = { { precision / SEEN, recall / REAL }, { density / k / SEEN, coverage / REAL } };
    static const char *const names[] = { "precision_recall", "density_coverage" };
    for (int i = 0; i < 2; i++) {
        dr_instance *m = dr_instance_new("metric", names[i], DR_ARGS(DR_I("k", k)));
        dr_metric_reference(m, real, DR_TEST);
        dr_metric_update(m, seen, NULL);
        for (int v = 0; v < 2; v++) {
            const double got = value_of(m, v);
            if (fabs(got - expected[i][v]) > 1e-12) fail_msg("%s %d: %g, expected %g", names[i], v, got, expected[i][v]);
        }
        dr_instance_free(m);
    }
    assert_true(precision > 0 && recall > 0); /* a case that says nothing proves nothing */
}

static void precision_recall_density_coverage_by_brute_force(void **state)
{
    (void)state;
    dr_tensor *real = noise(DR_F32, DR_SHAPE(REAL, WIDE), 1);
    for (int k = 1; k <= 5; k += 2) {
        check_balls(real, noise(DR_F32, DR_SHAPE(SEEN, WIDE), 2), k);
        check_balls(real, dr_affine(0.3, noise(DR_F32, DR_SHAPE(SEEN, WIDE), 2), 0.4), k); /* fewer modes: precise, poor recall */
        check_balls(real, dr_affine(1.8, noise(DR_F32, DR_SHAPE(SEEN, WIDE), 2), 0.0), k);
        check_balls(real, dr_affine(1.0, noise(DR_F32, DR_SHAPE(SEEN, WIDE), 2), 0.5), k);
    }
}

/* Far from 0 the products lose digits; the decision does not. */
static void balls_are_exact_far_from_the_origin(void **state)
{
    (void)state;
    dr_tensor *real = dr_affine(1.0, noise(DR_F32, DR_SHAPE(REAL, WIDE), 1), 200.0);
    check_balls(real, dr_affine(1.0, noise(DR_F32, DR_SHAPE(SEEN, WIDE), 2), 200.0), 3);
}

/* Two heaps; all samples in one of them: precise, but half of the real images are not reached. */
static void a_missing_mode_is_lost_recall(void **state)
{
    (void)state;
    dr_tensor *heap[] = { noise(DR_F32, DR_SHAPE(40, 2), 1), dr_affine(1.0, noise(DR_F32, DR_SHAPE(40, 2), 2), 100.0) };
    dr_instance *m = make("precision_recall", 0, 0), *d = make("density_coverage", 0, 0);
    dr_metric_reference(m, dr_concat(heap, 2, 0), DR_TEST), dr_metric_reference(d, dr_concat(heap, 2, 0), DR_TEST);
    dr_metric_update(m, heap[0], NULL), dr_metric_update(d, heap[0], NULL);
    assert_true(value_of(m, 0) == 1.0 && value_of(m, 1) == 0.5);
    assert_true(value_of(d, 1) == 0.5);
    assert_true(fabs(value_of(d, 0) - 1.2) < 1e-9); /* each ball holds its centre and its k = 5 neighbours: 6/5 */
    dr_instance_free(m), dr_instance_free(d);
}

/* Samples in both heaps, but rows of the first alone: the second is not reached by them. */
static void recall_and_coverage_are_of_the_rows(void **state)
{
    (void)state;
    dr_tensor *heap[] = { noise(DR_F32, DR_SHAPE(40, 2), 1), dr_affine(1.0, noise(DR_F32, DR_SHAPE(40, 2), 2), 100.0) };
    static const char *const names[] = { "precision_recall", "density_coverage" };
    int64_t rows[40];
    double value[DR_METRIC_VALUES];
    for (int64_t i = 0; i < 40; i++) rows[i] = i;
    for (int k = 0; k < 2; k++) {
        dr_instance *m = make(names[k], 0, 0);
        dr_metric_reference(m, dr_concat(heap, 2, 0), DR_TEST);
        dr_metric_update(m, dr_concat(heap, 2, 0), NULL);
        assert_true(value_of(m, 1) == 1.0);
        assert_int_equal(api_of(m)->evaluate(m->self, rows, 40, value), DR_OK);
        assert_true(value[1] == 0.5);
        dr_instance_free(m);
    }
}

/* ---- memorisation ---------------------------------------------------------------------------------------------------- */
static dr_instance *memory(dr_tensor *train, dr_tensor *test, dr_tensor *seen)
{
    dr_instance *m = dr_instance_new("metric", "nearest_neighbour", DR_ARGS(DR_R("quantile", 0.1)));
    dr_metric_reference(m, train, DR_TRAIN);
    dr_metric_reference(m, test, DR_TEST);
    dr_metric_update(m, seen, NULL);
    return m;
}

static void copies_of_training_images_are_found(void **state)
{
    (void)state;
    dr_tensor *train = noise(DR_F32, DR_SHAPE(200, 1, 4, 4), 1), *test = noise(DR_F32, DR_SHAPE(100, 1, 4, 4), 2);
    dr_tensor *fresh = noise(DR_F32, DR_SHAPE(400, 1, 4, 4), 3);
    dr_instance *m = memory(train, test, dr_slice(train, 0, 10, 50));
    assert_true(value_of(m, 0) == 1.0 && value_of(m, 1) == 1.0);
    dr_instance_free(m);
    m = memory(train, test, test); /* as far as test images are: they are the scale */
    assert_true(fabs(value_of(m, 0) - 0.1) < 0.011);
    assert_true(fabs(value_of(m, 1) - 0.5) < 1e-12);
    dr_instance_free(m);
    m = memory(train, test, fresh);
    assert_true(fabs(value_of(m, 0) - 0.1) < 0.08);
    assert_true(fabs(value_of(m, 1) - 0.5) < 0.08);
    dr_instance_free(m);
    dr_tensor *mixed[] = { dr_slice(train, 0, 0, 100), dr_affine(1.0, dr_slice(fresh, 0, 0, 100), 50.0) };
    m = memory(train, test, dr_concat(mixed, 2, 0)); /* half copies, half far away */
    assert_true(value_of(m, 0) == 0.5 && value_of(m, 1) == 0.5);
    dr_instance_free(m);
}

static void real_images_come_first(void **state)
{
    (void)state;
    dr_instance *m = make("frechet", 10, 1);
    assert_int_equal(dr_metric_update(m, rows_for(m, 10, 2), NULL), DR_OK);
    assert_int_not_equal(dr_metric_reference(m, rows_for(m, 10, 3), DR_TEST), DR_OK);
    assert_error_has("real images come before the samples");
    assert_int_not_equal(dr_metric_update(m, noise(DR_F32, DR_SHAPE(2, 9), 1), NULL), DR_OK);
    assert_error_has("rows of 9 numbers after rows of 3");
    dr_instance_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_counts),
        cmocka_unit_test(every_metric_is_the_same_in_batches),
        cmocka_unit_test(every_metric_has_an_interval),
        cmocka_unit_test(intervals_miss_as_often_as_they_say),
        cmocka_unit_test(every_metric_evaluates_any_rows),
        cmocka_unit_test(resampling_is_checked),
        cmocka_unit_test(class_accuracy_is_the_share_of_right_rows),
        cmocka_unit_test(frechet_distance_of_known_gaussians),
        cmocka_unit_test(frechet_distance_with_many_features),
        cmocka_unit_test(kid_by_brute_force),
        cmocka_unit_test(kid_is_unbiased),
        cmocka_unit_test(precision_recall_density_coverage_by_brute_force),
        cmocka_unit_test(balls_are_exact_far_from_the_origin),
        cmocka_unit_test(a_missing_mode_is_lost_recall),
        cmocka_unit_test(recall_and_coverage_are_of_the_rows),
        cmocka_unit_test(copies_of_training_images_are_found),
        cmocka_unit_test(real_images_come_first),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
