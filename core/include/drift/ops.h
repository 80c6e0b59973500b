/* ops.h: the ops by their names. For each: its attributes (the struct that its kernel receives as `attr`) and a typed
 * call. All go through dr_apply, as a plugin's own ops do. Shapes: B batch, C channels, H W pixels; [..] any leading
 * axes. Conventions and defaults are PyTorch's. Included by plugin.h.
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
#ifndef DRIFT_OPS_H
#define DRIFT_OPS_H

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

static inline dr_tensor *dr_binary_(const char *op, dr_tensor *a, dr_tensor *b)
{
    return dr_apply1(op, (dr_tensor *[]){ a, b }, 2, &(dr_none_attr){ 0 });
}
static inline dr_tensor *dr_unary_(const char *op, dr_tensor *x) { return dr_apply1(op, &x, 1, &(dr_none_attr){ 0 }); }

static inline dr_tensor *dr_add(dr_tensor *a, dr_tensor *b) { return dr_binary_("add", a, b); }
static inline dr_tensor *dr_sub(dr_tensor *a, dr_tensor *b) { return dr_binary_("sub", a, b); }
static inline dr_tensor *dr_mul(dr_tensor *a, dr_tensor *b) { return dr_binary_("mul", a, b); }
static inline dr_tensor *dr_div(dr_tensor *a, dr_tensor *b) { return dr_binary_("div", a, b); }
static inline dr_tensor *dr_maximum(dr_tensor *a, dr_tensor *b) { return dr_binary_("maximum", a, b); }
static inline dr_tensor *dr_minimum(dr_tensor *a, dr_tensor *b) { return dr_binary_("minimum", a, b); }
static inline dr_tensor *dr_greater(dr_tensor *a, dr_tensor *b) { return dr_binary_("greater", a, b); } /* 1 or 0, of a's dtype; no gradient */
static inline dr_tensor *dr_exp(dr_tensor *x) { return dr_unary_("exp", x); }
static inline dr_tensor *dr_log(dr_tensor *x) { return dr_unary_("log", x); }
static inline dr_tensor *dr_sqrt(dr_tensor *x) { return dr_unary_("sqrt", x); }
static inline dr_tensor *dr_rsqrt(dr_tensor *x) { return dr_unary_("rsqrt", x); }
static inline dr_tensor *dr_sin(dr_tensor *x) { return dr_unary_("sin", x); }
static inline dr_tensor *dr_cos(dr_tensor *x) { return dr_unary_("cos", x); }
static inline dr_tensor *dr_tanh(dr_tensor *x) { return dr_unary_("tanh", x); }
static inline dr_tensor *dr_sigmoid(dr_tensor *x) { return dr_unary_("sigmoid", x); }
static inline dr_tensor *dr_relu(dr_tensor *x) { return dr_unary_("relu", x); }
static inline dr_tensor *dr_silu(dr_tensor *x) { return dr_unary_("silu", x); }
static inline dr_tensor *dr_abs(dr_tensor *x) { return dr_unary_("abs", x); }
static inline dr_tensor *dr_square(dr_tensor *x) { return dr_unary_("square", x); }
static inline dr_tensor *dr_affine(double scale, dr_tensor *x, double shift) { return dr_apply1("affine", &x, 1, &(dr_affine_attr){ scale, shift }); }
static inline dr_tensor *dr_scale(double scale, dr_tensor *x) { return dr_affine(scale, x, 0.0); }
static inline dr_tensor *dr_axpy(double scale, dr_tensor *x, dr_tensor *y) /* scale x + y */
{
    return dr_apply1("axpy", (dr_tensor *[]){ x, y }, 2, &(dr_axpy_attr){ scale });
}
static inline dr_tensor *dr_pow(dr_tensor *x, double exponent) { return dr_apply1("pow", &x, 1, &(dr_pow_attr){ exponent }); }
static inline dr_tensor *dr_gelu(dr_tensor *x, _Bool tanh_form) { return dr_apply1("gelu", &x, 1, &(dr_gelu_attr){ tanh_form }); }
static inline dr_tensor *dr_clamp(dr_tensor *x, double min, double max) { return dr_apply1("clamp", &x, 1, &(dr_clamp_attr){ min, max }); }
static inline dr_tensor *dr_where(dr_tensor *condition, dr_tensor *a, dr_tensor *b) /* condition != 0 ? a : b; all of one dtype */
{
    return dr_apply1("where", (dr_tensor *[]){ condition, a, b }, 3, &(dr_none_attr){ 0 });
}
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
static inline dr_tensor *dr_cast(dr_tensor *x, dr_dtype dtype) { return dr_apply1("cast", &x, 1, &(dr_cast_attr){ dtype }); }
static inline _Bool dr_view_is_laid(const dr_view *v, dr_layout layout) /* ROW or CL; axes of size 1 may have any stride */
{
    static const int row[DR_MAX_RANK] = { 0, 1, 2, 3, 4 }, channels_last[DR_MAX_RANK] = { 0, 2, 3, 1 };
    const int *order = layout == DR_LAYOUT_CL && v->rank == 4 ? channels_last : row;
    int64_t stride = 1;
    for (int i = v->rank - 1; i >= 0; i--) {
        if (v->shape[order[i]] != 1 && v->stride[order[i]] != stride) return 0;
        stride *= v->shape[order[i]];
    }
    return 1;
}
static inline dr_tensor *dr_contiguous(dr_tensor *x, dr_layout layout) /* x itself if it is so already */
{
    const dr_view *v = dr_tensor_view(x);
    return v && dr_view_is_laid(v, layout) ? x : dr_apply1("copy", &x, 1, &(dr_copy_attr){ layout });
}
static inline dr_status dr_fill(dr_tensor *x, double value) { return dr_apply("fill", &x, 1, &(dr_fill_attr){ value }, NULL); } /* in place */
static inline dr_status dr_assign(dr_tensor *to, dr_tensor *from) /* in place, broadcasts and converts */
{
    return dr_apply("assign", (dr_tensor *[]){ to, from }, 2, &(dr_none_attr){ 0 }, NULL);
}
typedef dr_none_attr dr_assign_attr;

