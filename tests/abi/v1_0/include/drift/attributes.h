/* attributes.h: what each op's kernel receives as `attr`, in C and in CUDA C. Shapes: B batch, C channels, H W pixels;
 * [..] any leading axes. Conventions and defaults are PyTorch's. The ops' calls are in ops.h.
 *
 * What a kernel may rely on (in_layout and out_layout of core/ops_*.c say it op by op):
 * - elementwise ops: DENSE in, DENSE out. Inputs of the output's shape have the output's strides; others broadcast by
 *   their own strides. add: any strides in.
 * - images (convolution, normalisation, pooling, resizing, pad, concat, slice_backward): rank 4 is channels-last, other
 *   ranks row-major; outputs likewise. Weights and vectors are row-major.
 * - sum, mean, amax, sum_to: DENSE in (go by strides), row-major out. cast: DENSE. copy, fill, assign: any strides.
 * - all else, and all i32 inputs: row-major.
 * - in place (MUTATES): tensors are dense in any order, and those of one weight have the same strides, so flat arrays.
 * Axes in attributes may be negative: they count from the end. Floating inputs are of one dtype T, and outputs too, but
 * statistics, gamma, beta, running statistics, losses, row weights and log-probabilities are of the dtype S: f64 where T
 * is f64, else f32. Absent optional inputs are always the last ones. */
#ifndef DRIFT_ATTRIBUTES_H
#define DRIFT_ATTRIBUTES_H

#include <drift/abi.h>

#ifdef __cplusplus
#define _Bool bool /* the same byte */
#endif

/* ---- elementwise: NumPy broadcasting; attributes are fields of one struct per op ---------------------------------- */
typedef struct dr_none_attr { int64_t unused; } dr_none_attr;
typedef dr_none_attr dr_add_attr, dr_sub_attr, dr_mul_attr, dr_div_attr, dr_maximum_attr, dr_minimum_attr, dr_greater_attr;
typedef dr_none_attr dr_exp_attr, dr_log_attr, dr_sqrt_attr, dr_rsqrt_attr, dr_sin_attr, dr_cos_attr, dr_tanh_attr, dr_sigmoid_attr,
    dr_relu_attr, dr_silu_attr, dr_abs_attr, dr_square_attr, dr_where_attr;
typedef struct dr_affine_attr { double scale, shift; } dr_affine_attr; /* scale x + shift */
typedef struct dr_axpy_attr { double scale; } dr_axpy_attr;            /* scale x + y */
typedef struct dr_pow_attr { double exponent; } dr_pow_attr;
typedef struct dr_gelu_attr { int64_t approximate; } dr_gelu_attr;     /* enum none|tanh */
typedef struct dr_clamp_attr { double min, max; } dr_clamp_attr;
/* Gradients, ops as well. From x and dy: log_backward, sin_, cos_, abs_, square_, silu_, gelu_backward (attributes of gelu).
 * From y and dy: exp_backward, sqrt_, rsqrt_, tanh_, sigmoid_, relu_backward. The other ops' are put together from ops. */
typedef dr_none_attr dr_log_backward_attr, dr_sin_backward_attr, dr_cos_backward_attr, dr_abs_backward_attr, dr_square_backward_attr,
    dr_silu_backward_attr, dr_exp_backward_attr, dr_sqrt_backward_attr, dr_rsqrt_backward_attr, dr_tanh_backward_attr,
    dr_sigmoid_backward_attr, dr_relu_backward_attr;
typedef dr_gelu_attr dr_gelu_backward_attr;

/* ---- dtype and memory ---------------------------------------------------------------------------------------------- */
typedef struct dr_cast_attr { int64_t dtype; } dr_cast_attr;
typedef struct dr_copy_attr { int64_t layout; } dr_copy_attr; /* dr_layout ROW or CL */
typedef struct dr_fill_attr { double value; } dr_fill_attr;
typedef dr_none_attr dr_assign_attr;

/* ---- views: no memory moves ------------------------------------------------------------------------------------------ */
typedef struct dr_reshape_attr { dr_ints shape; } dr_reshape_attr; /* one -1 is inferred; a copy is made first where strides do not allow it */
typedef struct dr_permute_attr { dr_ints dims; } dr_permute_attr;
typedef struct dr_slice_attr { int64_t dim, start, length, step; } dr_slice_attr; /* start may be negative; length -1: to the end */
typedef struct dr_expand_attr { dr_ints shape; } dr_expand_attr;

/* ---- joining and padding --------------------------------------------------------------------------------------------- */
typedef struct dr_concat_attr { int64_t dim; } dr_concat_attr;
typedef struct dr_pad_attr { int64_t mode; dr_ints pads; double value; } dr_pad_attr; /* enum constant|reflect|replicate; pads: before,after of the
                                                                                          last axis, then of the one before it, ... */
typedef dr_pad_attr dr_pad_backward_attr;
typedef struct dr_slice_backward_attr { int64_t dim, start, length, step, full; } dr_slice_backward_attr; /* dy into zeros of size full along dim; start, length >= 0 */
enum { DR_PAD_CONSTANT = 0, DR_PAD_REFLECT, DR_PAD_REPLICATE };

