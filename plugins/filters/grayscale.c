/* grayscale.c: every channel becomes the mean over channels. What it leaves out is the color alone.
 *   y[c] = 1/C sum over k of x[k]                                            Geng et al. 2024, color hybrids */
#include <drift/plugin.h>

typedef struct {
    int64_t unused;
} grayscale;

static dr_tensor *apply(void *self, dr_tensor *x)
{
    const dr_view *v = dr_tensor_view(x);
    (void)self;
    if (v && v->rank != 4)
        dr_fail(DR_ESHAPE, "filter grayscale: takes images [B,C,H,W], got a tensor of rank %d", v->rank);
    if (!v || v->rank != 4) return NULL;
    dr_tensor *gray = dr_mean(x, 1, (int64_t[]){ 1 }, 1); /* [B,1,H,W] */
    return dr_expand(gray, v->rank, v->shape);
}

DR_FILTER(grayscale, "The mean over channels, in every channel", NULL, .apply = apply,
          .flags = DR_FILTER_KEEPS_CONSTANTS)