/* ---- views: no memory moves ------------------------------------------------------------------------------------------ */
typedef struct dr_reshape_attr { dr_ints shape; } dr_reshape_attr; /* one -1 is inferred; a copy is made first where strides do not allow it */
typedef struct dr_permute_attr { dr_ints dims; } dr_permute_attr;
typedef struct dr_slice_attr { int64_t dim, start, length, step; } dr_slice_attr; /* start may be negative; length -1: to the end */
typedef struct dr_expand_attr { dr_ints shape; } dr_expand_attr;
static inline dr_ints dr_ints_of(int n, const int64_t *v)
{
    dr_ints list = { .n = n };
    for (int i = 0; i < n && i < DR_LIST_MAX; i++) list.v[i] = v[i];
    return list;
}
static inline dr_tensor *dr_reshape(dr_tensor *x, int rank, const int64_t *shape) { return dr_apply1("reshape", &x, 1, &(dr_reshape_attr){ dr_ints_of(rank, shape) }); }
static inline dr_tensor *dr_permute(dr_tensor *x, int rank, const int64_t *dims) { return dr_apply1("permute", &x, 1, &(dr_permute_attr){ dr_ints_of(rank, dims) }); }
static inline dr_tensor *dr_slice(dr_tensor *x, int dim, int64_t start, int64_t length) { return dr_apply1("slice", &x, 1, &(dr_slice_attr){ dim, start, length, 1 }); }
static inline dr_tensor *dr_expand(dr_tensor *x, int rank, const int64_t *shape) { return dr_apply1("expand", &x, 1, &(dr_expand_attr){ dr_ints_of(rank, shape) }); }

/* ---- joining and padding --------------------------------------------------------------------------------------------- */
typedef struct dr_concat_attr { int64_t dim; } dr_concat_attr;
typedef struct dr_pad_attr { int64_t mode; dr_ints pads; double value; } dr_pad_attr; /* enum constant|reflect|replicate; pads: before,after of the
                                                                                          last axis, then of the one before it, ... */
typedef dr_pad_attr dr_pad_backward_attr;
typedef struct dr_slice_backward_attr { int64_t dim, start, length, step, full; } dr_slice_backward_attr; /* dy into zeros of size full along dim; start, length >= 0 */
static inline dr_tensor *dr_concat(dr_tensor *const *x, int n, int dim) { return dr_apply1("concat", x, n, &(dr_concat_attr){ dim }); }
static inline dr_tensor *dr_pad(dr_tensor *x, int mode, int n, const int64_t *pads, double value) { return dr_apply1("pad", &x, 1, &(dr_pad_attr){ mode, dr_ints_of(n, pads), value }); }
enum { DR_PAD_CONSTANT = 0, DR_PAD_REFLECT, DR_PAD_REPLICATE };