/* ---- reductions: dims empty = all; keepdim leaves axes of size 1 ------------------------------------------------------ */
typedef struct dr_reduce_attr { dr_ints dims; _Bool keepdim; } dr_reduce_attr;
typedef dr_reduce_attr dr_sum_attr, dr_mean_attr, dr_amax_attr;
typedef struct dr_sum_to_attr { dr_ints shape; } dr_sum_to_attr;       /* undoes broadcasting: sums x to `shape` */
typedef struct dr_argmax_attr { int64_t dim; } dr_argmax_attr;         /* i32, the axis removed */
typedef struct dr_quantile_attr { double q; } dr_quantile_attr;        /* [B,...] -> [B], linear interpolation */

/* ---- convolution: x [B,Ci,H,W], weight [Co,Ci,k,k] (transposed: [Ci,Co,k,k]), bias [Co] or NULL ----------------------- */
typedef struct dr_conv2d_attr { int64_t stride, padding; } dr_conv2d_attr;
typedef dr_conv2d_attr dr_conv_transpose2d_attr;
typedef struct dr_conv2d_backward_data_attr { int64_t stride, padding, height, width; } dr_conv2d_backward_data_attr; /* dy, weight -> dx [B,Ci,height,width] */
typedef struct dr_conv2d_backward_weight_attr { int64_t stride, padding, kernel, bias; } dr_conv2d_backward_weight_attr; /* x, dy -> dw [Co,Ci,k,k], db [Co] ([0] where bias is 0) */
/* x, weight, bias (or NULL), add (or NULL) -> act(conv2d(x, weight, bias) + add), in one launch; where a gradient is
 * wanted, as several ops. add [B/n,Co,H',W']: row b gets add[b mod B/n]. */
typedef struct dr_conv2d_act_attr { int64_t stride, padding, act; } dr_conv2d_act_attr;
typedef dr_conv2d_act_attr dr_conv_transpose2d_act_attr;
/* weight, gamma, beta, running_mean, running_var, bias (or NULL) -> the weight and bias of the convolution that does what
 * convolution and normalisation do: weight' = s weight, bias' = s (bias - mean) + beta, s = gamma/sqrt(var + eps) */
typedef struct dr_fold_batch_norm_attr { double eps; _Bool transposed; } dr_fold_batch_norm_attr;

/* ---- products ---------------------------------------------------------------------------------------------------------- */
/* [..,M,K] [..,K,N], leading axes broadcast; wide: the result of bf16 or f16 matrices is f32 */
typedef struct dr_matmul_attr { _Bool transpose_a, transpose_b, wide; } dr_matmul_attr;
typedef dr_none_attr dr_linear_attr;                                              /* x [..,K], weight [N,K], bias [N] or NULL -> [..,N] */

/* ---- normalisation, with the activation that follows it ------------------------------------------------------------------ */
enum { DR_ACT_NONE = 0, DR_ACT_RELU, DR_ACT_GELU, DR_ACT_GELU_TANH, DR_ACT_SILU };
#define DR_ACT_NAMES "none|relu|gelu|gelu_tanh|silu"
/* x [B,C,H,W], [B,C,L] or [B,C] -> y, mean [C], var [C] (biased). Training form: batch statistics. */
typedef struct dr_batch_norm_act_attr { double eps; int64_t act; } dr_batch_norm_act_attr;
typedef dr_batch_norm_act_attr dr_batch_norm_act_backward_attr; /* x, gamma, beta, mean, var, dy -> dx, dgamma, dbeta */
typedef dr_batch_norm_act_attr dr_batch_norm_eval_attr;         /* x, gamma, beta, running_mean, running_var -> y */
typedef struct dr_batch_norm_update_attr { double momentum; int64_t count; } dr_batch_norm_update_attr; /* running_mean, running_var,
    mean, var, num_batches_tracked (i64 [], or NULL): in place; var enters times count/(count-1), count = B H W */
typedef struct dr_group_norm_act_attr { int64_t groups; double eps; int64_t act; } dr_group_norm_act_attr; /* x [B,C,..], gamma and beta [C] or [B,C]
    -> y, mean [B,G], rstd [B,G] */
typedef dr_group_norm_act_attr dr_group_norm_act_backward_attr; /* x, gamma, beta, mean, rstd, dy -> dx, dgamma, dbeta */
typedef struct dr_layer_norm_attr { double eps; } dr_layer_norm_attr; /* over the last axis; gamma, beta [D], may both be NULL -> y, mean [..], rstd [..] */
typedef dr_layer_norm_attr dr_layer_norm_backward_attr;         /* x, mean, rstd, dy, gamma (or NULL) -> dx, dgamma, dbeta (always given) */
typedef struct dr_rms_norm_attr { double eps; } dr_rms_norm_attr; /* x [..,D], weight [D]; composed */
/* scale h + shift; h [B,C,H,W] with scale and shift [B,C,1,1], [B,L,C] with [B,1,C], or [B,C]; either may be NULL. They
 * are of h's dtype or of S. Backward: h, scale, dy -> dh, dscale, dshift (S). */
