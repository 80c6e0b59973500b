/* apply_dtypes.c: which dtype decides an op's kernel, and which inputs are cast for it. f32 beside half activations takes
 * their dtype where the op says so; a weight as its file has it, in f16 or bf16, counts as f32. */
#include "apply.h"
#include "ops_shape.h"

static bool is_float(int32_t dtype) { return dtype == DR_F32 || dtype == DR_F64 || dtype == DR_BF16 || dtype == DR_F16; }

void dr_call_choose_dtype(op_call *c)
{
    c->dtype = c->op->n_out > 0 ? (dr_dtype)c->out_view[0].dtype : DR_F32;
    if (c->n_in > 0 && c->in[0] && c->op->n_out == 0) c->dtype = (dr_dtype)c->view[0].dtype;
    /* input 0 of an optimizer step is its f64 scalars */
    const int first = (c->op->flags & DR_OP_MUTATES) && c->n_in > 1 ? 1 : 0;
    for (int k = 0; k < c->n_in; k++) {
        const int i = (k + first) % c->n_in;
        if (c->in[i] && is_float(c->view[i].dtype)) {
            c->dtype = (dr_dtype)c->view[i].dtype;
            return;
        }
    }
}

/* DR_OP_ONE_DTYPE: f32 inputs beside half ones take their dtype; what modulates an activation is small beside it. */
dr_status dr_call_unify_dtypes(op_call *c)
{
    dr_dtype half = DR_F32;
    for (int i = 0; i < c->n_in && half == DR_F32; i++) {
        if (c->in[i] && dr_is_half(c->view[i].dtype)) half = (dr_dtype)c->view[i].dtype;
    }
    for (int i = 0; i < c->n_in && half != DR_F32; i++) {
        if (!c->in[i] || c->view[i].dtype != DR_F32) continue;
        c->in[i] = dr_cast(c->in[i], half);
        if (!c->in[i]) return dr_failed();
        c->view[i] = c->in[i]->view;
    }
    return DR_OK;
}

/* DR_OP_ANY_WEIGHT, on a device whose kernels want the weight in f32 or as x. */
dr_status dr_call_widen_weight(op_call *c)
{
    const bool wide = c->view[1].dtype == DR_F32 || c->view[1].dtype == c->view[0].dtype;
    if (wide || (c->device->api->flags & DR_BACKEND_ANY_WEIGHT)) return DR_OK;
    c->in[1] = dr_cast(c->in[1], DR_F32);
    if (c->in[1]) c->view[1] = c->in[1]->view;
    return dr_failed();
}

static bool is_frozen_half(const op_call *c, int i)
{
    return c->in[i] && dr_is_half(c->view[i].dtype) && dr_tensor_is_frozen(c->in[i]);
}

static bool stands_beside_its_own(const op_call *c, int32_t dtype)
{
    for (int k = 0; k < c->n_in; k++) {
        if (c->in[k] && c->view[k].dtype == dtype && !dr_tensor_is_frozen(c->in[k])) return true;
    }
    return false;
}

/* A weight as its file has it, in f16 or bf16, counts as f32 where it meets others: it is widened, unless it stands
 * beside activations of its own dtype. Where an op only picks rows of it, those are: DR_OP_PICKS. */
dr_status dr_call_widen_frozen(op_call *c)
{
    if (c->n_in < 2 || (c->op->flags & (DR_OP_MUTATES | DR_OP_PICKS))) return DR_OK;
    for (int i = 0; i < c->n_in; i++) {
        if (!is_frozen_half(c, i) || stands_beside_its_own(c, c->view[i].dtype)) continue;
        if (i == 1 && (c->op->flags & DR_OP_ANY_WEIGHT)) continue; /* see dr_call_widen_weight */
        c->in[i] = dr_cast(c->in[i], DR_F32);
        if (!c->in[i]) return dr_failed();
        c->view[i] = c->in[i]->view;
    }
    return DR_OK;
}

dr_status dr_call_widen_picked(op_call *c)
{
    if (!(c->op->flags & DR_OP_PICKS) || !is_frozen_half(c, 0) || !c->out[0]) return dr_failed();
    c->out[0] = dr_cast(c->out[0], DR_F32);
    return dr_failed();
}