/* ---- reductions: dims empty = all; keepdim leaves axes of size 1 ------------------------------------------------------ */
typedef struct dr_reduce_attr { dr_ints dims; _Bool keepdim; } dr_reduce_attr;
typedef dr_reduce_attr dr_sum_attr, dr_mean_attr, dr_amax_attr;
typedef struct dr_sum_to_attr { dr_ints shape; } dr_sum_to_attr;       /* undoes broadcasting: sums x to `shape` */
typedef struct dr_argmax_attr { int64_t dim; } dr_argmax_attr;         /* i32, the axis removed */
typedef struct dr_quantile_attr { double q; } dr_quantile_attr;        /* [B,...] -> [B], linear interpolation */
static inline dr_tensor *dr_sum(dr_tensor *x, int n, const int64_t *dims, _Bool keepdim) { return dr_apply1("sum", &x, 1, &(dr_sum_attr){ dr_ints_of(n, dims), keepdim }); }
static inline dr_tensor *dr_mean(dr_tensor *x, int n, const int64_t *dims, _Bool keepdim) { return dr_apply1("mean", &x, 1, &(dr_mean_attr){ dr_ints_of(n, dims), keepdim }); }
static inline dr_tensor *dr_amax(dr_tensor *x, int n, const int64_t *dims, _Bool keepdim) { return dr_apply1("amax", &x, 1, &(dr_amax_attr){ dr_ints_of(n, dims), keepdim }); }
static inline dr_tensor *dr_sum_to(dr_tensor *x, int rank, const int64_t *shape) { return dr_apply1("sum_to", &x, 1, &(dr_sum_to_attr){ dr_ints_of(rank, shape) }); }
static inline dr_tensor *dr_argmax(dr_tensor *x, int dim) { return dr_apply1("argmax", &x, 1, &(dr_argmax_attr){ dim }); }
static inline dr_tensor *dr_quantile(dr_tensor *x, double q) { return dr_apply1("quantile", &x, 1, &(dr_quantile_attr){ q }); }

/* ---- convolution: x [B,Ci,H,W], weight [Co,Ci,k,k] (transposed: [Ci,Co,k,k]), bias [Co] or NULL ----------------------- */
typedef struct dr_conv2d_attr { int64_t stride, padding; } dr_conv2d_attr;
typedef dr_conv2d_attr dr_conv_transpose2d_attr;
typedef struct dr_conv2d_backward_data_attr { int64_t stride, padding, height, width; } dr_conv2d_backward_data_attr; /* dy, weight -> dx [B,Ci,height,width] */
typedef struct dr_conv2d_backward_weight_attr { int64_t stride, padding, kernel, bias; } dr_conv2d_backward_weight_attr; /* x, dy -> dw [Co,Ci,k,k], db [Co] ([0] where bias is 0) */
static inline dr_tensor *dr_conv2d(dr_tensor *x, dr_tensor *weight, dr_tensor *bias, int64_t stride, int64_t padding)
{
    return dr_apply1("conv2d", (dr_tensor *[]){ x, weight, bias }, 3, &(dr_conv2d_attr){ stride, padding });
}
static inline dr_tensor *dr_conv_transpose2d(dr_tensor *x, dr_tensor *weight, dr_tensor *bias, int64_t stride, int64_t padding)
{
    return dr_apply1("conv_transpose2d", (dr_tensor *[]){ x, weight, bias }, 3, &(dr_conv_transpose2d_attr){ stride, padding });
}
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
static inline dr_tensor *dr_matmul(dr_tensor *a, dr_tensor *b, _Bool transpose_a, _Bool transpose_b)
{
    return dr_apply1("matmul", (dr_tensor *[]){ a, b }, 2, &(dr_matmul_attr){ transpose_a, transpose_b, 0 });
}
static inline dr_tensor *dr_linear(dr_tensor *x, dr_tensor *weight, dr_tensor *bias)
{
    return dr_apply1("linear", (dr_tensor *[]){ x, weight, bias }, 3, &(dr_linear_attr){ 0 });
}

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
static inline dr_tensor *dr_film(dr_tensor *h, dr_tensor *scale, dr_tensor *shift)
{
    return dr_apply1("film", (dr_tensor *[]){ h, scale, shift }, 3, &(dr_none_attr){ 0 });
}
static inline dr_tensor *dr_group_norm(dr_tensor *x, dr_tensor *gamma, dr_tensor *beta, int64_t groups, double eps, int act)
{
    return dr_apply1("group_norm_act", (dr_tensor *[]){ x, gamma, beta }, 3, &(dr_group_norm_act_attr){ groups, eps, act });
}
/* The largest divisor of channels up to most that leaves 4 channels or more to a group: in a group of one channel a
 * normalisation would take away what an embedding added to it. */
