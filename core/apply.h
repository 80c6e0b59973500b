/* apply.h: one application of an op, between apply.c and apply_dtypes.c. Private to the core. */
#ifndef DRIFT_APPLY_H
#define DRIFT_APPLY_H

#include "tensor.h"

typedef struct op_call { /* one application of an op */
    const dr_component *component;
    const dr_op *op;
    const void *attr;
    int n_in;
    dr_tensor **in; /* in the kernel's layout; NULL where an optional one is absent */
    dr_view *view;  /* of in */
    dr_view out_view[DR_OP_MAX_OUT];
    dr_tensor *out[DR_OP_MAX_OUT];
    dr_device *device;
    dr_dtype dtype; /* decides the kernel */
    bool compose;   /* run the composed form even if there is a kernel */
} op_call;

/* apply_dtypes.c, in the order in which apply.c calls them; casts belong to the current scope */
dr_status dr_call_widen_frozen(op_call *c); /* before the op's infer sees the views */
dr_status dr_call_unify_dtypes(op_call *c);
dr_status dr_call_widen_weight(op_call *c);
void dr_call_choose_dtype(op_call *c);      /* sets c->dtype */
dr_status dr_call_widen_picked(op_call *c); /* of the result */

#endif
