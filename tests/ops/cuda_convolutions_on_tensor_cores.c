/* cuda_convolutions_on_tensor_cores.c: each way in which conv2d_tile.cu cuts its work, forced wherever it can run,
 * against ref in f64 on the same bf16 numbers: odd image sizes, channels that fill no tile, bias, `add` of fewer rows,
 * activations; stride 2; transposed; the gradient of x. Another form runs where the way does not suit.
 * label: cuda */
#include "../host.h"
#include "matches_ref.h"

#include <stdio.h>

enum { WAYS = 6 };

typedef struct shape {
    int64_t B, Ci, Co, H, W, k, stride;
} shape;

static op_case case_of(const shape *s, const char *op, const void *attr, bool transposed, bool bias, int64_t add_rows)
{
    const int64_t H = transposed ? s->H * s->stride : s->H / s->stride,
                  W = transposed ? s->W * s->stride : s->W / s->stride;
    const case_input none = { .values = ABSENT };
    const case_input x = { .values = NORMAL, .rank = 4, .shape = { s->B, s->Ci, s->H, s->W } };
    const case_input weight = { .values = NORMAL,
                                .rank = 4,
                                .shape = { transposed ? s->Ci : s->Co, transposed ? s->Co : s->Ci, s->k, s->k } };
    const case_input b = { .values = NORMAL, .rank = 1, .shape = { s->Co } };
    const case_input add = { .values = NORMAL, .rank = 4, .shape = { add_rows, s->Co, H, W } };
    op_case c = { .op = op, .attr = attr, .n_in = 4, .in = { x, weight, bias ? b : none, add_rows ? add : none } };
    if (strstr(op, "_act") == NULL) c.n_in = 3;
    snprintf(c.label, sizeof c.label, "%s [%lld,%lld,%lld,%lld] to %lld channels, k %lld, stride %lld", op,
             (long long)s->B, (long long)s->Ci, (long long)s->H, (long long)s->W, (long long)s->Co, (long long)s->k,
             (long long)s->stride);
    return c;
}

static int differs(const op_case *c, int way)
{
    char name[16];
    snprintf(name, sizeof name, "tile%d", way);
    setenv("DRIFT_CUDA_CONV", name, 1);
    const int failed = bf16_case_differs(cuda, c, DR_LAYOUT_CL, 0, false, 0);
    unsetenv("DRIFT_CUDA_CONV");
    if (failed) print_error("  with DRIFT_CUDA_CONV=%s\n", name);
    return failed;
}

static void check(const op_case *c)
{
    int failed = 0;
    for (int way = 0; way < WAYS; way++) failed += differs(c, way);
    assert_int_equal(failed, 0);
}

static void with_what_follows(void **state)
{
    (void)state;
    static const shape shapes[] = {
        { 1, 16, 16, 7, 7, 3, 1 },   { 2, 48, 64, 14, 14, 3, 1 }, { 3, 64, 72, 5, 9, 3, 1 },
        { 1, 128, 128, 7, 7, 3, 1 }, { 2, 192, 64, 5, 9, 3, 1 },  { 3, 64, 136, 9, 8, 3, 1 },
        { 2, 72, 24, 1, 3, 3, 1 },   { 1, 64, 48, 18, 28, 3, 1 }, { 2, 64, 64, 8, 12, 4, 2 },
        { 3, 24, 72, 10, 6, 4, 2 },  { 1, 128, 40, 4, 14, 3, 2 },
    };
    for (int i = 0; i < (int)(sizeof shapes / sizeof shapes[0]); i++) {
        const shape *s = &shapes[i];
        const dr_conv2d_act_attr attr = { s->stride, 1, i % (DR_ACT_SILU + 1) };
        const op_case c = case_of(s, "conv2d_act", &attr, false, i % 3 != 0, i % 4 == 3 ? 0 : i % 2 ? 1 : s->B);
        check(&c);
    }
}

static void transposed(void **state)
{
    (void)state;
    static const shape shapes[] = {
        { 2, 64, 64, 4, 6, 4, 2 },
        { 3, 72, 24, 5, 3, 4, 2 },
        { 1, 16, 136, 7, 7, 4, 2 },
        { 2, 48, 40, 5, 9, 3, 1 },
    };
    for (int i = 0; i < (int)(sizeof shapes / sizeof shapes[0]); i++) {
        const dr_conv_transpose2d_act_attr attr = { shapes[i].stride, 1, i % (DR_ACT_SILU + 1) };
        const op_case c = case_of(&shapes[i], "conv_transpose2d_act", &attr, true, i % 2 == 0, i % 3);
        if (i % 3 == 0 || shapes[i].B % (i % 3) == 0) check(&c);
    }
}

static void gradients_of_x(void **state)
{
    (void)state;
    static const shape shapes[] = {
        { 2, 16, 48, 7, 7, 3, 1 }, { 1, 136, 64, 5, 9, 3, 1 },   { 3, 24, 72, 4, 3, 3, 1 },
        { 2, 64, 16, 6, 8, 4, 2 }, { 1, 64, 128, 14, 13, 3, 1 }, { 2, 40, 64, 8, 6, 3, 2 },
    };
    for (int i = 0; i < (int)(sizeof shapes / sizeof shapes[0]); i++) {
        const shape *s = &shapes[i];
        const dr_conv2d_backward_data_attr attr = { s->stride, 1, s->H, s->W };
        const case_input dy = { .values = NORMAL,
                                .rank = 4,
                                .shape = { s->B, s->Co, s->H / s->stride, s->W / s->stride } };
        const case_input weight = { .values = NORMAL, .rank = 4, .shape = { s->Co, s->Ci, s->k, s->k } };
        op_case c = { .op = "conv2d_backward_data", .attr = &attr, .n_in = 2, .in = { dy, weight } };
        snprintf(c.label, sizeof c.label, "gradient of x, %lld to %lld channels", (long long)s->Ci, (long long)s->Co);
        check(&c);
    }
}

/* More tiles than blocks on 132 multiprocessors: the copies run over the ends of tiles. */
static void of_many_tiles(void **state)
{
    (void)state;
    static const shape same = { 171, 16, 64, 20, 10, 3, 1 }, doubled = { 88, 72, 24, 10, 10, 4, 2 };
    const dr_conv2d_act_attr attr = { 1, 1, DR_ACT_NONE };
    const dr_conv_transpose2d_act_attr twice = { 2, 1, DR_ACT_NONE };
    const op_case c = case_of(&same, "conv2d_act", &attr, false, true, 0);
    assert_int_equal(differs(&c, 2), 0); /* 256 pixels, one block on each */
    const op_case t = case_of(&doubled, "conv_transpose2d_act", &twice, true, true, 0);
    assert_int_equal(differs(&t, 5), 0); /* 64 pixels, four parities, four blocks */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_what_follows),
        cmocka_unit_test(transposed),
        cmocka_unit_test(gradients_of_x),
        cmocka_unit_test(of_many_tiles),
    };
    if (!there_is_cuda()) return 77;
    return cmocka_run_group_tests(tests, open_ref_and_cuda, close_all);
}
