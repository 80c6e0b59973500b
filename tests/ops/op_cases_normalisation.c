/* op_cases_normalisation.c: cases of norms and film, of softmax and attention, and of ops on images. */
#include "case_table.h"

/* ---- normalisation ----------------------------------------------------------------------------------------------- */

static void batch_norm(int64_t C, case_input x, int64_t act)
{
    add_case("batch_norm_act", ATTR(dr_batch_norm_act_attr, 1e-5, act),
             INPUTS(x, STATISTIC(NORMAL, C), STATISTIC(NORMAL, C)));
    add_case("batch_norm_eval", ATTR(dr_batch_norm_eval_attr, 1e-5, act),
             INPUTS(x, STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(POSITIVE, C)));
    add_case("batch_norm_act_backward", ATTR(dr_batch_norm_act_backward_attr, 1e-5, act),
             INPUTS(x, STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(POSITIVE, C), x));
}

static void group_norm(int64_t C, int64_t groups, case_input x, int64_t act)
{
    add_case("group_norm_act", ATTR(dr_group_norm_act_attr, groups, 1e-5, act),
             INPUTS(x, STATISTIC(NORMAL, C), STATISTIC(NORMAL, C)));
    add_case("group_norm_act_backward", ATTR(dr_group_norm_act_backward_attr, groups, 1e-5, act),
             INPUTS(x, STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, x.shape[0], groups),
                    STATISTIC(POSITIVE, x.shape[0], groups), x));
}

static void group_norm_per_sample(int64_t C, int64_t groups, case_input x, int64_t act)
{
    const int64_t B = x.shape[0];
    add_case("group_norm_act", ATTR(dr_group_norm_act_attr, groups, 1e-5, act),
             INPUTS(x, STATISTIC(NORMAL, B, C), STATISTIC(NORMAL, B, C)));
}

/* Scale and shift of h's dtype, and of the statistics'. */
static void film(case_input h, case_input vector)
{
    const case_input other = { .values = NORMAL,
                               .statistic = true,
                               .rank = vector.rank,
                               .shape = { vector.shape[0], vector.shape[1], vector.shape[2], vector.shape[3] } };
    add_case("film", NO_ATTR, INPUTS(h, vector, vector));
    add_case("film", NO_ATTR, INPUTS(h, other, other));
    add_case("film", NO_ATTR, INPUTS(h, other, NONE));
    add_case("film", NO_ATTR, INPUTS(h, NONE, vector));
    add_case("film", NO_ATTR, INPUTS(h, NONE, other));
    add_case("film_backward", NO_ATTR, INPUTS(h, vector, h));
    add_case("film_backward", NO_ATTR, INPUTS(h, other, h));
}

