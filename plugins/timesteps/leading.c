/* leading.c: every k-th step of a chain, counted from the data.     Lin et al. 2024, table 2 ("leading")
 *   t_i = 1 + offset + k (n-1-i),  i = 0..n-1;  t_n = 0;   k = floor(T/n), or the stride that is given
 * DDIM's and diffusers' first choice. It begins below t = T, so the model is never asked at pure noise. In diffusers' count,
 * which begins at 0, these are the indices k (n-1), ..., k, 0: with stride 30 and n = 34 those of CS180, 990, 960, ..., 0. */
#include "whole_steps.h"

typedef struct { int64_t offset, stride; } leading;

static const dr_param params[] = {
    DR_INT(leading, offset, 0, 0, 1000000, "added to every t but the last (steps_offset of diffusers' configurations)"),
    DR_INT(leading, stride, 0, 0, 1000000, "steps of the chain from one t to the next; 0: floor(T/n)"),
    DR_END
};

static dr_status lay(void *self, dr_model *f, int64_t n, double *t)
{
    const leading *p = self;
    const int64_t T = whole_steps("leading", f, n);
    if (T == 0) return dr_failed();
    const int64_t stride = p->stride > 0 ? p->stride : T / n;
    for (int64_t i = 0; i < n; i++) t[i] = (double)(1 + p->offset + stride * (n - 1 - i));
    t[n] = 0.0;
    if (t[0] <= (double)T) return DR_OK;
    return dr_fail(DR_EINVAL, "timesteps leading: offset = %lld and stride = %lld begin at t = %g, past the chain's T = %lld",
                   (long long)p->offset, (long long)stride, t[0], (long long)T);
}

DR_TIMESTEPS(leading, "Every k-th step of a chain, from its first", params, .lay = lay)
