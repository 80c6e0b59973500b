/* onednn.h: oneDNN primitives, made once for each (op, shapes) and then reused. A plan is a primitive together with the
 * memory it needs between: arguments whose best layout is not the caller's are reordered on the way in or out.
 *
 *     dr_onednn_plan *p = dr_onednn_find(o, &key);
 *     if (!p) p = dr_onednn_add(o, a, &key, primitive_desc, args, n);
 *     if (p) dr_onednn_run(o, a, p, (void *[]){ x, weight, bias, y }, DR_WEIGHT_CHANGES);
 */
#ifndef DRIFT_CPU_ONEDNN_H
#define DRIFT_CPU_ONEDNN_H

#include "cpu_backend.h"
#include <dnnl.h>
#include <stdbool.h>

enum { DR_ONEDNN_KEY = 20, DR_ONEDNN_ARGS = 4 };

typedef struct dr_onednn_key {
    int64_t v[DR_ONEDNN_KEY];
} dr_onednn_key; /* v[0]: a dr_onednn_kind; unused ones 0 */
typedef enum dr_onednn_kind {
    DR_ONEDNN_CONV = 1,
    DR_ONEDNN_CONV_BACKWARD_DATA,
    DR_ONEDNN_CONV_BACKWARD_WEIGHT,
    DR_ONEDNN_CONV_TRANSPOSE,
    DR_ONEDNN_MATMUL
} dr_onednn_kind;

typedef struct dr_onednn_arg {
    int name; /* DNNL_ARG_SRC, ... */
    bool output;
    dnnl_memory_desc_t plain; /* how the caller's memory lies; taken over by dr_onednn_add. NULL: no such argument */
    int32_t narrow; /* 0; DR_F16: the caller's numbers are f16, and plain says what they are made first, f32 or bf16;
                       DR_BF16: they are bf16, as plain says, and can be kept so for a primitive that wants f32 */
    int64_t count;  /* the caller's numbers, where narrow */
} dr_onednn_arg;

typedef enum dr_onednn_weight {  /* argument 1 of a run */
    DR_WEIGHT_CHANGES = 0,
    DR_WEIGHT_FROZEN, /* laid out at each call; a file's pages may go in between */
    DR_WEIGHT_KEPT    /* frozen, and kept as the primitive wants it */
} dr_onednn_weight;

typedef struct dr_onednn_plan dr_onednn_plan;

dr_onednn *dr_onednn_open(void); /* NULL after dr_fail */
void dr_onednn_close(dr_onednn *o);
dnnl_engine_t dr_onednn_engine(const dr_onednn *o);
const_dnnl_primitive_attr_t dr_onednn_attr(const dr_onednn *o); /* what primitive descriptors are to be made with */
const char *dr_onednn_version(void);

/* Records what oneDNN answered for a->op; DR_OK for success. */
dr_status dr_onednn_check(const dr_kargs *a, dnnl_status_t status, const char *what);

dr_onednn_plan *dr_onednn_find(const dr_onednn *o, const dr_onednn_key *key); /* NULL, no error: not made yet */
/* Takes over primitive_desc and the plain descriptors, also where it fails (NULL after dr_fail). */
dr_onednn_plan *dr_onednn_add(dr_onednn *o, const dr_kargs *a, const dr_onednn_key *key,
                              dnnl_primitive_desc_t primitive_desc, const dr_onednn_arg *args, int n);
dr_status dr_onednn_run(dr_onednn *o, const dr_kargs *a, dr_onednn_plan *plan, void *const *data,
                        dr_onednn_weight weight);
void dr_onednn_forget(dr_onednn *o, const void *memory, size_t bytes); /* what is kept of weights that lie there */

#endif
