/* one_hot.c: y[.., c] = 1 where c is the id, else 0. */
#include "cpu_backend.h"
#include <string.h>

static void one_hot_f32(const dr_kargs *a) /* ids i32 [..] -> y f32 [..,classes] */
{
    const int64_t classes = ((const dr_one_hot_attr *)a->attr)->classes, n = dr_numel(&a->in[0]);
    const int32_t *ids = dr_in(a, 0);
    float *y = dr_out(a, 0);
    if (n == 0) return;
    memset(y, 0, (size_t)(n * classes) * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= classes) {
            dr_fail(DR_EINVAL, "one_hot: id %d at position %lld is outside [0, %lld]", (int)ids[i], (long long)i,
                    (long long)classes - 1);
            return;
        }
        y[i * classes + ids[i]] = 1.0f;
    }
}

DR_KERNEL(one_hot, DR_F32, one_hot_f32)
