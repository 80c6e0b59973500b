/* ops.h: the ops by their names, a typed call for each; attributes.h has their attributes, shapes and layouts. All go
 * through dr_apply, as a plugin's own ops do. Included by plugin.h. */
#ifndef DRIFT_OPS_H
#define DRIFT_OPS_H

#include <drift/attributes.h>

/* ---- elementwise: NumPy broadcasting; attributes are fields of one struct per op ---------------------------------- */

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

/* ---- dtype and memory ---------------------------------------------------------------------------------------------- */
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

/* ---- views: no memory moves ------------------------------------------------------------------------------------------ */
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
static inline dr_tensor *dr_concat(dr_tensor *const *x, int n, int dim) { return dr_apply1("concat", x, n, &(dr_concat_attr){ dim }); }
static inline dr_tensor *dr_pad(dr_tensor *x, int mode, int n, const int64_t *pads, double value) { return dr_apply1("pad", &x, 1, &(dr_pad_attr){ mode, dr_ints_of(n, pads), value }); }

/* ---- reductions: dims empty = all; keepdim leaves axes of size 1 ------------------------------------------------------ */
static inline dr_tensor *dr_sum(dr_tensor *x, int n, const int64_t *dims, _Bool keepdim) { return dr_apply1("sum", &x, 1, &(dr_sum_attr){ dr_ints_of(n, dims), keepdim }); }
static inline dr_tensor *dr_mean(dr_tensor *x, int n, const int64_t *dims, _Bool keepdim) { return dr_apply1("mean", &x, 1, &(dr_mean_attr){ dr_ints_of(n, dims), keepdim }); }
static inline dr_tensor *dr_amax(dr_tensor *x, int n, const int64_t *dims, _Bool keepdim) { return dr_apply1("amax", &x, 1, &(dr_amax_attr){ dr_ints_of(n, dims), keepdim }); }
static inline dr_tensor *dr_sum_to(dr_tensor *x, int rank, const int64_t *shape) { return dr_apply1("sum_to", &x, 1, &(dr_sum_to_attr){ dr_ints_of(rank, shape) }); }
static inline dr_tensor *dr_argmax(dr_tensor *x, int dim) { return dr_apply1("argmax", &x, 1, &(dr_argmax_attr){ dim }); }
static inline dr_tensor *dr_quantile(dr_tensor *x, double q) { return dr_apply1("quantile", &x, 1, &(dr_quantile_attr){ q }); }

/* ---- convolution: x [B,Ci,H,W], weight [Co,Ci,k,k] (transposed: [Ci,Co,k,k]), bias [Co] or NULL ----------------------- */
static inline dr_tensor *dr_conv2d(dr_tensor *x, dr_tensor *weight, dr_tensor *bias, int64_t stride, int64_t padding)
{
    return dr_apply1("conv2d", (dr_tensor *[]){ x, weight, bias }, 3, &(dr_conv2d_attr){ stride, padding });
}
static inline dr_tensor *dr_conv_transpose2d(dr_tensor *x, dr_tensor *weight, dr_tensor *bias, int64_t stride, int64_t padding)
{
    return dr_apply1("conv_transpose2d", (dr_tensor *[]){ x, weight, bias }, 3, &(dr_conv_transpose2d_attr){ stride, padding });
}

/* ---- products ---------------------------------------------------------------------------------------------------------- */
static inline dr_tensor *dr_matmul(dr_tensor *a, dr_tensor *b, _Bool transpose_a, _Bool transpose_b)
{
    return dr_apply1("matmul", (dr_tensor *[]){ a, b }, 2, &(dr_matmul_attr){ transpose_a, transpose_b, 0 });
}
static inline dr_tensor *dr_linear(dr_tensor *x, dr_tensor *weight, dr_tensor *bias)
{
    return dr_apply1("linear", (dr_tensor *[]){ x, weight, bias }, 3, &(dr_linear_attr){ 0 });
}

/* ---- normalisation, with the activation that follows it ------------------------------------------------------------------ */
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
static inline dr_tensor *dr_softmax(dr_tensor *x, int dim) { return dr_apply1("softmax", &x, 1, &(dr_softmax_attr){ dim }); }
/* q [B,H,L,D], k v [B,H,S,D], mask added to the scores, broadcastable to [B,H,L,S], or NULL -> [B,H,L,D] */
static inline dr_tensor *dr_attention(dr_tensor *q, dr_tensor *k, dr_tensor *v, dr_tensor *mask, double scale)
{
    return dr_apply1("attention", (dr_tensor *[]){ q, k, v, mask }, 4, &(dr_attention_attr){ scale });
}

/* ---- pooling, resizing, filtering ------------------------------------------------------------------------------------------ */
static inline dr_tensor *dr_avg_pool2d(dr_tensor *x, int64_t kernel, int64_t stride) { return dr_apply1("avg_pool2d", &x, 1, &(dr_avg_pool2d_attr){ kernel, stride }); }
static inline dr_tensor *dr_max_pool2d(dr_tensor *x, int64_t kernel, int64_t stride) { return dr_apply1("max_pool2d", &x, 1, &(dr_max_pool2d_attr){ kernel, stride }); }
static inline dr_tensor *dr_resize(dr_tensor *x, int mode, int64_t height, int64_t width, _Bool align_corners)
{
    return dr_apply1("resize", &x, 1, &(dr_resize_attr){ mode, height, width, align_corners });
}
static inline dr_tensor *dr_gaussian_blur(dr_tensor *x, int64_t kernel_size, double sigma) { return dr_apply1("gaussian_blur", &x, 1, &(dr_gaussian_blur_attr){ kernel_size, sigma }); }

/* ---- indices -------------------------------------------------------------------------------------------------------------------- */
static inline dr_tensor *dr_embed(dr_tensor *weight, dr_tensor *ids) { return dr_apply1("embedding", (dr_tensor *[]){ weight, ids }, 2, &(dr_embedding_attr){ 0 }); }
static inline dr_tensor *dr_one_hot(dr_tensor *ids, int64_t classes) { return dr_apply1("one_hot", &ids, 1, &(dr_one_hot_attr){ classes }); }

/* ---- random tensors: the device's kernel writes the same integers everywhere ------------------------------------------------------ */
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
static inline dr_tensor *dr_mse(dr_tensor *pred, dr_tensor *target, dr_tensor *weight, int reduction)
{
    return dr_apply1("mse", (dr_tensor *[]){ pred, target, weight }, 3, &(dr_mse_attr){ reduction });
}
static inline dr_tensor *dr_cross_entropy(dr_tensor *logits, dr_tensor *label)
{
    return dr_apply1("cross_entropy", (dr_tensor *[]){ logits, label }, 2, &(dr_cross_entropy_attr){ 0 });
}

#endif
