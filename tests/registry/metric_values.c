/* What each metric's values are, where they can be known: the share of right rows, the distance of known Gaussians, and
 * sets of points whose kernels, neighbours and balls are worked out here by brute force. */
#include "walk.h"

#include <math.h>

static double value_of(dr_instance *m, int k)
{
    dr_metric_value out[DR_METRIC_VALUES];
    const dr_resampling how = { .resamples = 0, .confidence = 0.95 };
    if (dr_metric_result(m, &how, out) != DR_OK) fail_msg("metric %s: %s", m->component->name, dr_error_message());
    return out[k].value;
}

static dr_instance *make(const char *name) { return dr_instance_new("metric", name, DR_NO_ARGS); }

static dr_instance *unbalanced(const char *name) /* with all real images that it is given */
{
    return dr_instance_new("metric", name, DR_ARGS(DR_B("balanced", 0)));
}

/* ---- class accuracy ---------------------------------------------------------------------------------------------- */
static dr_tensor *logits(void) /* argmax 2, 0, 1, 1 */
{
    return dr_tensor_from(DR_F32, DR_SHAPE(4, 3), (float[]){ 0, 1, 2, 5, -1, 3, -9, -1, -2, 0, 4, 3 });
}

static dr_tensor *labels(void) { return dr_tensor_from(DR_I32, DR_SHAPE(4), (int32_t[]){ 2, 0, 0, 1 }); }

static void class_accuracy_is_the_share_of_right_rows(void **state)
{
    (void)state;
    dr_instance *m = make("class_accuracy");
    assert_int_equal(dr_metric_update(m, logits(), labels()), DR_OK);
    assert_int_equal(dr_metric_samples(m), 4);
    assert_true(value_of(m, 0) == 0.75);
    assert_int_not_equal(dr_metric_update(m, logits(), dr_slice(labels(), 0, 0, 3)), DR_OK);
    assert_error_has("logits [B,K] and labels [B]");
    dr_instance_free(m);
}

/* ---- Frechet distance -------------------------------------------------------------------------------------------- */

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
    static const double cases[][7] = {
        /* a, b, angle of one; a, b, angle of the other; distance of the means */
        { 1, 1, 0, 1, 1, 0, 0 },       { 1, 2, 0, 1, 2, 0, 3 },   { 1, 2, 0, 3, 0.5, 0, 0 },
        { 1, 2, 0.3, 3, 0.5, 1.4, 2 }, { 2, 0, 0, 1, 1, 0.7, 0 }, { 5, 0.01, 0.2, 4, 0.02, -0.9, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double *k = cases[i];
        dr_instance *m = make("frechet");
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
        dr_instance *m = make("frechet");
        assert_int_equal(dr_metric_reference(m, x, DR_TEST), DR_OK);
        assert_int_equal(dr_metric_update(m, dr_affine(1.0, x, shift), NULL), DR_OK);
        const double got = value_of(m, 0), expected = shift * D;
        if (fabs(got - expected) > 1e-4) fail_msg("shift %d: %.9g, expected %.9g", shift, got, expected);
        dr_instance_free(m);
    }
}

/* ---- kernel distance --------------------------------------------------------------------------------------------- */
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
    for (int64_t block = 2; block <= 200; block = block == 2 ? 20 : block * 10) { /* blocks of 2; of 20; all */
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
        if (fabs(got - expected) > 1e-5 * fabs(expected))
            fail_msg("block %d: %.9g, expected %.9g", (int)block, got, expected);
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
            dr_instance *m = make("kid");
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

/* ---- neighbours -------------------------------------------------------------------------------------------------- */
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
        dr_instance *m = dr_instance_new("metric", names[i], DR_ARGS(DR_I("k", k), DR_B("balanced", 0)));
        dr_metric_reference(m, real, DR_TEST);
        dr_metric_update(m, seen, NULL);
        for (int v = 0; v < 2; v++) {
            const double got = value_of(m, v);
            if (fabs(got - expected[i][v]) > 1e-12)
                fail_msg("%s %d: %g, expected %g", names[i], v, got, expected[i][v]);
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
        check_balls(real, dr_affine(0.3, noise(DR_F32, DR_SHAPE(SEEN, WIDE), 2), 0.4), k); /* precise, poor recall */
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
    dr_instance *m = unbalanced("precision_recall"), *d = unbalanced("density_coverage");
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
        dr_instance *m = make(names[k]);
        dr_metric_reference(m, dr_concat(heap, 2, 0), DR_TEST);
        dr_metric_update(m, dr_concat(heap, 2, 0), NULL);
        assert_true(value_of(m, 1) == 1.0);
        assert_int_equal(((const dr_metric *)m->iface)->evaluate(m->self, rows, 40, value), DR_OK);
        assert_true(value[1] == 0.5);
        dr_instance_free(m);
    }
}

/* As many real images as samples: the same as if only those had been given, every second one here. */
static void balanced_takes_as_many_real_images(void **state)
{
    (void)state;
    static const char *const names[] = { "precision_recall", "density_coverage" };
    dr_tensor *real = noise(DR_F32, DR_SHAPE(REAL, WIDE), 1), *seen = noise(DR_F32, DR_SHAPE(REAL / 2, WIDE), 2);
    dr_tensor *every_second = dr_apply1("slice", &real, 1, &(dr_slice_attr){ 0, 0, REAL / 2, 2 });
    for (int i = 0; i < 2; i++) {
        dr_instance *all = make(names[i]), *few = unbalanced(names[i]);
        dr_metric_reference(all, real, DR_TEST), dr_metric_update(all, seen, NULL);
        dr_metric_reference(few, every_second, DR_TEST), dr_metric_update(few, seen, NULL);
        for (int k = 0; k < 2; k++) assert_true(value_of(all, k) == value_of(few, k));
        dr_instance_free(all), dr_instance_free(few);
    }
}

/* ---- memorisation ------------------------------------------------------------------------------------------------ */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_accuracy_is_the_share_of_right_rows),
        cmocka_unit_test(frechet_distance_of_known_gaussians),
        cmocka_unit_test(frechet_distance_with_many_features),
        cmocka_unit_test(kid_by_brute_force),
        cmocka_unit_test(kid_is_unbiased),
        cmocka_unit_test(precision_recall_density_coverage_by_brute_force),
        cmocka_unit_test(balls_are_exact_far_from_the_origin),
        cmocka_unit_test(a_missing_mode_is_lost_recall),
        cmocka_unit_test(recall_and_coverage_are_of_the_rows),
        cmocka_unit_test(balanced_takes_as_many_real_images),
        cmocka_unit_test(copies_of_training_images_are_found),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
