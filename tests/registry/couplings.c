/* Every coupling gives each image one noise of the batch, and no noise twice. minibatch_ot: no permutation is shorter
 * (all are tried for small batches), never longer than the independent pairs, in one dimension the sorted one; by class
 * it changes places within classes only. What is no permutation is refused. */
#include "couplings.h"
#include "walk.h"

#include <math.h>

static double distance(const paired_batch *b, int64_t i, int64_t j)
{
    double sum = 0.0;
    for (int64_t d = 0; d < b->D; d++) sum += pow(b->x[i * b->D + d] - b->e[j * b->D + d], 2);
    return sum;
}

static double length_of(const paired_batch *b, const int64_t *order)
{
    double sum = 0.0;
    for (int64_t i = 0; i < b->B; i++) sum += distance(b, i, order ? order[i] : i);
    return sum;
}

static dr_tensor *labels_of(const int32_t *label, int64_t B) { return dr_tensor_from(DR_I32, 1, &B, label); }

/* ---- every coupling -------------------------------------------------------------------------------------------------- */

static void each_image_gets_one_noise(void **state)
{
    (void)state;
    every("coupling", 2, "each image gets one noise, and no noise is used twice");
}

static void independent_changes_nothing(void **state)
{
    (void)state;
    dr_instance *coupling = dr_instance_new("coupling", "independent", DR_NO_ARGS);
    const paired_batch *b = paired_rows(9, 3, 1);
    assert_ptr_equal(dr_pair(coupling, b->x0, b->eps, NULL), b->eps);
    dr_instance_free(coupling);
}

/* ---- optimal transport ------------------------------------------------------------------------------------------------- */

/* The least length over the permutations that keep image i's noise among those of its own label; NULL: all. */
static double least_length(const paired_batch *b, const int32_t *label, int64_t i, int64_t *order, bool *used)
{
    if (i == b->B) return length_of(b, order);
    double least = INFINITY;
    for (int64_t j = 0; j < b->B; j++) {
        if (used[j] || (label && label[i] != label[j])) continue;
        used[j] = true;
        order[i] = j;
        least = fmin(least, least_length(b, label, i + 1, order, used));
        used[j] = false;
    }
    return least;
}

static void check_optimal(int64_t B, int64_t D, uint32_t stream, const int32_t *label)
{
    int64_t order[8], tried[8];
    bool used[8] = { false };
    dr_instance *coupling = dr_instance_new("coupling", "minibatch_ot", DR_ARGS(DR_B("class_aware", label != NULL)));
    const paired_batch *b = paired_rows(B, D, stream);
    pairing_of(b, dr_pair(coupling, b->x0, b->eps, label ? labels_of(label, B) : NULL), order);
    for (int64_t i = 0; label && i < B; i++) assert_int_equal(label[i], label[order[i]]);
    const double got = length_of(b, order), least = least_length(b, label, 0, tried, used);
    if (!(got <= least + 1e-5)) fail_msg("B = %lld, D = %lld: length %.9g, could be %.9g", (long long)B, (long long)D, got, least);
    dr_instance_free(coupling);
}

static void no_permutation_is_shorter(void **state)
{
    (void)state;
    for (int64_t B = 2; B <= 7; B++) {
        for (uint32_t stream = 0; stream < 6; stream++) check_optimal(B, 1 + stream % 4, 100 * (uint32_t)B + stream, NULL);
    }
}

