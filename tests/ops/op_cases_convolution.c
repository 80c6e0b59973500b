/* op_cases_convolution.c: cases of convolutions, forward and back, with what follows them, and of products. */
#include "case_table.h"

static void convolution(int64_t B, int64_t Ci, int64_t Co, int64_t H, int64_t W, int64_t k, int64_t stride,
                        int64_t padding, bool bias)
{
    add_case("conv2d", ATTR(dr_conv2d_attr, stride, padding),
             INPUTS(SHAPED(NORMAL, B, Ci, H, W), SHAPED(NORMAL, Co, Ci, k, k), bias ? SHAPED(NORMAL, Co) : NONE));
}

static void transposed(int64_t B, int64_t Ci, int64_t Co, int64_t H, int64_t W, int64_t k, int64_t stride,
                       int64_t padding, bool bias)
{
    add_case("conv_transpose2d", ATTR(dr_conv_transpose2d_attr, stride, padding),
             INPUTS(SHAPED(NORMAL, B, Ci, H, W), SHAPED(NORMAL, Ci, Co, k, k), bias ? SHAPED(NORMAL, Co) : NONE));
}

/* With what follows: each activation on both kinds, with and without a bias; `add` of all rows and of some. */
static void convolutions_act(void)
{
    for (int64_t act = DR_ACT_NONE; act <= DR_ACT_SILU; act++) {
        for (int i = 0; i <= CHANNEL_COUNT; i++) {
            const int64_t C = i < CHANNEL_COUNT ? CHANNELS[i] : 130, D = CHANNELS[(i + 3 + act) % CHANNEL_COUNT];
            const bool bias = (i + act) % 3 != 0;
            const case_input add_y = SHAPED(NORMAL, i % 2 ? 2 : 4, D, 5, 7), add_t = SHAPED(NORMAL, 1, C, 6, 8);
            op_case *conv = add_case("conv2d_act", ATTR(dr_conv2d_act_attr, 1, 1, act),
                                     INPUTS(SHAPED(NORMAL, 4, C, 5, 7), SHAPED(NORMAL, D, C, 3, 3),
                                            bias ? SHAPED(NORMAL, D) : NONE, (i + act) % 2 ? NONE : add_y));
            op_case *turned = add_case("conv_transpose2d_act", ATTR(dr_conv_transpose2d_act_attr, 2, 1, act),
                                       INPUTS(SHAPED(NORMAL, 3, D, 3, 4), SHAPED(NORMAL, D, C, 4, 4),
                                              bias ? SHAPED(NORMAL, C) : NONE, (i + act) % 2 ? add_t : NONE));
            conv->stepwise = turned->stepwise = act == DR_ACT_RELU; /* its gradient is */
        }
        add_case("conv2d_act", ATTR(dr_conv2d_act_attr, 2, 1, act),
                 INPUTS(SHAPED(NORMAL, 1, 17, 6, 5), SHAPED(NORMAL, 130, 17, 3, 3), SHAPED(NORMAL, 130)));
        add_case("conv2d_act", ATTR(dr_conv2d_act_attr, 1, 0, act),
                 INPUTS(SHAPED(NORMAL, 3, 33, 1, 1), SHAPED(NORMAL, 5, 33, 1, 1), SHAPED(NORMAL, 5)));
        add_case("conv2d_act", ATTR(dr_conv2d_act_attr, 1, 0, act), /* the kernel is the whole image */
                 INPUTS(SHAPED(NORMAL, 2, 5, 4, 4), SHAPED(NORMAL, 17, 5, 4, 4), SHAPED(NORMAL, 17),
                        SHAPED(NORMAL, 1, 17, 1, 1)));
        add_case("conv_transpose2d_act", ATTR(dr_conv_transpose2d_act_attr, 7, 0, act),
                 INPUTS(SHAPED(NORMAL, 4, 17, 1, 1), SHAPED(NORMAL, 17, 5, 7, 7), SHAPED(NORMAL, 5),
                        SHAPED(NORMAL, 2, 5, 7, 7)));
        add_case("conv2d_act", ATTR(dr_conv2d_act_attr, 1, 1, act), /* to one channel */
                 INPUTS(SHAPED(NORMAL, 2, 33, 5, 4), SHAPED(NORMAL, 1, 33, 3, 3), NONE, SHAPED(NORMAL, 2, 1, 5, 4)));
    }
}

static void folds(void)
{
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i], D = CHANNELS[(i + 2) % CHANNEL_COUNT], k = 1 + i % 4;
        for (int transposed_ = 0; transposed_ < 2; transposed_++) {
            add_case("fold_batch_norm", ATTR(dr_fold_batch_norm_attr, 1e-3, transposed_ != 0),
                     INPUTS(transposed_ ? SHAPED(NORMAL, D, C, k, k) : SHAPED(NORMAL, C, D, k, k), SHAPED(NORMAL, C),
                            SHAPED(NORMAL, C), SHAPED(NORMAL, C), SHAPED(POSITIVE, C),
                            i % 2 ? NONE : SHAPED(NORMAL, C)));
        }
    }
}