static void normalisation(void)
{
    const int64_t some_groups[] = { 1, 3, 1, 17, 11, 5 };
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i], act = i % 5;
        batch_norm(C, SHAPED(NORMAL, 2, C, 5, 3), act);
        batch_norm(C, SHAPED(NORMAL, 1, C, 2, 7), (act + 1) % 5);
        batch_norm(C, SHAPED(NORMAL, 5, C, 1, 1), (act + 2) % 5);
        batch_norm(C, SHAPED(NORMAL, 4, C, 3), (act + 3) % 5);
        batch_norm(C, SHAPED(NORMAL, 7, C), (act + 4) % 5);
        group_norm(C, some_groups[i], SHAPED(NORMAL, 2, C, 5, 3), act);
        group_norm(C, C, SHAPED(NORMAL, 1, C, 2, 3), (act + 1) % 5);
        group_norm(C, 1, SHAPED(NORMAL, 2, C, 7), (act + 2) % 5);
        add_case("batch_norm_update", ATTR(dr_batch_norm_update_attr, 0.1, 2 + i),
                 INPUTS(STATISTIC(NORMAL, C), STATISTIC(POSITIVE, C), STATISTIC(NORMAL, C), STATISTIC(POSITIVE, C),
                        i % 2 ? SCALAR(BATCHES) : NONE));
        if (C == 1) continue; /* one value has no spread */
        group_norm(C, 1, SHAPED(NORMAL, 3, C), (act + 3) % 5);
        group_norm(C, 1, SHAPED(NORMAL, 1, C, 1, 1), (act + 4) % 5);
        add_case("layer_norm", ATTR(dr_layer_norm_attr, 1e-5),
                 INPUTS(SHAPED(NORMAL, 3, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C)));
        add_case("layer_norm", ATTR(dr_layer_norm_attr, 1e-6), INPUTS(SHAPED(NORMAL, 2, 3, C), NONE, NONE));
        add_case("layer_norm", ATTR(dr_layer_norm_attr, 1e-5), INPUTS(SHAPED(NORMAL, C), STATISTIC(NORMAL, C), NONE));
        add_case("layer_norm", ATTR(dr_layer_norm_attr, 1e-5),
                 INPUTS(SHAPED(NORMAL, 2, 1, 3, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C)));
        add_case("rms_norm", ATTR(dr_rms_norm_attr, 1e-6), INPUTS(SHAPED(NORMAL, 2, 3, C), STATISTIC(NORMAL, C)));
    }
    film(SHAPED(NORMAL, 3, 17, 4, 5), SHAPED(NORMAL, 3, 17, 1, 1));
    film(SHAPED(NORMAL, 2, 65, 1, 1), SHAPED(NORMAL, 2, 65, 1, 1));
    film(SHAPED(NORMAL, 2, 33, 5), SHAPED(NORMAL, 2, 1, 5));
    film(SHAPED(NORMAL, 3, 17), SHAPED(NORMAL, 3, 17));
    add_case("layer_norm", ATTR(dr_layer_norm_attr, 1e-5), INPUTS(SHAPED(NORMAL, 3, 17))); /* gamma and beta left off */
    for (int64_t act = DR_ACT_NONE; act <= DR_ACT_SILU; act++) {
        batch_norm(5, SHAPED(NORMAL, 3, 5, 3, 4), act);
        group_norm(6, 3, SHAPED(NORMAL, 2, 6, 3, 4), act);
        group_norm_per_sample(6, 3, SHAPED(NORMAL, 3, 6, 3, 4), act);
    }
    group_norm(6, 2, SHAPED(NORMAL, 2, 6, 2, 3, 2), DR_ACT_SILU);
    group_norm_per_sample(17, 1, SHAPED(NORMAL, 2, 17, 5), DR_ACT_NONE);
    group_norm_per_sample(6, 2, SHAPED(NORMAL, 3, 6), DR_ACT_GELU);
}

/* ---- softmax, attention, images ---------------------------------------------------------------------------------- */

static void attention(int64_t B, int64_t H, int64_t L, int64_t S, int64_t D, case_input mask, double scale)
{
    add_case("attention", ATTR(dr_attention_attr, scale),
             INPUTS(SHAPED(NORMAL, B, H, L, D), SHAPED(NORMAL, B, H, S, D), SHAPED(NORMAL, B, H, S, D), mask));
}

static void scores(void)
{
    const int64_t dims[] = { -1, 0, 1, 2 };
    for (int i = 0; i < 4; i++) {
        add_case("softmax", ATTR(dr_softmax_attr, dims[i]), INPUTS(SHAPED(NORMAL, 2, 5, 3, 7)));
        add_case("softmax_backward", ATTR(dr_softmax_backward_attr, dims[i]),
                 INPUTS(SHAPED(POSITIVE, 2, 5, 3, 7), SHAPED(NORMAL, 2, 5, 3, 7)));
    }
    add_case("softmax", ATTR(dr_softmax_attr, -1), INPUTS(SHAPED(NORMAL, 3, 65)));
    add_case("softmax", ATTR(dr_softmax_attr, 0), INPUTS(SHAPED(NORMAL, 1)));
    attention(2, 3, 5, 4, 7, NONE, 0.0);
    attention(2, 3, 5, 4, 7, SHAPED(NORMAL, 2, 1, 5, 4), 0.3);
    attention(1, 2, 1, 33, 17, SHAPED(NORMAL, 33), 0.0);
    attention(1, 1, 17, 1, 1, SHAPED(NORMAL, 1, 1, 17, 1), 0.0);
    add_case("cross_entropy", NO_ATTR, INPUTS(SHAPED(NORMAL, 5, 10), ID(10, 5)));
    add_case("cross_entropy", NO_ATTR, INPUTS(SHAPED(NORMAL, 1, 65), ID(65, 1)));
    add_case("cross_entropy", NO_ATTR, INPUTS(SHAPED(NORMAL, 3, 1), ID(1, 3)));
    add_case("cross_entropy_backward", NO_ATTR, INPUTS(STATISTIC(NORMAL, 5, 10), ID(10, 5), SCALAR_STATISTIC(NORMAL)));
    for (int64_t r = DR_REDUCE_MEAN; r <= DR_REDUCE_SUM; r++) {
        add_case("mse", ATTR(dr_mse_attr, r), INPUTS(SHAPED(NORMAL, 2, 3, 5, 7), SHAPED(NORMAL, 2, 3, 5, 7), NONE));
        add_case("mse", ATTR(dr_mse_attr, r),
                 INPUTS(SHAPED(NORMAL, 3, 65), SHAPED(NORMAL, 3, 65), STATISTIC(POSITIVE, 3)));
        add_case("mse", ATTR(dr_mse_attr, r),
                 INPUTS(SHAPED(NORMAL, 4, 1, 3, 5), SHAPED(NORMAL, 4, 1, 3, 5), STATISTIC(POSITIVE, 4)));
        add_case("mse_backward", ATTR(dr_mse_backward_attr, r),
                 INPUTS(SHAPED(NORMAL, 2, 3, 5, 7), SHAPED(NORMAL, 2, 3, 5, 7), SCALAR_STATISTIC(NORMAL),
                        STATISTIC(POSITIVE, 2)));
        add_case("mse_backward", ATTR(dr_mse_backward_attr, r),
                 INPUTS(SHAPED(NORMAL, 33), SHAPED(NORMAL, 33), SCALAR_STATISTIC(NORMAL), NONE));
    }
}