static inline int64_t dr_group_count(int64_t channels, int64_t most)
{
    int64_t groups = channels / 4 < most ? channels / 4 : most;
    while (groups > 1 && channels % groups != 0) groups--;
    return groups > 1 ? groups : 1;
}
static inline dr_tensor *dr_layer_norm(dr_tensor *x, dr_tensor *gamma, dr_tensor *beta, double eps)
{
    return dr_apply1("layer_norm", (dr_tensor *[]){ x, gamma, beta }, 3, &(dr_layer_norm_attr){ eps });
}
static inline dr_tensor *dr_rms_norm(dr_tensor *x, dr_tensor *weight, double eps)
{
    return dr_apply1("rms_norm", (dr_tensor *[]){ x, weight }, 2, &(dr_rms_norm_attr){ eps });
}

/* ---- softmax, attention ------------------------------------------------------------------------------------------------- */
typedef struct dr_softmax_attr { int64_t dim; } dr_softmax_attr; /* any axis: x row-major is [outer, n, inner] around it */
typedef dr_softmax_attr dr_softmax_backward_attr;                /* y, dy -> dx */
typedef struct dr_attention_attr { double scale; } dr_attention_attr; /* 0: 1/sqrt(D) */
static inline dr_tensor *dr_softmax(dr_tensor *x, int dim) { return dr_apply1("softmax", &x, 1, &(dr_softmax_attr){ dim }); }
/* q [B,H,L,D], k v [B,H,S,D], mask added to the scores, broadcastable to [B,H,L,S], or NULL -> [B,H,L,D] */
static inline dr_tensor *dr_attention(dr_tensor *q, dr_tensor *k, dr_tensor *v, dr_tensor *mask, double scale)
{
    return dr_apply1("attention", (dr_tensor *[]){ q, k, v, mask }, 4, &(dr_attention_attr){ scale });
}

/* ---- pooling, resizing, filtering ------------------------------------------------------------------------------------------ */
typedef struct dr_pool_attr { int64_t kernel, stride; } dr_pool_attr; /* stride 0: the kernel's size */
typedef dr_pool_attr dr_avg_pool2d_attr, dr_max_pool2d_attr;
typedef struct dr_pool_backward_attr { int64_t kernel, stride, height, width; } dr_pool_backward_attr;
typedef dr_pool_backward_attr dr_avg_pool2d_backward_attr, dr_max_pool2d_backward_attr; /* dy -> dx; (x, dy) -> dx for max: the first maximum takes it */
typedef struct dr_resize_attr { int64_t mode, height, width; _Bool align_corners; } dr_resize_attr; /* enum nearest|bilinear|bicubic */
typedef dr_resize_attr dr_resize_backward_attr; /* dy -> dx of size height, width */
typedef struct dr_gaussian_blur_attr { int64_t kernel_size; double sigma; } dr_gaussian_blur_attr; /* reflect padding; composed */
enum { DR_RESIZE_NEAREST = 0, DR_RESIZE_BILINEAR, DR_RESIZE_BICUBIC };
static inline dr_tensor *dr_avg_pool2d(dr_tensor *x, int64_t kernel, int64_t stride) { return dr_apply1("avg_pool2d", &x, 1, &(dr_avg_pool2d_attr){ kernel, stride }); }
static inline dr_tensor *dr_max_pool2d(dr_tensor *x, int64_t kernel, int64_t stride) { return dr_apply1("max_pool2d", &x, 1, &(dr_max_pool2d_attr){ kernel, stride }); }
static inline dr_tensor *dr_resize(dr_tensor *x, int mode, int64_t height, int64_t width, _Bool align_corners)
{
    return dr_apply1("resize", &x, 1, &(dr_resize_attr){ mode, height, width, align_corners });
}
static inline dr_tensor *dr_gaussian_blur(dr_tensor *x, int64_t kernel_size, double sigma) { return dr_apply1("gaussian_blur", &x, 1, &(dr_gaussian_blur_attr){ kernel_size, sigma }); }