static void no_permutation_within_classes_is_shorter(void **state)
{
    (void)state;
    static const int32_t labels[][7] = { { 3, 1, 3, 1, 3, 1, 3 }, { 0, 0, 0, 0, 0, 0, 0 }, { 6, 5, 4, 3, 2, 1, 0 }, { 9, 9, 2, 2, 2, 9, 7 } };
    for (uint32_t k = 0; k < 4; k++) {
        for (int64_t B = 2; B <= 7; B++) check_optimal(B, 3, 40 + k, labels[k]);
    }
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* In one dimension the shortest pairs are the sorted ones. */
static void in_one_dimension_it_sorts(void **state)
{
    (void)state;
    int64_t order[PAIRED_MOST];
    double sorted_x[PAIRED_MOST], sorted_e[PAIRED_MOST];
    dr_instance *coupling = dr_instance_new("coupling", "minibatch_ot", DR_NO_ARGS);
    const paired_batch *b = paired_rows(256, 1, 5);
    pairing_of(b, dr_pair(coupling, b->x0, b->eps, NULL), order);
    memcpy(sorted_x, b->x, sizeof sorted_x);
    memcpy(sorted_e, b->e, sizeof sorted_e);
    qsort(sorted_x, 256, sizeof *sorted_x, compare);
    qsort(sorted_e, 256, sizeof *sorted_e, compare);
    double least = 0.0;
    for (int i = 0; i < 256; i++) least += pow(sorted_x[i] - sorted_e[i], 2);
    assert_true(length_of(b, order) <= least + 1e-4 && least < 0.5 * length_of(b, NULL));
    dr_instance_free(coupling);
}

static void it_is_never_longer_than_the_independent_pairs(void **state)
{
    (void)state;
    int64_t order[PAIRED_MOST];
    int32_t label[PAIRED_MOST];
    for (int by_class = 0; by_class < 2; by_class++) {
        dr_instance *coupling = dr_instance_new("coupling", "minibatch_ot", DR_ARGS(DR_B("class_aware", by_class)));
        for (int64_t B = 1; B <= 129; B += 16) {
            const paired_batch *b = paired_rows(B, 8, 7 + (uint32_t)B);
            for (int64_t i = 0; i < B; i++) label[i] = (int32_t)(i * i % 5);
            pairing_of(b, dr_pair(coupling, b->x0, b->eps, labels_of(label, B)), order);
            assert_true(length_of(b, order) <= length_of(b, NULL));
            for (int64_t i = 0; by_class && i < B; i++) assert_int_equal(label[i], label[order[i]]);
        }
        dr_instance_free(coupling);
    }
}

/* Equal images cost the same with any noise; still each noise is used once. */
static void equal_rows_are_paired(void **state)
{
    (void)state;
    int64_t order[PAIRED_MOST];
    dr_instance *coupling = dr_instance_new("coupling", "minibatch_ot", DR_NO_ARGS);
    paired_batch *b = paired_rows(40, 4, 9);
    pairing_of(b, dr_pair(coupling, dr_scale(0.0, b->x0), b->eps, NULL), order);
    dr_instance_free(coupling);
}

static void what_cannot_be_paired_is_refused(void **state)
{
    (void)state;
    dr_instance *coupling = dr_instance_new("coupling", "minibatch_ot", DR_ARGS(DR_B("class_aware", 1)));
    const paired_batch *b = paired_rows(3, 4, 9);
    assert_null(dr_pair(coupling, b->x0, b->eps, NULL));
    assert_error_has("coupling minibatch_ot: class_aware needs data with labels");
    assert_null(dr_pair(coupling, dr_affine(1.0, b->x0, INFINITY), b->eps, labels_of((int32_t[]){ 1, 1, 1 }, 3)));
    assert_error_has("no finite product");
    dr_instance_free(coupling);
}

static dr_status twice(void *self, dr_tensor *x0, dr_tensor *eps, dr_tensor *label, int64_t *order)
{
    (void)self, (void)x0, (void)eps, (void)label;
    order[0] = 1, order[1] = 2, order[2] = 1;
    return DR_OK;
}

static void what_is_no_permutation_is_refused(void **state)
{
    (void)state;
    static const dr_coupling api = { .size = sizeof api, .pair = twice };
    static const dr_component component = { .size = sizeof component, .kind = "coupling/1", .name = "twice" };
    dr_instance coupling = { .component = &component, .iface = &api };
    const paired_batch *b = paired_rows(3, 4, 9);
    assert_null(dr_pair(&coupling, b->x0, b->eps, NULL));
    assert_error_has("coupling twice: row 1 goes with image 2: that is no permutation of 3 rows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_image_gets_one_noise),
        cmocka_unit_test(independent_changes_nothing),
        cmocka_unit_test(no_permutation_is_shorter),
        cmocka_unit_test(no_permutation_within_classes_is_shorter),
        cmocka_unit_test(in_one_dimension_it_sorts),
        cmocka_unit_test(it_is_never_longer_than_the_independent_pairs),
        cmocka_unit_test(equal_rows_are_paired),
        cmocka_unit_test(what_cannot_be_paired_is_refused),
        cmocka_unit_test(what_is_no_permutation_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