typedef dr_none_attr dr_film_attr, dr_film_backward_attr;

/* ---- softmax, attention ------------------------------------------------------------------------------------------------- */
typedef struct dr_softmax_attr { int64_t dim; } dr_softmax_attr; /* any axis: x row-major is [outer, n, inner] around it */
typedef dr_softmax_attr dr_softmax_backward_attr;                /* y, dy -> dx */
typedef struct dr_attention_attr { double scale; } dr_attention_attr; /* 0: 1/sqrt(D) */

/* ---- pooling, resizing, filtering ------------------------------------------------------------------------------------------ */
typedef struct dr_pool_attr { int64_t kernel, stride; } dr_pool_attr; /* stride 0: the kernel's size */
typedef dr_pool_attr dr_avg_pool2d_attr, dr_max_pool2d_attr;
typedef struct dr_pool_backward_attr { int64_t kernel, stride, height, width; } dr_pool_backward_attr;
typedef dr_pool_backward_attr dr_avg_pool2d_backward_attr, dr_max_pool2d_backward_attr; /* dy -> dx; (x, dy) -> dx for max: the first maximum takes it */
typedef struct dr_resize_attr { int64_t mode, height, width; _Bool align_corners; } dr_resize_attr; /* enum nearest|bilinear|bicubic */
typedef dr_resize_attr dr_resize_backward_attr; /* dy -> dx of size height, width */
typedef struct dr_gaussian_blur_attr { int64_t kernel_size; double sigma; } dr_gaussian_blur_attr; /* reflect padding; composed */
enum { DR_RESIZE_NEAREST = 0, DR_RESIZE_BILINEAR, DR_RESIZE_BICUBIC };

/* ---- indices -------------------------------------------------------------------------------------------------------------------- */
typedef dr_none_attr dr_embedding_attr;                                              /* weight [N,D], ids i32 [..] -> [..,D]; an id outside 0..N-1 is refused by the kernel */
typedef struct dr_embedding_backward_attr { int64_t rows; } dr_embedding_backward_attr; /* dy, ids -> [rows,D], repeated ids add up */
typedef struct dr_one_hot_attr { int64_t classes; } dr_one_hot_attr;                 /* ids i32 [..] -> f32 [..,classes]; an id outside is refused as well */
typedef struct dr_timestep_embedding_attr { int64_t dim; double max_period, shift; _Bool flip; } dr_timestep_embedding_attr; /* t f32 [B] -> [B,dim] */

/* ---- random tensors: the device's kernel writes the same integers everywhere ------------------------------------------------------ */
typedef struct dr_random_attr { int64_t dtype; dr_ints shape; int64_t seed, purpose, step, sample; } dr_random_attr;
typedef dr_random_attr dr_rand_uniform_attr, dr_rand_normal_attr; /* [0,1) from 24 bits; Box-Muller on pairs of 32-bit words */
typedef struct dr_dropout_attr { double p; int64_t seed, purpose, step, sample; } dr_dropout_attr; /* x -> y; composed */

/* ---- losses ------------------------------------------------------------------------------------------------------------------------ */
enum { DR_REDUCE_MEAN = 0, DR_REDUCE_SUM };
typedef struct dr_mse_attr { int64_t reduction; } dr_mse_attr;            /* pred, target of one shape, row weight [B] or NULL -> scalar; enum mean|sum */
typedef dr_mse_attr dr_mse_backward_attr;                                 /* pred, target, dloss [], weight or NULL -> dpred */
typedef dr_none_attr dr_cross_entropy_attr;                               /* logits [B,K], label i32 [B] -> mean loss [], log-probabilities [B,K] */
typedef dr_none_attr dr_cross_entropy_backward_attr;                      /* log-probabilities, label, dloss -> dlogits */

/* ---- optimizer steps, all weights in one launch; in place; in[0] holds what changes from step to step. The kernel is chosen by the
 * dtype of in[1], since in[0] is f64 --------------------------------------------------------------------------------------------------- */
typedef struct dr_adam_step_attr { double beta1, beta2, eps, weight_decay; _Bool decoupled; int64_t averages; } dr_adam_step_attr; /* in[0]
    f64 [2 + averages] = lr, step, decays; then param, grad, exp_avg, exp_avg_sq and the averages of each weight, moved after it as by ema_step */
typedef struct dr_sgd_step_attr { double momentum, weight_decay; _Bool nesterov; } dr_sgd_step_attr; /* in[0] f64 [2] = lr, step; param, grad, momentum_buffer */
typedef dr_none_attr dr_ema_step_attr;  /* in[0] f64 [] = decay; average, param of each weight: average = decay average + (1-decay) param */
typedef dr_none_attr dr_square_norm_attr;                            /* tensors -> f64 [], sum of all squares */
typedef struct dr_clip_step_attr { double max_norm; } dr_clip_step_attr; /* in[0] f64 [] = squared norm; gradients times min(1, max_norm/(norm+1e-6)) */

#ifdef __cplusplus
#undef _Bool
#endif

#endif
