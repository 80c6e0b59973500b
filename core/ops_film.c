/* ops_film.c: feature-wise linear modulation, y = scale h + shift, with a scale and a shift for each sample and
 * channel; either may be absent.     Perez et al. 2018
 * h is a map [B,C,H,W] with scale and shift [B,C,1,1], tokens [B,L,C] with [B,1,C], or [B,C] with [B,C]. Scale and shift
 * are of h's dtype or of its statistics'. */
#include "ops_shape.h"

/* scale or shift in[i] for h in[0] */
static dr_status check_vector(const dr_infer *c, int i)
{
    const dr_view *h = &c->in[0];
    if (!dr_given(c->in, c->n_in, i)) return DR_OK;
    int64_t shape[DR_MAX_RANK];
    for (int a = 0; a < h->rank; a++) {
        const bool kept = a == 0 || a == (h->rank == 3 ? 2 : 1);
        shape[a] = kept ? h->shape[a] : 1;
    }
    if (dr_need_shape(c, i, h->rank, shape) != DR_OK) return DR_ESHAPE;
    if (c->in[i].dtype == h->dtype) return DR_OK;
    return dr_need_dtype(c, i, dr_stat_dtype(h->dtype));
}

static dr_status check(const dr_infer *c)
{
    if (dr_need_float(c, 0) != DR_OK) return DR_ESHAPE;
    if (c->in[0].rank < 2 || c->in[0].rank > 4) return dr_refuse(c, "h must be [B,C,H,W], [B,L,C] or [B,C]");
    return DR_OK;
}

/* ---- film ---- */

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "film", "h,scale,shift", in, n_in };
    (void)attr, (void)offset;
    if (check(&c) != DR_OK || check_vector(&c, 1) != DR_OK || check_vector(&c, 2) != DR_OK) return DR_ESHAPE;
    dr_shape_like(out, in);
    return DR_OK;
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in, (void)attr;
    const int own = dr_tensor_view(in[0])->dtype, stat = (int)dr_stat_dtype(own);
    dr_tensor *y = dr_to_dtype(in[0], stat);
    if (in[1]) y = dr_mul(y, dr_to_dtype(in[1], stat));
    if (in[2]) y = dr_add(y, dr_to_dtype(in[2], stat));
    return dr_yield(out, dr_to_dtype(y, own));
}

/* Without a scale dh is dy itself. */
static dr_status backward(const dr_backward_args *b)
{
    dr_tensor *dy = b->dout[0], *grad[3] = { dy, NULL, NULL };
    if (b->in[1]) {
        dr_apply("film_backward", (dr_tensor *[]){ b->in[0], b->in[1], dy }, 3, b->attr, grad);
        if (b->need[1]) b->din[1] = dr_to_dtype(grad[1], b->in_view[1].dtype);
    } else if (b->need[2]) {
        const dr_view *v = &b->in_view[2];
        grad[2] = dr_to_dtype(dr_sum_to(dy, v->rank, v->shape), dr_stat_dtype(v->dtype));
    }
    if (b->need[0]) b->din[0] = grad[0];
    if (b->need[2]) b->din[2] = dr_to_dtype(grad[2], b->in_view[2].dtype);
    return dr_failed();
}

DR_OP_COMPONENT(film, "film(h, scale, shift) = scale h + shift, per sample and channel; either may be nil", NULL,
                .n_in = 3, .n_optional = 2, .n_out = 1, .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL },
                .infer = infer, .compose = compose, .backward = backward, .save_in = 1 | 2)

/* ---- its gradient: dh = scale dy, dscale = sum h dy, dshift = sum dy over what a sample's channel holds ---- */

static dr_status backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "film_backward", "h,scale,dy", in, n_in };
    (void)attr, (void)offset;
    if (check(&c) != DR_OK || check_vector(&c, 1) != DR_OK || dr_need_dtype(&c, 2, (dr_dtype)in->dtype) != DR_OK ||
        dr_need_same_shape(&c, 0, 2) != DR_OK)
        return DR_ESHAPE;
    dr_shape_like(&out[0], in);
    dr_shape_of(&out[1], dr_stat_dtype(in->dtype), in[1].rank, in[1].shape);
    out[2] = out[1];
    return DR_OK;
}

static dr_status backward_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in, (void)attr;
    const dr_view *v = dr_tensor_view(in[1]);
    const int own = dr_tensor_view(in[0])->dtype, stat = (int)dr_stat_dtype(own);
    dr_tensor *dy = dr_to_dtype(in[2], stat);
    out[1] = dr_sum_to(dr_mul(dr_to_dtype(in[0], stat), dy), v->rank, v->shape);
    out[2] = dr_sum_to(dy, v->rank, v->shape);
    return dr_yield(&out[0], dr_to_dtype(dr_mul(dy, dr_to_dtype(in[1], stat)), own));
}

DR_OP_COMPONENT(film_backward, "film_backward(h, scale, dy) -> dh, dscale, dshift", NULL, .flags = DR_OP_NONDIFF,
                .n_in = 3, .n_out = 3, .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_ROW, DR_LAYOUT_PIXELS },
                .out_layout = { DR_LAYOUT_CL }, .infer = backward_infer, .compose = backward_compose)