static void images(void)
{
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i];
        add_case("avg_pool2d", ATTR(dr_avg_pool2d_attr, 7, 0), INPUTS(SHAPED(NORMAL, 2, C, 7, 7)));
        add_case("avg_pool2d", ATTR(dr_avg_pool2d_attr, 2, 0), INPUTS(SHAPED(NORMAL, 1, C, 5, 6)));
        add_case("max_pool2d", ATTR(dr_max_pool2d_attr, 2, 0), INPUTS(SHAPED(DISTINCT, 2, C, 5, 4)));
        add_case("resize", ATTR(dr_resize_attr, i % 3, 7, 4, 0), INPUTS(SHAPED(NORMAL, 2, C, 3, 5)));
    }
    add_case("avg_pool2d", ATTR(dr_avg_pool2d_attr, 3, 1), INPUTS(SHAPED(NORMAL, 2, 3, 5, 4)));
    add_case("avg_pool2d", ATTR(dr_avg_pool2d_attr, 1, 0), INPUTS(SHAPED(NORMAL, 1, 3, 1, 1)));
    add_case("avg_pool2d", ATTR(dr_avg_pool2d_attr, 2, 3), INPUTS(SHAPED(NORMAL, 1, 3, 8, 7)));
    add_case("avg_pool2d_backward", ATTR(dr_avg_pool2d_backward_attr, 2, 3, 8, 7), INPUTS(SHAPED(NORMAL, 2, 3, 3, 2)));
    add_case("max_pool2d", ATTR(dr_max_pool2d_attr, 3, 1), INPUTS(SHAPED(DISTINCT, 2, 3, 5, 4)));
    add_case("max_pool2d_backward", ATTR(dr_max_pool2d_backward_attr, 3, 1, 5, 4),
             INPUTS(SHAPED(DISTINCT, 2, 3, 5, 4), SHAPED(NORMAL, 2, 3, 3, 2)));
    const struct {
        int64_t h, w, to_h, to_w;
    } size[] = { { 3, 5, 6, 10 }, { 7, 5, 3, 8 }, { 1, 1, 4, 3 }, { 4, 6, 1, 1 }, { 5, 4, 5, 4 }, { 8, 9, 3, 4 } };
    for (int64_t mode = DR_RESIZE_NEAREST; mode <= DR_RESIZE_BICUBIC; mode++) {
        for (int align = 0; align <= (mode != DR_RESIZE_NEAREST); align++) {
            for (int i = 0; i < 6; i++) {
                add_case("resize", ATTR(dr_resize_attr, mode, size[i].to_h, size[i].to_w, align),
                         INPUTS(SHAPED(NORMAL, 2, 3, size[i].h, size[i].w)));
            }
            add_case("resize_backward", ATTR(dr_resize_backward_attr, mode, 7, 5, align),
                     INPUTS(SHAPED(NORMAL, 1, 5, 3, 8)));
        }
    }
    add_case("gaussian_blur", ATTR(dr_gaussian_blur_attr, 5, 1.2), INPUTS(SHAPED(NORMAL, 2, 3, 7, 5)));
    add_case("gaussian_blur", ATTR(dr_gaussian_blur_attr, 1, 2.0), INPUTS(SHAPED(NORMAL, 1, 1, 1, 1)));
    add_case("gaussian_blur", ATTR(dr_gaussian_blur_attr, 33, 2.0), INPUTS(SHAPED(NORMAL, 1, 5, 17, 20)));
}

void add_normalisations(void)
{
    normalisation();
    scores();
    images();
}
