/* cast_copy.c: cast (to another dtype), copy (to another memory order), fill and assign (in place). */
#include "element.h"
#include <string.h>

/* Of one dtype the bits are moved, so that an i64 keeps all of its digits. Both have the same shape. */
static void convert(const dr_view *from, const dr_view *to)
{
    static const size_t sizes[DR_DTYPE_COUNT] = {
        [DR_F32] = 4, [DR_F64] = 8, [DR_BF16] = 2, [DR_F16] = 2, [DR_I32] = 4, [DR_I64] = 8, [DR_U8] = 1, [DR_BOOL] = 1
    };
    const int64_t n = dr_numel(to), size = (int64_t)sizes[to->dtype];
    if (from->dtype != to->dtype) {
        for (int64_t i = 0; i < n; i++) dr_ref_store(to, i, dr_ref_load(from, i));
        return;
    }
    int64_t from_index[DR_MAX_RANK] = { 0 }, to_index[DR_MAX_RANK] = { 0 }, from_place = 0, to_place = 0;
    for (int64_t i = 0; i < n; i++) {
        memmove((char *)to->data + to_place * size, (const char *)from->data + from_place * size, (size_t)size);
        from_place = dr_ref_next(from, from_index, from_place);
        to_place = dr_ref_next(to, to_index, to_place);
    }
}

/* x -> y of another dtype */
static void cast_ref(const dr_kargs *a) { convert(&a->in[0], &a->out[0]); }

/* x -> y of another layout */
static void copy_ref(const dr_kargs *a) { convert(&a->in[0], &a->out[0]); }

static void fill_ref(const dr_kargs *a) /* x, in place */
{
    const double value = ((const dr_fill_attr *)a->attr)->value;
    for (int64_t i = 0; i < dr_numel(&a->in[0]); i++) dr_ref_store(&a->in[0], i, value);
}

static void assign_ref(const dr_kargs *a) /* to, from: to = from, broadcast and converted */
{
    const dr_view from = dr_ref_expand(&a->in[1], &a->in[0]);
    convert(&from, &a->in[0]);
}

DR_KERNEL(cast, DR_ANY_DTYPE, cast_ref)
DR_KERNEL(copy, DR_ANY_DTYPE, copy_ref)
DR_KERNEL(fill, DR_ANY_DTYPE, fill_ref)
DR_KERNEL(assign, DR_ANY_DTYPE, assign_ref)
