/* ops_shape.h: the shape rules that ops share, and the short forms that their compositions and gradients are written
 * in. An op's infer() names its inputs once, "x,weight,bias", and every refusal shows those with dtype and shape:
 *   conv2d: weight expects 64 input channels, got 65 (x f32[16,65,14,14], weight f32[64,64,3,3]) */
#ifndef DRIFT_OPS_SHAPE_H
#define DRIFT_OPS_SHAPE_H

#include "drift.h"

/* What infer() knows of the call. */
typedef struct dr_infer {
    const char *op;    /* "conv2d" */
    const char *names; /* of the inputs: "x,weight,bias"; those past the last name carry the last one's */
    const dr_view *in;
    int n_in;
} dr_infer;

/* dr_fail(DR_ESHAPE, "OP: message (x f32[..], weight f32[..])"); returns the code. */
__attribute__((format(printf, 2, 3))) dr_status dr_refuse(const dr_infer *c, const char *format, ...);

bool dr_given(const dr_view *in, int n_in, int i); /* input i is there (optional ones may not be) */
bool dr_is_float(int32_t dtype);
dr_dtype dr_stat_dtype(int32_t dtype);             /* of statistics and losses: f64 stays, all else is f32 */
bool dr_is_half(int32_t dtype);                    /* bf16 or f16 */
dr_status dr_need_floats(const dr_infer *c);       /* all given inputs are floating and of the first one's dtype */
dr_status dr_need_weights(const dr_infer *c);      /* the same, but inputs beside a half first one may be f32 */
dr_status dr_need_any_weight(const dr_infer *c);   /* the same, but input 1 may be f32, f16 or bf16 beside any but f64 */
dr_status dr_need_mixable(const dr_infer *c, int32_t *dtype); /* the same, but any may be f32: dtype is the half one */
dr_status dr_need_float(const dr_infer *c, int i); /* input i is floating */
dr_status dr_need_dtype(const dr_infer *c, int i, dr_dtype dtype);
dr_status dr_need_rank(const dr_infer *c, int i, int rank);
dr_status dr_need_shape(const dr_infer *c, int i, int rank, const int64_t *shape);
dr_status dr_need_same_shape(const dr_infer *c, int i, int j);
dr_status dr_need_axis(const dr_infer *c, int64_t dim, int *axis); /* of input 0; negative ones count from the end */

bool dr_same_shape(const dr_view *a, const dr_view *b);
void dr_shape_of(dr_view *out, int32_t dtype, int rank, const int64_t *shape);
void dr_shape_like(dr_view *out, const dr_view *v);      /* dtype and shape, not strides */
dr_status dr_broadcast(const dr_infer *c, dr_view *out); /* NumPy's rule over all inputs; dtype of the first */

/* The plain rules, for floating inputs: all of one shape, which the output has; or broadcast to it, where half inputs
 * stand beside those in f32 as dr_need_mixable says. */
dr_status dr_infer_same(const char *op, const char *names, const dr_view *in, int n_in, dr_view *out);
dr_status dr_infer_broadcast(const char *op, const char *names, const dr_view *in, int n_in, dr_view *out);

/* ---- short forms for composed forms and gradients ---- */
dr_tensor *dr_scalar_like(dr_tensor *x, double value);  /* [] of x's dtype */
dr_tensor *dr_sum_like(dr_tensor *x, const dr_view *v); /* undoes broadcasting, in v's dtype; x itself where it fits */
dr_tensor *dr_reshape_like(dr_tensor *x, const dr_view *v);
dr_tensor *dr_per_channel(dr_tensor *v, int rank);                         /* [C] -> [1,C,1,..] of that rank */
dr_tensor *dr_weight_beside(dr_tensor *w, int32_t dtype);              /* w, or w in f32 where dr_need_weights asks for it */
dr_tensor *dr_to_dtype(dr_tensor *x, int32_t dtype);                       /* x itself where it is of that dtype */
dr_tensor *dr_activate(dr_tensor *x, int64_t act);                         /* DR_ACT_... */
dr_tensor *dr_activate_backward(dr_tensor *x, dr_tensor *dy, int64_t act); /* x: the input of the activation */

/* One output, as compose() and backward() return it: the pending error, or DR_OK. */
static inline dr_status dr_yield(dr_tensor **out, dr_tensor *t)
{
    *out = t;
    return t ? DR_OK : dr_failed();
}

#endif
