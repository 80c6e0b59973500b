/* shape_errors_name_both_shapes.c: every op refuses what does not fit with one message that begins with its name, says
 * what is wrong, and shows dtype and shape of its inputs. Nothing is computed, and nothing is left pending. */
#include "../host.h"
#include "op_cases.h"

#include <math.h>

typedef struct refusal {
    const char *op;
    const void *attr;
    int n_in;
    case_input in[CASE_INPUTS];
    const char *says;
    bool of_attributes; /* the message is about attributes alone, or shows only the two tensors that clash */
} refusal;

#define X(...) \
    { \
        .values = NORMAL, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { __VA_ARGS__ } \
    }
#define F64(...) \
    { \
        .values = SQUARE_NORM, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { __VA_ARGS__ } \
    }
#define I32(...) \
    { \
        .values = IDS, .limit = 2, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { \
            __VA_ARGS__ \
        } \
    }
#define SCALAR \
    { \
        .values = NORMAL \
    }
#define NONE \
    { \
        .values = ABSENT \
    }
#define LIST(...) \
    { \
        sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), { __VA_ARGS__ } \
    }
#define NO_ATTR \
    &(dr_none_attr) { 0 }
#define UNARY(op_) \
    { \
        op_, NO_ATTR, 1, { I32(3, 5) }, "x must be floating, not i32", false \
    }
#define GRADIENT(op_, first) \
    { \
        op_, NO_ATTR, 2, { X(3, 5), X(5, 3) }, first " and dy must have one shape", false \
    }
#define BINARY(op_) \
    { \
        op_, NO_ATTR, 2, { X(3, 5), X(3, 4) }, "sizes 5 and 4 at axis -1 do not broadcast", false \
    }

