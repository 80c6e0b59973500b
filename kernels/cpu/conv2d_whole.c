/* conv2d_whole.c: where the kernel covers the whole image, each output pixel is one product of the image with the
 * weight:
 *   small [B,Co] = large [B,k k Ci] V^T,  large = small V,  dV = small^T large,  V [Co,k k Ci]
 * V is the weight with its channels moved last, as they lie in images; for images in bf16 it is rounded on the way. */
#include "conv2d_whole.h"
#include "bf16.h"
#include "matmul.h"

bool dr_conv2d_whole_suits(const conv_shape *s)
{
    if (s->weight_dtype != DR_F32 || s->bias_dtype != DR_F32) return false;
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

static void transpose_each_rounded(const float *from, uint16_t *to, int64_t n, int64_t rows, int64_t columns)
{
#pragma omp parallel for schedule(static) if (n * rows * columns > DR_CPU_PARALLEL)
    for (int64_t i = 0; i < n; i++) {
        const float *restrict f = from + i * rows * columns;
        uint16_t *restrict t = to + i * rows * columns;
        for (int64_t c = 0; c < columns; c++)
            for (int64_t r = 0; r < rows; r++) t[c * rows + r] = dr_bf16_nearest(f[r * columns + c]);
    }
}

/* In the workspace: one row [k k Ci] in f32 for a bias, then V in f32 (where there is no weight: room for its gradient)
 * or in the images' dtype. NULL after dr_fail */
static float *channels_last(const dr_kargs *a, const conv_shape *s, const float *weight)
{
    const int64_t row = s->k * s->k * s->Ci;
    float *memory = dr_cpu_workspace(a, (size_t)((s->Co + 1) * row) * sizeof(float));
    if (!memory || !weight) return memory;
    if (s->dtype == DR_BF16) transpose_each_rounded(weight, (uint16_t *)(memory + row), s->Co, s->Ci, s->k * s->k);
    else transpose_each(weight, memory + row, s->Co, s->Ci, s->k * s->k);
    return memory;
}

static float value_of(const conv_shape *s, const void *x, int64_t i)
{
    return s->dtype == DR_BF16 ? dr_bf16_value(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

void dr_conv2d_whole_gather(const dr_kargs *a, const conv_shape *s, void *large, const float *weight, float *bias,
                            void *small)
{
    const int64_t row = s->k * s->k * s->Ci;
    float *memory = channels_last(a, s, weight);
    const dr_product p = { .M = s->B, .N = s->Co, .K = row, .transpose_b = true, .dtype = s->dtype, .b_dtype = s->dtype,
                           .y_dtype = s->dtype };
    if (memory) dr_multiply(a, &p, large, memory + row, bias, small);
}

void dr_conv2d_whole_spread(const dr_kargs *a, const conv_shape *s, void *small, const float *weight, const float *bias,
                            void *large)
{
    const int64_t row = s->k * s->k * s->Ci;
    float *memory = channels_last(a, s, weight);
    if (!memory) return;
    float *bias_row = bias ? memory : NULL; /* the bias once for each pixel */
    for (int64_t i = 0; bias && i < row; i++) bias_row[i] = bias[i % s->Ci];
    const dr_product p = { .M = s->B, .N = row, .K = s->Co, .dtype = s->dtype, .b_dtype = s->dtype, .y_dtype = s->dtype };
    dr_multiply(a, &p, small, memory + row, bias_row, large);
}

void dr_conv2d_whole_weight(const dr_kargs *a, const conv_shape *s, void *large, void *small, float *dw, float *db)
{
    float *v = channels_last(a, s, NULL);
    const dr_product p = { .M = s->Co, .N = s->k * s->k * s->Ci, .K = s->B, .transpose_a = true, .dtype = s->dtype,
                           .b_dtype = s->dtype };
    if (!v || dr_multiply(a, &p, small, large, NULL, v) != DR_OK) return;
    transpose_each(v, dw, s->Co, s->k * s->k, s->Ci);
    for (int64_t co = 0; s->bias && co < s->Co; co++) {
        float sum = 0;
        for (int64_t b = 0; b < s->B; b++) sum += value_of(s, small, b * s->Co + co);
        db[co] = sum;
    }
}
