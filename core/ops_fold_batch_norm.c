/* ops_fold_batch_norm.c: a convolution followed by a normalisation with constant statistics is another convolution:
 *   gamma (conv(x, weight) + bias - mean)/sqrt(var + eps) + beta = conv(x, weight') + bias'
 *   s = gamma/sqrt(var + eps),  weight' = s weight,  bias' = s (bias - mean) + beta     s [Co], of each output channel
 * Jacob et al. 2018, section 3.2. weight [Co,Ci,k,k]; transposed: [Ci,Co,k,k]. */
#include "ops_shape.h"

#include <math.h>

static const dr_param params[] = {
    DR_REAL(dr_fold_batch_norm_attr, eps, 1e-5, 0, INFINITY, "added to the variance"),
    DR_BOOL(dr_fold_batch_norm_attr, transposed, 0, "output channels are the weight's second axis"),
    DR_END,
};

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "fold_batch_norm", "weight,gamma,beta,running_mean,running_var,bias", in, n_in };
    const dr_fold_batch_norm_attr *a = attr;
    (void)offset;
    if (dr_need_floats(&c) != DR_OK || dr_need_rank(&c, 0, 4) != DR_OK) return DR_ESHAPE;
    const int64_t *channels = &in[0].shape[a->transposed ? 1 : 0];
    for (int i = 1; i < n_in; i++) {
        if (dr_given(in, n_in, i) && dr_need_shape(&c, i, 1, channels) != DR_OK) return DR_ESHAPE;
    }
    dr_shape_like(&out[0], &in[0]);
    dr_shape_like(&out[1], &in[1]);
    return DR_OK;
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_fold_batch_norm_attr *a = attr;
    (void)n_in;
    dr_tensor *s = dr_mul(in[1], dr_rsqrt(dr_affine(1.0, in[4], a->eps))); /* [Co] */
    dr_tensor *centred = in[5] ? dr_sub(in[5], in[3]) : dr_scale(-1.0, in[3]);
    out[1] = dr_add(dr_mul(s, centred), in[2]);
    return dr_yield(&out[0], dr_mul(in[0], dr_reshape(s, 4, a->transposed ? (int64_t[]){ 1, -1, 1, 1 }
                                                                          : (int64_t[]){ -1, 1, 1, 1 })));
}

DR_OP_COMPONENT(fold_batch_norm,
                "fold_batch_norm(weight, gamma, beta, running_mean, running_var, bias or nil) -> weight', bias'",
                params, .n_in = 6, .n_optional = 1, .n_out = 2, .in_layout = { DR_LAYOUT_ROW },
                .out_layout = { DR_LAYOUT_ROW, DR_LAYOUT_ROW }, .infer = infer, .compose = compose)