static const refusal refusals[] = {
    /* elementwise */
    BINARY("add"),
    BINARY("sub"),
    BINARY("mul"),
    BINARY("div"),
    BINARY("maximum"),
    BINARY("minimum"),
    BINARY("greater"),
    { "add", NO_ATTR, 2, { X(3, 5), F64(3, 5) }, "a is f32 and b is f64: cast one of them", false },
    { "mul", NO_ATTR, 2, { X(2, 65, 3, 5), X(1, 64, 1, 1) }, "sizes 65 and 64 at axis -3 do not broadcast", false },
    { "axpy", &(dr_axpy_attr){ 2.0 }, 2, { X(2, 3), X(3, 2) }, "do not broadcast", false },
    { "where", NO_ATTR, 3, { X(2), X(3), X(3) }, "do not broadcast", false },
    UNARY("exp"),
    UNARY("log"),
    UNARY("sqrt"),
    UNARY("rsqrt"),
    UNARY("sin"),
    UNARY("cos"),
    UNARY("tanh"),
    UNARY("sigmoid"),
    UNARY("relu"),
    UNARY("silu"),
    UNARY("abs"),
    UNARY("square"),
    GRADIENT("exp_backward", "y"),
    GRADIENT("sqrt_backward", "y"),
    GRADIENT("rsqrt_backward", "y"),
    GRADIENT("tanh_backward", "y"),
    GRADIENT("sigmoid_backward", "y"),
    GRADIENT("relu_backward", "y"),
    GRADIENT("log_backward", "x"),
    GRADIENT("sin_backward", "x"),
    GRADIENT("cos_backward", "x"),
    GRADIENT("abs_backward", "x"),
    GRADIENT("square_backward", "x"),
    GRADIENT("silu_backward", "x"),
    { "gelu", &(dr_gelu_attr){ 0 }, 1, { I32(2) }, "x must be floating", false },
    { "gelu_backward", &(dr_gelu_attr){ 0 }, 2, { X(2), X(2, 1) }, "one shape", false },
    { "affine", &(dr_affine_attr){ 1, 0 }, 1, { I32(2) }, "x must be floating", false },
    { "pow", &(dr_pow_attr){ 2 }, 1, { I32(2) }, "x must be floating", false },
    { "clamp", &(dr_clamp_attr){ 0, 1 }, 1, { I32(2) }, "x must be floating", false },
    { "clamp", &(dr_clamp_attr){ 2, 1 }, 1, { X(2) }, "min = 2 is above max = 1", true },
    /* memory and views */
    { "copy", &(dr_copy_attr){ DR_LAYOUT_ANY }, 1, { X(2) }, "no layout 2", true },
    { "cast", &(dr_cast_attr){ 99 }, 1, { X(2) }, "no dtype 99", true },
    { "assign", NO_ATTR, 2, { X(1, 5), X(3, 5) }, "does not broadcast to the shape of to", false },
    { "reshape", &(dr_reshape_attr){ LIST(4, 4) }, 1, { X(3, 5) }, "15 elements do not fill f32[4,4]", false },
    { "reshape", &(dr_reshape_attr){ LIST(-1, 4) }, 1, { X(3, 5) }, "15 elements do not fill", false },
    { "reshape", &(dr_reshape_attr){ LIST(-1, -1) }, 1, { X(3, 5) }, "two sizes are -1", false },
    { "reshape", &(dr_reshape_attr){ LIST(1, 1, 1, 1, 3, 5) }, 1, { X(3, 5) }, "6 axes asked for", false },
    { "reshape", &(dr_reshape_attr){ LIST(1LL << 40, 1LL << 40) }, 1, { X(3, 5) }, "too large", true },
    { "permute", &(dr_permute_attr){ LIST(0, 0) }, 1, { X(3, 5) }, "axis 0 is named twice", false },
    { "permute", &(dr_permute_attr){ LIST(0) }, 1, { X(3, 5) }, "1 axes named, there are 2", false },
    { "permute", &(dr_permute_attr){ LIST(0, 2) }, 1, { X(3, 5) }, "no axis 2", false },
    { "slice", &(dr_slice_attr){ 1, 3, 3, 1 }, 1, { X(3, 5) }, "3 elements from 3 are not in axis 1", false },
    { "slice", &(dr_slice_attr){ 1, -6, -1, 1 }, 1, { X(3, 5) }, "start -6 is outside axis 1", false },
    { "slice", &(dr_slice_attr){ 2, 0, 1, 1 }, 1, { X(3, 5) }, "no axis 2", false },
    { "slice", &(dr_slice_attr){ 0, 0, 1, 0 }, 1, { X(3, 5) }, "step 0", false },
    { "slice_backward", &(dr_slice_backward_attr){ 1, 4, 5, 1, 8 }, 1, { X(3, 5) }, "do not lie in 8", false },
    { "expand", &(dr_expand_attr){ LIST(3, 7) }, 1, { X(3, 5) }, "axis 1 of size 5 cannot become 7", false },
    { "expand", &(dr_expand_attr){ LIST(5) }, 1, { X(3, 5) }, "cannot become 1 axes", false },
    { "concat",
      &(dr_concat_attr){ 1 },
      2,
      { X(2, 3, 4, 4), X(2, 3, 5, 4) },
      "shapes must agree but for axis 1",
      false },
    { "concat", &(dr_concat_attr){ 0 }, 2, { X(2), F64(2) }, "dtypes differ", false },
    { "concat", &(dr_concat_attr){ 4 }, 2, { X(2), X(2) }, "no axis 4", false },
    { "pad",
      &(dr_pad_attr){ DR_PAD_REFLECT, LIST(3, 0), 0 },
      1,
      { X(2, 3) },
      "reflection by 3,0 needs more than 3 elements",
      false },
    { "pad", &(dr_pad_attr){ 0, LIST(1), 0 }, 1, { X(2, 3) }, "1 pads: two for each", false },
    { "pad", &(dr_pad_attr){ 0, LIST(-1, 1), 0 }, 1, { X(2, 3) }, "are negative", false },
    { "pad_backward", &(dr_pad_attr){ 0, LIST(3, 3), 0 }, 1, { X(2, 3) }, "smaller than its pads", false },
    /* reductions */
    { "sum", &(dr_sum_attr){ LIST(0, -2), 0 }, 1, { X(2, 3) }, "axis 0 is named twice", false },
    { "mean", &(dr_mean_attr){ LIST(2), 0 }, 1, { X(2, 3) }, "no axis 2: there are 2", false },
    { "amax", &(dr_amax_attr){ LIST(0), 0 }, 1, { X(0, 3) }, "an empty tensor has no maximum", false },
    { "sum_to", &(dr_sum_to_attr){ LIST(2, 2) }, 1, { X(2, 3) }, "does not sum to f32[2,2]", false },
    { "argmax", &(dr_argmax_attr){ 2 }, 1, { X(2, 3) }, "no axis 2", false },
    { "quantile", &(dr_quantile_attr){ 0.5 }, 1, { X(2, 0) }, "a row without elements", false },
    { "quantile", &(dr_quantile_attr){ 1.5 }, 1, { X(2, 2) }, "q = 1.5 is outside [0, 1]", true },
    /* convolution, products */
    { "conv2d",
      &(dr_conv2d_attr){ 1, 1 },
      3,
      { X(2, 65, 5, 5), X(3, 64, 3, 3), NONE },
      "weight expects 64 input channels, got 65",
      false },
    { "conv2d", &(dr_conv2d_attr){ 1, 1 }, 3, { X(2, 4, 5, 5), X(3, 4, 3, 3), X(4) }, "bias must be f32[3]", false },
    { "conv2d",
      &(dr_conv2d_attr){ 1, 0 },
      3,
      { X(2, 4, 2, 5), X(3, 4, 3, 3), NONE },
      "the kernel is larger than the image",
      false },
    { "conv2d", &(dr_conv2d_attr){ 1, 0 }, 3, { X(2, 4, 5, 5), X(3, 4, 3, 1), NONE }, "square kernel", false },
    { "conv2d",
      &(dr_conv2d_attr){ 0, 0 },
      3,
      { X(2, 4, 5, 5), X(3, 4, 3, 3), NONE },
      "stride 0 must be at least 1",
      false },
    { "conv2d", &(dr_conv2d_attr){ 1, 0 }, 3, { X(4, 5, 5), X(3, 4, 3, 3), NONE }, "x must have 4 axes, got 3", false },
    { "conv_transpose2d",
      &(dr_conv2d_attr){ 2, 1 },
      3,
      { X(2, 3, 5, 5), X(4, 3, 4, 4), NONE },
      "weight expects 4 input channels, got 3",
      false },
    { "conv_transpose2d",
      &(dr_conv2d_attr){ 1, 3 },
      3,
      { X(2, 4, 1, 1), X(4, 3, 4, 4), NONE },
      "nothing is left of the image",
      false },
    { "conv2d_act",
      &(dr_conv2d_act_attr){ 1, 1, DR_ACT_GELU },
      3,
      { X(2, 5, 5, 5), X(3, 4, 3, 3), X(3) },
      "weight expects 4 input channels, got 5",
      false },
    { "conv2d_act",
      &(dr_conv2d_act_attr){ 1, 1, DR_ACT_GELU },
      4,
      { X(4, 4, 5, 5), X(3, 4, 3, 3), NONE, X(3, 3, 5, 5) },
      "add must have the result's shape [4,3,5,5], or a whole part of its rows",
      false },
    { "conv_transpose2d_act",
      &(dr_conv2d_act_attr){ 2, 1, DR_ACT_GELU },
      3,
      { X(2, 4, 5, 5), X(5, 3, 4, 4), X(3) },
      "weight expects 5 input channels, got 4",
      false },
    { "fold_batch_norm",
      &(dr_fold_batch_norm_attr){ 1e-5, 1 },
      6,
      { X(4, 3, 2, 2), X(4), X(4), X(4), X(4), X(4) },
      "gamma must be f32[3]",
      false },
    { "conv2d_backward_data",
      &(dr_conv2d_backward_data_attr){ 1, 1, 9, 9 },
      2,
      { X(2, 4, 5, 5), X(4, 3, 3, 3) },
      "not what an image of 9 x 9 gives",
      false },
    { "conv2d_backward_data",
      &(dr_conv2d_backward_data_attr){ 1, 1, 5, 5 },
      2,
      { X(2, 4, 5, 5), X(5, 3, 3, 3) },
      "weight makes 5 channels, dy has 4",
      false },
    { "conv2d_backward_weight",
      &(dr_conv2d_backward_weight_attr){ 2, 1, 3, 0 },
      2,
      { X(2, 4, 5, 5), X(2, 3, 5, 5) },
      "dy is not what x gives",
      false },
    { "matmul", &(dr_matmul_attr){ 0, 0, 0 }, 2, { X(2, 3), X(4, 5) }, "inner sizes 3 and 4 differ", false },
    { "matmul", &(dr_matmul_attr){ 0, 1, 0 }, 2, { X(2, 3), X(3, 5) }, "inner sizes 3 and 5 differ, b transposed", false },
    { "matmul", &(dr_matmul_attr){ 0, 0, 0 }, 2, { X(3), X(3, 5) }, "two axes or more", false },
    { "matmul",
      &(dr_matmul_attr){ 0, 0, 0 },
      2,
      { X(2, 4, 3), X(3, 3, 5) },
      "sizes 2 and 3 at axis -1 do not broadcast",
      true },
    { "linear", NO_ATTR, 3, { X(2, 65), X(3, 64), X(3) }, "weight expects 64 features, got 65", false },
    { "linear", NO_ATTR, 3, { X(2, 64), X(3, 64), X(64) }, "bias must be f32[3]", false },
    /* normalisation */
    { "batch_norm_act",
      &(dr_batch_norm_act_attr){ 1e-5, 0 },
      3,
      { X(2, 65, 3, 3), X(64), X(64) },
      "gamma must be f32[65]",
      false },
    { "batch_norm_act",
      &(dr_batch_norm_act_attr){ 1e-5, 0 },
      3,
      { X(0, 3), X(3), X(3) },
      "an empty batch has no statistics",
      false },
    { "batch_norm_act",
      &(dr_batch_norm_act_attr){ 1e-5, 0 },
      3,
      { X(2, 3), F64(3), X(3) },
      "gamma must be f32, not f64",
      false },
    { "batch_norm_act_backward",
      &(dr_batch_norm_act_attr){ 1e-5, 0 },
      6,
      { X(2, 3), X(3), X(3), X(3), X(3), X(2, 4) },
      "x and dy must have one shape",
      false },
    { "batch_norm_eval",
      &(dr_batch_norm_eval_attr){ 1e-5, 0 },
      5,
      { X(2, 3, 3), X(3), X(3), X(3), X(4) },
      "running_var must be f32[3]",
      false },
    { "batch_norm_update",
      &(dr_batch_norm_update_attr){ 0.1, 9 },
      5,
      { X(3), X(3), X(4), X(3), NONE },
      "running_mean and mean must have one shape",
      false },
    { "batch_norm_update",
      &(dr_batch_norm_update_attr){ 0.1, 0 },
      5,
      { X(3), X(3), X(3), X(3), NONE },
      "count must be at least 1",
      true },
    { "group_norm_act",
      &(dr_group_norm_act_attr){ 32, 1e-5, 0 },
      3,
      { X(2, 65, 3, 3), X(65), X(65) },
      "65 channels do not divide into 32 groups",
      false },
    { "group_norm_act",
      &(dr_group_norm_act_attr){ 1, 1e-5, 0 },
      3,
      { X(2, 4, 3, 3), X(3, 4), X(3, 4) },
      "gamma must be f32[2,4]",
      false },
    { "group_norm_act_backward",
      &(dr_group_norm_act_attr){ 3, 1e-5, 0 },
      6,
      { X(2, 3), X(3), X(3), X(2, 1), X(2, 3), X(2, 3) },
      "mean must be f32[2,3]",
      false },
    { "layer_norm", &(dr_layer_norm_attr){ 1e-5 }, 3, { X(2, 5), X(4), NONE }, "gamma must be f32[5]", false },
    { "layer_norm", &(dr_layer_norm_attr){ 1e-5 }, 3, { SCALAR, NONE, NONE }, "must have a last axis", false },
    { "layer_norm_backward",
      &(dr_layer_norm_attr){ 1e-5 },
      5,
      { X(2, 5), X(2), X(3), X(2, 5), NONE },
      "rstd must be f32[2]",
      false },
    { "film", NO_ATTR, 3, { X(2, 3, 4, 4), X(2, 3), NONE }, "scale must be f32[2,3,1,1]", false },
    { "film", NO_ATTR, 3, { X(2, 3, 4), NONE, X(2, 3, 1) }, "shift must be f32[2,1,4]", false },
    { "film", NO_ATTR, 3, { X(3), NONE, NONE }, "h must be [B,C,H,W], [B,L,C] or [B,C]", false },
    { "film_backward", NO_ATTR, 3, { X(2, 3), X(2, 3), X(3, 3) }, "h and dy must have one shape", false },
    { "rms_norm", &(dr_rms_norm_attr){ 1e-6 }, 2, { X(2, 5), X(2) }, "weight must be f32[5]", false },
    /* softmax, attention, images */
    { "softmax", &(dr_softmax_attr){ 2 }, 1, { X(2, 5) }, "no axis 2", false },
    { "softmax_backward", &(dr_softmax_attr){ -1 }, 2, { X(2, 5), X(2, 4) }, "y and dy must have one shape", false },
    { "attention",
      &(dr_attention_attr){ 0 },
      4,
      { X(2, 3, 4, 5), X(2, 3, 6, 7), X(2, 3, 6, 7), NONE },
      "q and k must agree but for axis 2",
      false },
    { "attention",
      &(dr_attention_attr){ 0 },
      4,
      { X(2, 3, 4, 5), X(2, 3, 6, 5), X(2, 3, 4, 5), NONE },
      "k and v must have one shape",
      false },
    { "attention",
      &(dr_attention_attr){ 0 },
      4,
      { X(2, 3, 4, 5), X(2, 3, 6, 5), X(2, 3, 6, 5), X(4, 4) },
      "mask does not broadcast to the scores [2,3,4,6]",
      false },
    { "avg_pool2d", &(dr_pool_attr){ 7, 0 }, 1, { X(2, 3, 6, 7) }, "a window of 7 does not fit", false },
    { "avg_pool2d_backward",
      &(dr_pool_backward_attr){ 2, 0, 7, 7 },
      1,
      { X(2, 3, 4, 3) },
      "not what an image of 7 x 7 gives",
      false },
    { "max_pool2d", &(dr_pool_attr){ 0, 0 }, 1, { X(2, 3, 6, 7) }, "kernel 0", false },
    { "max_pool2d_backward",
      &(dr_pool_backward_attr){ 2, 0, 6, 6 },
      2,
      { X(2, 3, 6, 5), X(2, 3, 3, 3) },
      "x must be f32[2,3,6,6]",
      false },
    { "resize", &(dr_resize_attr){ 0, 0, 4, 0 }, 1, { X(2, 3, 6, 5) }, "cannot resize to 0 x 4", false },
    { "resize",
      &(dr_resize_attr){ 0, 4, 4, 1 },
      1,
      { X(2, 3, 6, 5) },
      "align_corners goes with bilinear and bicubic",
      false },
    { "resize_backward", &(dr_resize_attr){ 1, 4, 4, 0 }, 1, { X(3, 6, 5) }, "dy must have 4 axes", false },
    { "gaussian_blur",
      &(dr_gaussian_blur_attr){ 33, 2.0 },
      1,
      { X(2, 3, 16, 20) },
      "reflection by 16 needs an image of more",
      false },
    { "gaussian_blur", &(dr_gaussian_blur_attr){ 4, 2.0 }, 1, { X(2, 3, 16, 20) }, "must be odd", false },
    /* indices, random, losses */
    { "embedding", NO_ATTR, 2, { X(7, 5), X(3) }, "ids must be i32, not f32", false },
    { "embedding_backward",
      &(dr_embedding_backward_attr){ 7 },
      2,
      { X(4, 5), I32(3) },
      "dy must be a row for each id",
      false },
    { "one_hot", &(dr_one_hot_attr){ 10 }, 1, { X(3) }, "ids must be i32", false },
    { "timestep_embedding",
      &(dr_timestep_embedding_attr){ 8, 1e4, 0, 0 },
      1,
      { X(3, 1) },
      "t must have 1 axes, got 2",
      false },
    { "timestep_embedding",
      &(dr_timestep_embedding_attr){ 2, 1e4, 1, 0 },
      1,
      { X(3) },
      "dim 2, max_period 10000, shift 1",
      false },
    { "rand_uniform",
      &(dr_random_attr){ .dtype = DR_I32, .shape = LIST(3) },
      0,
      { NONE },
      "dtype 4 is not a floating one",
      true },
    { "rand_normal",
      &(dr_random_attr){ .dtype = DR_F32, .shape = LIST(3, -1) },
      0,
      { NONE },
      "dimension 1 is -1",
      true },
    { "dropout", &(dr_dropout_attr){ .p = 1.5 }, 1, { X(3) }, "p = 1.5 is outside [0, 1]", true },
    { "dropout", &(dr_dropout_attr){ .p = 0.5 }, 1, { I32(3) }, "x must be floating", false },
    { "mse", &(dr_mse_attr){ 0 }, 3, { X(2, 3), X(3, 2), NONE }, "pred and target must have one shape", false },
    { "mse", &(dr_mse_attr){ 0 }, 3, { X(2, 3), X(2, 3), X(3) }, "weight must be f32[2]", false },
    { "mse_backward",
      &(dr_mse_attr){ 0 },
      4,
      { X(2, 3), X(2, 3), X(1), NONE },
      "dloss must have 0 axes, got 1",
      false },
    { "cross_entropy", NO_ATTR, 2, { X(4, 10), I32(5) }, "label must be i32[4]", false },
    { "cross_entropy", NO_ATTR, 2, { X(0, 10), I32(0) }, "an empty batch has no loss", false },
    { "cross_entropy_backward", NO_ATTR, 3, { X(4, 10), I32(4), F64(1) }, "dloss must be f32, not f64", false },
    /* optimizers */
    { "adam_step",
      &(dr_adam_step_attr){ .beta1 = 0.9 },
      5,
      { F64(2), X(3), X(3), X(4), X(3) },
      "tensor 4 has not the shape of its weight",
      true },
    { "adam_step",
      &(dr_adam_step_attr){ .beta1 = 0.9 },
      6,
      { F64(2), X(3), X(3), X(3), X(3), X(3) },
      "5 tensors are not in groups of 4",
      true },
    { "adam_step",
      &(dr_adam_step_attr){ .beta1 = 0.9 },
      5,
      { X(2), X(3), X(3), X(3), X(3) },
      "lr_and_step must be f64",
      false },
    { "sgd_step",
      &(dr_sgd_step_attr){ .momentum = 0.9 },
      4,
      { F64(2), X(3), X(3), F64(3) },
      "not of the first one's dtype, f32",
      true },
    { "ema_step", NO_ATTR, 3, { { .values = SQUARE_NORM }, X(3), X(3, 1) }, "tensor 3 has not the shape of its weight", true },
    { "ema_step", NO_ATTR, 3, { X(1), X(3), X(3) }, "decay must be f64", false },
    { "square_norm", NO_ATTR, 2, { X(3), I32(3) }, "is i32", false },
    { "clip_step", &(dr_clip_step_attr){ 1.0 }, 2, { F64(1), X(3) }, "square_norm must have 0 axes", false },
};
enum { REFUSALS = sizeof refusals / sizeof *refusals };

