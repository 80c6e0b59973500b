/* activation.h: an activation by its number DR_ACT_..., for blocks that have it as a parameter. Norms have theirs
 * inside (dr_group_norm); this is for what follows a linear layer, or a vector. */
#ifndef BLOCKS_ACTIVATION_H
#define BLOCKS_ACTIVATION_H

#include <drift/plugin.h>

static inline dr_tensor *activation(dr_tensor *x, int64_t act)
{
    switch (act) {
    case DR_ACT_RELU: return dr_relu(x);
    case DR_ACT_GELU: return dr_gelu(x, 0);
    case DR_ACT_GELU_TANH: return dr_gelu(x, 1);
    case DR_ACT_SILU: return dr_silu(x);
    default: return x;
    }
}

/* x in f32 where it is of half precision: vectors of a batch are few numbers, and modulate many. */
static inline dr_tensor *not_half(dr_tensor *x)
{
    const dr_view *v = dr_tensor_view(x);
    return v && (v->dtype == DR_BF16 || v->dtype == DR_F16) ? dr_cast(x, DR_F32) : x;
}

#endif
