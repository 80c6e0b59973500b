/* cuda_weight_gradients_on_tensor_cores.c: each way to make the gradient in a convolution's weight on tensor cores,
 * forced wherever it can run, gives the f32 sum of the bf16 images' products, and the bias' gradient; the same bits
 * again. Without a GPU the device is emulated.
 * label: cuda */
#include "../host.h"
#include "matches_ref.h"

#include <math.h>
#include <stdio.h>

typedef struct shape {
    int64_t B, Ci, Co, H, W, k, stride, padding;
} shape;

static const shape shapes[] = {
    { 1, 16, 16, 7, 7, 3, 1, 1 },   { 2, 48, 64, 14, 14, 3, 1, 1 },  { 2, 64, 64, 28, 28, 3, 1, 1 },
    { 3, 128, 128, 7, 7, 3, 1, 1 }, { 3, 64, 128, 5, 9, 3, 1, 1 },   { 4, 16, 64, 5, 9, 3, 1, 1 },
    { 2, 8, 24, 9, 5, 3, 1, 0 },    { 1, 72, 16, 1, 1, 3, 1, 1 },    { 2, 16, 136, 3, 40, 3, 1, 1 },
    { 300, 16, 16, 1, 2, 3, 1, 1 }, { 2, 64, 64, 28, 28, 3, 2, 1 },  { 4, 64, 128, 14, 14, 3, 2, 1 },
    { 2, 24, 72, 13, 11, 3, 2, 0 }, { 1, 64, 128, 28, 28, 4, 2, 1 }, { 5, 128, 64, 14, 14, 4, 2, 1 },
    { 3, 40, 16, 9, 12, 4, 2, 0 },  { 2, 16, 16, 10, 9, 4, 1, 1 },   { 2, 16, 24, 17, 13, 4, 3, 1 },
};
enum { SHAPES = sizeof shapes / sizeof shapes[0], WAYS_3X3 = 7, WAYS = 10 /* those after the first seven: 4x4 */ };

static op_case case_of(const shape *s, const dr_conv2d_backward_weight_attr *attr)
{
    const int64_t Ho = (s->H + 2 * s->padding - s->k) / s->stride + 1,
                  Wo = (s->W + 2 * s->padding - s->k) / s->stride + 1;
    op_case c = { .op = "conv2d_backward_weight", .attr = attr, .n_in = 2 };
    c.in[0] = (case_input){ .values = NORMAL, .rank = 4, .shape = { s->B, s->Ci, s->H, s->W } };
    c.in[1] = (case_input){ .values = NORMAL, .rank = 4, .shape = { s->B, s->Co, Ho, Wo } };
    snprintf(c.label, sizeof c.label, "%lldx%lldx%lldx%lld to %lld, k %lld, stride %lld, padding %lld", (long long)s->B,
             (long long)s->Ci, (long long)s->H, (long long)s->W, (long long)s->Co, (long long)s->k,
             (long long)s->stride, (long long)s->padding);
    return c;
}

static case_result run(const op_case *c, const char *way)
{
    const case_run on_cuda = { .device = cuda, .dtype = DR_BF16, .layout = DR_LAYOUT_CL, .nudged = -1 };
    case_result result;
    setenv("DRIFT_CUDA_CONV", way, 1);
    if (!run_case(c, &on_cuda, &result)) fail_msg("%s, %s: %s", c->label, way, dr_error_message());
    unsetenv("DRIFT_CUDA_CONV");
    return result;
}

/* Far closer than sums that are rounded to bf16, to 2^-9, would be. */
static void assert_close(const op_case *c, const char *way, const case_result *got, const case_result *want)
{
    for (int j = 0; j < want->n_out; j++) {
        const int64_t n = view_count(&want->view[j]);
        assert_int_equal(view_count(&got->view[j]), n);
        const double off = difference(got->out[j], want->out[j], n), allowed = 1e-5 * largest(want->out[j], n);
        if (!(off <= allowed))
            fail_msg("%s, %s: output %d is off by %.3g (allowed %.3g)", c->label, way, j, off, allowed);
    }
}

static void check(const op_case *c, const char *way, const case_result *want)
{
    case_result got = run(c, way), again = run(c, way);
    assert_close(c, way, &got, want);
    for (int j = 0; j < got.n_out; j++)
        assert_memory_equal(got.out[j], again.out[j], (size_t)view_count(&got.view[j]) * sizeof(double));
    free_result(&got);
    free_result(&again);
}

static void each_way_gives_the_sum(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        const dr_conv2d_backward_weight_attr attr = { shapes[i].stride, shapes[i].padding, shapes[i].k, i % 4 != 3 };
        const op_case c = case_of(&shapes[i], &attr);
        const case_run on_ref = {
            .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_ROW, .round = true, .rounded_to = DR_BF16, .nudged = -1
        };
        case_result want;
        if (!run_case(&c, &on_ref, &want)) fail_msg("%s: %s", c.label, dr_error_message());
        for (int way = 0; way < WAYS; way++) {
            char name[16];
            if ((way < WAYS_3X3) != (shapes[i].k == 3)) continue;
            snprintf(name, sizeof name, "tile%d", way);
            check(&c, name, &want);
        }
        check(&c, "tile", &want);
        free_result(&want);
    }
}

/* What is forced is what runs: sums are rounded in other places, if by little. */
static void ways_differ_in_their_last_bits(void **state)
{
    (void)state;
    const shape s[] = { { 3, 64, 64, 20, 20, 3, 1, 1 }, { 3, 64, 64, 20, 20, 4, 2, 1 } };
    for (int i = 0; i < 2; i++) {
        const dr_conv2d_backward_weight_attr attr = { s[i].stride, s[i].padding, s[i].k, 1 };
        const op_case c = case_of(&s[i], &attr);
        case_result direct = run(&c, "direct"), tile = run(&c, "tile");
        for (int j = 0; j < 2; j++) assert_true(difference(direct.out[j], tile.out[j], view_count(&tile.view[j])) > 0);
        free_result(&direct);
        free_result(&tile);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_gives_the_sum),
        cmocka_unit_test(ways_differ_in_their_last_bits),
    };
    if (!there_is_cuda()) return 77;
    return cmocka_run_group_tests(tests, open_ref_and_cuda, close_all);
}
