/* conv2d_whole.c: where the kernel covers the whole image, each output pixel is one product of the image with the
 * weight:
 *   small [B,Co] = large [B,k k Ci] V^T,  large = small V,  dV = small^T large,  V [Co,k k Ci]
 * V is the weight with its channels moved last, as they lie in images. */
#include "conv2d_whole.h"
#include "matmul.h"

bool dr_conv2d_whole_suits(const conv_shape *s)
{
    return s->padding == 0 && s->k > 1 && s->H == s->k && s->W == s->k && s->Ho == 1 && s->Wo == 1;
}

/* n matrices [rows, columns] -> [columns, rows] */
static void transpose_each(const float *from, float *to, int64_t n, int64_t rows, int64_t columns)
{
#pragma omp parallel for schedule(static) if (n * rows * columns > DR_CPU_PARALLEL)
    for (int64_t i = 0; i < n; i++) {
        const float *restrict f = from + i * rows * columns;
        float *restrict t = to + i * rows * columns;
        for (int64_t c = 0; c < columns; c++)
            for (int64_t r = 0; r < rows; r++) t[c * rows + r] = f[r * columns + c];
    }
}

/* V in the workspace, followed by room for one row of it. NULL after dr_fail */
static float *channels_last(const dr_kargs *a, const conv_shape *s, const float *weight)
{
    const int64_t row = s->k * s->k * s->Ci;
    float *v = dr_cpu_workspace(a, (size_t)((s->Co + 1) * row) * sizeof(float));
    if (v && weight) transpose_each(weight, v, s->Co, s->Ci, s->k * s->k);
    return v;
}

void dr_conv2d_whole_gather(const dr_kargs *a, const conv_shape *s, float *large, const float *weight, float *bias,
                            float *small)
{
    float *v = channels_last(a, s, weight);
    const dr_product p = { .M = s->B, .N = s->Co, .K = s->k * s->k * s->Ci, .transpose_b = true };
    if (v) dr_multiply(a, &p, large, v, bias, small);
}

void dr_conv2d_whole_spread(const dr_kargs *a, const conv_shape *s, float *small, const float *weight,
                            const float *bias, float *large)
{
    const int64_t row = s->k * s->k * s->Ci;
    float *v = channels_last(a, s, weight);
    if (!v) return;
    float *bias_row = bias ? v + s->Co * row : NULL; /* the bias once for each pixel */
    for (int64_t i = 0; bias && i < row; i++) bias_row[i] = bias[i % s->Ci];
    const dr_product p = { .M = s->B, .N = row, .K = s->Co };
    dr_multiply(a, &p, small, v, bias_row, large);
}

void dr_conv2d_whole_weight(const dr_kargs *a, const conv_shape *s, float *large, float *small, float *dw, float *db)
{
    float *v = channels_last(a, s, NULL);
    const dr_product p = { .M = s->Co, .N = s->k * s->k * s->Ci, .K = s->B, .transpose_a = true };
    if (!v || dr_multiply(a, &p, small, large, NULL, v) != DR_OK) return;
    transpose_each(v, dw, s->Co, s->k * s->k, s->Ci);
    for (int64_t co = 0; s->bias && co < s->Co; co++) {
        float sum = 0;
        for (int64_t b = 0; b < s->B; b++) sum += small[b * s->Co + co];
        db[co] = sum;
    }
}