static bool message_is_good(const refusal *r)
{
    const char *message = dr_error_message();
    char start[64];
    snprintf(start, sizeof start, "%s: ", r->op);
    bool good = strncmp(message, start, strlen(start)) == 0 && strstr(message, r->says);
    for (int i = 0; i < r->n_in && i < 6 && !r->of_attributes; i++) {
        if (r->in[i].values == ABSENT) continue;
        dr_view v = { .dtype = r->in[i].values == IDS           ? DR_I32
                               : r->in[i].values == SQUARE_NORM ? DR_F64
                                                                : DR_F32,
                      .rank = r->in[i].rank };
        memcpy(v.shape, r->in[i].shape, sizeof v.shape);
        char text[128];
        if (!strstr(message, dr_view_text(&v, text, sizeof text))) good = false;
    }
    return good;
}

static void and_say_what_is_wrong(void **state)
{
    (void)state;
    int failed = 0;
    for (int k = 0; k < REFUSALS; k++) {
        const refusal *r = &refusals[k];
        op_case c = { .op = r->op, .attr = r->attr, .n_in = r->n_in };
        memcpy(c.in, r->in, sizeof c.in);
        const case_run run = { .device = dr_device_current(), .dtype = DR_F32, .layout = DR_LAYOUT_ROW, .nudged = -1 };
        case_result result;
        if (run_case(&c, &run, &result)) {
            print_error("%s: took what should be refused with '%s'\n", r->op, r->says);
            failed++;
        } else if (!message_is_good(r)) {
            print_error("%s: says '%s', should say '%s' and show the shapes\n", r->op, dr_error_message(), r->says);
            failed++;
        }
        dr_error_clear();
        free_result(&result);
    }
    assert_int_equal(failed, 0);
}