/* ---- indices -------------------------------------------------------------------------------------------------------------------- */
typedef dr_none_attr dr_embedding_attr;                                              /* weight [N,D], ids i32 [..] -> [..,D]; an id outside 0..N-1 is refused by the kernel */
typedef struct dr_embedding_backward_attr { int64_t rows; } dr_embedding_backward_attr; /* dy, ids -> [rows,D], repeated ids add up */
typedef struct dr_one_hot_attr { int64_t classes; } dr_one_hot_attr;                 /* ids i32 [..] -> f32 [..,classes]; an id outside is refused as well */
typedef struct dr_timestep_embedding_attr { int64_t dim; double max_period, shift; _Bool flip; } dr_timestep_embedding_attr; /* t f32 [B] -> [B,dim]; composed */
static inline dr_tensor *dr_embed(dr_tensor *weight, dr_tensor *ids) { return dr_apply1("embedding", (dr_tensor *[]){ weight, ids }, 2, &(dr_embedding_attr){ 0 }); }
static inline dr_tensor *dr_one_hot(dr_tensor *ids, int64_t classes) { return dr_apply1("one_hot", &ids, 1, &(dr_one_hot_attr){ classes }); }

/* ---- random tensors: the device's kernel writes the same integers everywhere ------------------------------------------------------ */
typedef struct dr_random_attr { int64_t dtype; dr_ints shape; int64_t seed, purpose, step, sample; } dr_random_attr;
typedef dr_random_attr dr_rand_uniform_attr, dr_rand_normal_attr; /* [0,1) from 24 bits; Box-Muller on pairs of 32-bit words */
typedef struct dr_dropout_attr { double p; int64_t seed, purpose, step, sample; } dr_dropout_attr; /* x -> y; composed */
static inline dr_random_attr dr_random_attr_of(dr_dtype dtype, int rank, const int64_t *shape, const dr_rng *rng)
{
    return (dr_random_attr){ dtype, dr_ints_of(rank, shape), (int64_t)rng->seed, rng->purpose, rng->step, (int64_t)rng->sample };
}
static inline dr_tensor *dr_rand_normal(dr_dtype dtype, int rank, const int64_t *shape, const dr_rng *rng)
{
    dr_random_attr attr = dr_random_attr_of(dtype, rank, shape, rng);
    return dr_apply1("rand_normal", NULL, 0, &attr);
}
static inline dr_tensor *dr_rand_uniform(dr_dtype dtype, int rank, const int64_t *shape, const dr_rng *rng)
{
    dr_random_attr attr = dr_random_attr_of(dtype, rank, shape, rng);
    return dr_apply1("rand_uniform", NULL, 0, &attr);
}

/* ---- losses ------------------------------------------------------------------------------------------------------------------------ */
enum { DR_REDUCE_MEAN = 0, DR_REDUCE_SUM };
typedef struct dr_mse_attr { int64_t reduction; } dr_mse_attr;            /* pred, target of one shape, row weight [B] or NULL -> scalar; enum mean|sum */
typedef dr_mse_attr dr_mse_backward_attr;                                 /* pred, target, dloss [], weight or NULL -> dpred */
typedef dr_none_attr dr_cross_entropy_attr;                               /* logits [B,K], label i32 [B] -> mean loss [], log-probabilities [B,K] */
typedef dr_none_attr dr_cross_entropy_backward_attr;                      /* log-probabilities, label, dloss -> dlogits */
static inline dr_tensor *dr_mse(dr_tensor *pred, dr_tensor *target, dr_tensor *weight, int reduction)
{
    return dr_apply1("mse", (dr_tensor *[]){ pred, target, weight }, 3, &(dr_mse_attr){ reduction });
}
static inline dr_tensor *dr_cross_entropy(dr_tensor *logits, dr_tensor *label)
{
    return dr_apply1("cross_entropy", (dr_tensor *[]){ logits, label }, 2, &(dr_cross_entropy_attr){ 0 });
}

/* ---- optimizer steps, all weights in one launch; in place; in[0] holds what changes from step to step. The kernel is chosen by the
 * dtype of in[1], since in[0] is f64 --------------------------------------------------------------------------------------------------- */
typedef struct dr_adam_step_attr { double beta1, beta2, eps, weight_decay; _Bool decoupled; int64_t averages; } dr_adam_step_attr; /* in[0]
    f64 [2 + averages] = lr, step, decays; then param, grad, exp_avg, exp_avg_sq and the averages of each weight, moved after it as by ema_step */
typedef struct dr_sgd_step_attr { double momentum, weight_decay; _Bool nesterov; } dr_sgd_step_attr; /* in[0] f64 [2] = lr, step; param, grad, momentum_buffer */
typedef dr_none_attr dr_ema_step_attr;  /* in[0] f64 [] = decay; average, param of each weight: average = decay average + (1-decay) param */
typedef dr_none_attr dr_square_norm_attr;                            /* tensors -> f64 [], sum of all squares */
typedef struct dr_clip_step_attr { double max_norm; } dr_clip_step_attr; /* in[0] f64 [] = squared norm; gradients times min(1, max_norm/(norm+1e-6)) */

#endif
