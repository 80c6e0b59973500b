/* ops_copy.c: copy (to another memory order), cast (to another dtype), fill and assign (in place). */
#include "ops_shape.h"

#include <math.h>

/* ---- copy ---- */
static const dr_param copy_params[] = {
    DR_ENUM(dr_copy_attr, layout, 0, "row|channels_last", "memory order of the copy"),
    DR_END,
};

static dr_status copy_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const int64_t layout = ((const dr_copy_attr *)attr)->layout;
    (void)n_in, (void)offset;
    if (layout != DR_LAYOUT_ROW && layout != DR_LAYOUT_CL)
        return dr_fail(DR_EINVAL, "copy: no layout %lld", (long long)layout);
    dr_shape_like(out, in);
    dr_view_lay(out, (dr_layout)layout);
    return DR_OK;
}

static dr_status copy_backward(const dr_backward_args *b) { return dr_yield(&b->din[0], b->dout[0]); }

DR_OP_COMPONENT(copy, "copy(x): dense, in the memory order asked for", copy_params, .n_in = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_ANY }, .out_layout = { DR_LAYOUT_INFER }, .infer = copy_infer,
                .backward = copy_backward)

/* ---- cast ---- */
static const dr_param cast_params[] = {
    DR_ENUM(dr_cast_attr, dtype, DR_F32, "f32|f64|bf16|f16|i32|i64|u8|bool", "the new type"),
    DR_END,
};

static dr_status cast_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const int64_t dtype = ((const dr_cast_attr *)attr)->dtype;
    (void)n_in, (void)offset;
    if (dtype < 0 || dtype >= DR_DTYPE_COUNT) return dr_fail(DR_EINVAL, "cast: no dtype %lld", (long long)dtype);
    dr_shape_like(out, in);
    out->dtype = (int32_t)dtype;
    return DR_OK;
}

/* Between floating types the gradient passes, in the input's type; through integers there is none. */
static dr_status cast_backward(const dr_backward_args *b)
{
    if (!dr_is_float(b->out_view[0].dtype) || !dr_is_float(b->in_view[0].dtype)) return DR_OK;
    return dr_yield(&b->din[0], dr_to_dtype(b->dout[0], b->in_view[0].dtype));
}

DR_OP_COMPONENT(cast, "cast(x): the same numbers in another dtype", cast_params, .n_in = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_DENSE }, .out_layout = { DR_LAYOUT_DENSE }, .infer = cast_infer,
                .backward = cast_backward)

/* ---- fill ---- */
static const dr_param fill_params[] = {
    DR_REAL(dr_fill_attr, value, 0.0, -INFINITY, INFINITY, "every element becomes this"),
    DR_END,
};

static dr_status fill_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)in, (void)n_in, (void)attr, (void)out, (void)offset;
    return DR_OK;
}

DR_OP_COMPONENT(fill, "fill(x): in place", fill_params, .flags = DR_OP_MUTATES | DR_OP_NONDIFF, .n_in = 1,
                .in_layout = { DR_LAYOUT_ANY }, .infer = fill_infer)

/* ---- assign ---- */
static dr_status assign_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "assign", "to,from", in, n_in };
    (void)attr, (void)out, (void)offset;
    dr_view both;
    if (dr_broadcast(&c, &both) != DR_OK) return DR_ESHAPE;
    return dr_same_shape(&both, &in[0]) ? DR_OK : dr_refuse(&c, "from does not broadcast to the shape of to");
}

DR_OP_COMPONENT(assign, "assign(to, from): in place; broadcasts and converts", NULL,
                .flags = DR_OP_MUTATES | DR_OP_NONDIFF, .n_in = 2, .in_layout = { DR_LAYOUT_ANY, DR_LAYOUT_ANY },
                .infer = assign_infer)
