/* weight_pack.h: what is kept of a frozen weight (dr_kargs.frozen): its numbers in the layout that a oneDNN primitive
 * asked for, so that they are laid out once and not at each call. A weight has one such form: another layout is made at
 * each call, and takes the place of the one that is kept when it is asked for twice in a row. */
#ifndef DRIFT_CPU_WEIGHT_PACK_H
#define DRIFT_CPU_WEIGHT_PACK_H

#include "cpu_backend.h"
#include <dnnl.h>

typedef struct dr_weight_pack {
    struct dr_weight_pack *next;
    const void *weight;          /* where the weight itself lies */
    dnnl_memory_desc_t layout;
    int32_t dtype;               /* of data: the layout's, or narrower where the weight itself is */
    int64_t count;               /* numbers in it */
    void *data;
    int misses;                  /* another layout was asked for, so many times in a row */
} dr_weight_pack;

typedef struct dr_weight_packs dr_weight_packs;

dr_weight_packs *dr_weight_packs_new(void); /* NULL: no memory */
void dr_weight_packs_free(dr_weight_packs *all);
/* What is kept of the weight in this layout; NULL: nothing. *make: it is worth keeping. */
dr_weight_pack *dr_weight_pack_find(dr_weight_packs *all, const void *weight, const_dnnl_memory_desc_t layout,
                                    bool *make);
/* Memory for `count` numbers of `dtype`, in place of what was kept before. NULL: no memory, and nothing is kept. */
dr_weight_pack *dr_weight_pack_add(dr_weight_packs *all, const void *weight, const_dnnl_memory_desc_t layout,
                                   int32_t dtype, int64_t count);
void dr_weight_packs_forget(dr_weight_packs *all, const void *memory, size_t bytes); /* of weights that lie there */

__extension__ typedef _Float16 dr_f16;
static inline float dr_f16_value(const void *x, int64_t i) { return (float)((const dr_f16 *)x)[i]; }
static inline void dr_f16_store(void *y, int64_t i, float value) { ((dr_f16 *)y)[i] = (dr_f16)value; }

/* n numbers of f16 or bf16 -> f32, exactly; and back, where each is one of those. */
void dr_widen(int32_t dtype, const void *from, float *to, int64_t n);
void dr_f16_to_bf16(const void *from, void *to, int64_t n); /* rounded */
void dr_narrow(int32_t dtype, const float *from, void *to, int64_t n);

#endif