static void convolutions(void)
{
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i], D = CHANNELS[(i + 2) % CHANNEL_COUNT];
        convolution(2, C, D, 5, 7, 3, 1, 1, true);
        convolution(1, C, D, 6, 5, 3, 2, 1, true);
        convolution(3, C, D, 1, 1, 3, 1, 1, false);
        convolution(2, C, D, 3, 5, 1, 1, 0, true);
        transposed(2, C, D, 3, 5, 4, 2, 1, true);
        transposed(3, C, D, 1, 1, 7, 7, 0, true);
        transposed(1, C, D, 3, 2, 2, 2, 0, false);
        add_case("conv2d_backward_data", ATTR(dr_conv2d_backward_data_attr, 2, 1, 6, 5),
                 INPUTS(SHAPED(NORMAL, 2, C, 3, 3), SHAPED(NORMAL, C, D, 3, 3)));
        add_case("conv2d_backward_weight", ATTR(dr_conv2d_backward_weight_attr, 2, 1, 3, i % 2),
                 INPUTS(SHAPED(NORMAL, 2, C, 6, 5), SHAPED(NORMAL, 2, D, 3, 3)));
    }
    convolution(1, 3, 5, 9, 5, 7, 1, 3, true);
    convolution(2, 3, 5, 9, 8, 7, 1, 0, true);
    convolution(2, 3, 4, 11, 7, 2, 3, 0, false); /* rows that no window sees */
    convolution(1, 1, 1, 1, 1, 1, 1, 0, true);
    convolution(1, 2, 3, 4, 4, 4, 4, 2, true);
    add_case("conv2d", ATTR(dr_conv2d_attr, 1, 1),
             INPUTS(SHAPED(NORMAL, 2, 3, 4, 5), SHAPED(NORMAL, 5, 3, 3, 3))); /* bias left off */
    transposed(2, 5, 3, 2, 3, 7, 1, 0, true);
    transposed(2, 5, 3, 3, 4, 3, 1, 1, true);
    transposed(1, 3, 2, 3, 2, 3, 4, 0, true); /* gaps between windows */
    add_case("conv2d_backward_data", ATTR(dr_conv2d_backward_data_attr, 3, 0, 11, 7),
             INPUTS(SHAPED(NORMAL, 2, 4, 4, 2), SHAPED(NORMAL, 4, 3, 2, 2)));
}

static void products(void)
{
    for (int t = 0; t < 4; t++) {
        const _Bool ta = t & 1, tb = t >> 1;
        const struct {
            int64_t M, K, N;
        } size[] = { { 5, 3, 17 }, { 1, 1, 1 }, { 33, 65, 5 }, { 1, 17, 3 } };
        for (int i = 0; i < 4; i++) {
            const int64_t M = size[i].M, K = size[i].K, N = size[i].N;
            add_case("matmul", ATTR(dr_matmul_attr, ta, tb, 0),
                     INPUTS(ta ? SHAPED(NORMAL, K, M) : SHAPED(NORMAL, M, K),
                            tb ? SHAPED(NORMAL, N, K) : SHAPED(NORMAL, K, N)));
        }
        add_case("matmul", ATTR(dr_matmul_attr, ta, tb, 0),
                 INPUTS(ta ? SHAPED(NORMAL, 2, 1, 3, 5) : SHAPED(NORMAL, 2, 1, 5, 3),
                        tb ? SHAPED(NORMAL, 1, 4, 7, 3) : SHAPED(NORMAL, 1, 4, 3, 7)));
        add_case("matmul", ATTR(dr_matmul_attr, ta, tb, 0),
                 INPUTS(ta ? SHAPED(NORMAL, 3, 5) : SHAPED(NORMAL, 5, 3),
                        tb ? SHAPED(NORMAL, 3, 7, 3) : SHAPED(NORMAL, 3, 3, 7)));
        add_case("matmul", ATTR(dr_matmul_attr, ta, tb, 0),
                 INPUTS(ta ? SHAPED(NORMAL, 3, 4, 5) : SHAPED(NORMAL, 3, 5, 4),
                        tb ? SHAPED(NORMAL, 3, 6, 4) : SHAPED(NORMAL, 3, 4, 6)));
    }
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i], D = CHANNELS[(i + 2) % CHANNEL_COUNT];
        add_case("linear", NO_ATTR, INPUTS(SHAPED(NORMAL, 3, C), SHAPED(NORMAL, D, C), SHAPED(NORMAL, D)));
        add_case("linear", NO_ATTR, INPUTS(SHAPED(NORMAL, 2, 3, C), SHAPED(NORMAL, D, C), NONE));
    }
    add_case("linear", NO_ATTR, INPUTS(SHAPED(NORMAL, 5), SHAPED(NORMAL, 3, 5), SHAPED(NORMAL, 3)));
    add_case("linear", NO_ATTR, INPUTS(SHAPED(NORMAL, 2, 3, 4, 5), SHAPED(NORMAL, 7, 5), SHAPED(NORMAL, 7)));
}

void add_convolutions(void)
{
    convolutions();
    convolutions_act();
    folds();
    products();
}
