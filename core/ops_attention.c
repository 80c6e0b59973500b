/* ops_attention.c: softmax(q k^T scale + mask) v.                                              Vaswani et al. 2017
 * q [B,H,L,D], k and v [B,H,S,D], mask broadcastable to [B,H,L,S] or NULL -> [B,H,L,D].
 * Its gradient is that of its parts. */
#include "ops_shape.h"

#include <math.h>

static const dr_param params[] = {
    DR_REAL(dr_attention_attr, scale, 0.0, 0, INFINITY, "of the scores; 0: 1/sqrt(D)"),
    DR_END,
};

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "attention", "q,k,v,mask", in, n_in };
    (void)attr, (void)offset;
    int32_t dtype;
    if (dr_need_mixable(&c, &dtype) != DR_OK) return DR_ESHAPE;
    for (int i = 0; i < 3; i++) {
        if (dr_need_rank(&c, i, 4) != DR_OK) return DR_ESHAPE;
    }
    const int64_t *q = in[0].shape, *k = in[1].shape;
    if (dr_need_same_shape(&c, 1, 2) != DR_OK) return DR_ESHAPE;
    if (q[0] != k[0] || q[1] != k[1] || q[3] != k[3]) return dr_refuse(&c, "q and k must agree but for axis 2");
    if (k[2] < 1 || q[3] < 1) return dr_refuse(&c, "there is nothing to attend to");
    if (dr_given(in, n_in, 3)) {
        const int64_t scores[] = { q[0], q[1], q[2], k[2] };
        const dr_view *mask = &in[3];
        bool fits = mask->rank <= 4;
        for (int i = 1; fits && i <= mask->rank; i++)
            fits = mask->shape[mask->rank - i] == 1 || mask->shape[mask->rank - i] == scores[4 - i];
        if (!fits) {
            return dr_refuse(&c, "mask does not broadcast to the scores [%lld,%lld,%lld,%lld]", (long long)q[0],
                             (long long)q[1], (long long)q[2], (long long)k[2]);
        }
    }
    dr_shape_of(out, dtype, 4, q);
    return DR_OK;
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in;
    const dr_view *q = dr_tensor_view(in[0]);
    double scale = ((const dr_attention_attr *)attr)->scale;
    if (scale == 0.0) scale = 1.0 / sqrt((double)q->shape[3]);
    dr_tensor *scores = dr_matmul(dr_scale(scale, in[0]), in[1], false, true); /* [B,H,L,S] */
    if (in[3]) scores = dr_add(scores, in[3]);
    return dr_yield(out, dr_matmul(dr_softmax(scores, -1), in[2], false, false));
}

DR_OP_COMPONENT(attention, "attention(q, k, v, mask): softmax(q k^T scale + mask) v; mask may be nil", params,
                .n_in = 4, .n_optional = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_ANY, DR_LAYOUT_ANY, DR_LAYOUT_ANY, DR_LAYOUT_ANY },
                .out_layout = { DR_LAYOUT_DENSE }, .infer = infer, .compose = compose)
