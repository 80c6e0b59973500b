/* one_hot.c: y[.., c] = 1 where c is the id, else 0. */
#include "element.h"

static void one_hot_ref(const dr_kargs *a) /* ids i32 [..] -> y f32 [..,classes] */
{
    const int64_t classes = ((const dr_one_hot_attr *)a->attr)->classes, n = dr_numel(&a->in[0]);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t i = 0; i < n; i++) {
        double id = m.in[0][i];
        if (id < 0 || id >= (double)classes) {
            dr_fail(DR_EINVAL, "one_hot: id %.0f at position %lld is outside [0, %lld]", id, (long long)i,
                    (long long)classes - 1);
            break;
        }
        m.out[0][i * classes + (int64_t)id] = 1;
    }
    dr_ref_close(&m);
}

DR_KERNEL(one_hot, DR_ANY_DTYPE, one_hot_ref)