static void in_every_op(void **state)
{
    (void)state;
    int failed = 0;
    const dr_component *component;
    for (int64_t i = 0; (component = next_op(&i));) {
        bool tried = strcmp(component->name, "fill") == 0; /* takes any tensor */
        for (int k = 0; k < REFUSALS && !tried; k++) tried = strcmp(refusals[k].op, component->name) == 0;
        if (tried) continue;
        print_error("%s: no refusal is tested\n", component->name);
        failed++;
    }
    assert_int_equal(failed, 0);
}

static void also_for_inputs_that_are_missing(void **state)
{
    (void)state;
    dr_tensor *x = dr_tensor_full(DR_F32, 4, (int64_t[]){ 1, 2, 3, 3 }, 1.0);
    assert_null(dr_apply1("conv2d", (dr_tensor *[]){ x, NULL, NULL }, 3, &(dr_conv2d_attr){ 1, 0 }));
    assert_error_has("conv2d: input 2 is missing");
    assert_null(dr_apply1("conv2d", &x, 1, &(dr_conv2d_attr){ 1, 0 }));
    assert_error_has("conv2d: takes 2 inputs or more, got 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(and_say_what_is_wrong),
        cmocka_unit_test(in_every_op),
        cmocka_unit_test(also_for_inputs_that_are_missing),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
