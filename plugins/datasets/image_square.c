/* image_square.c: the largest centred square of a picture, resampled with a triangle filter:
 *   y[i] = sum_k w(k) x[k] / sum_k w(k),   w(k) = max(0, 1 - |k + 1/2 - (i + 1/2) s| / max(s, 1)),   s = side / size
 * Bilinear where it enlarges; where it reduces, the filter widens with it, so that nothing aliases. Rows and
 * columns in turn. */
#include "image_file.h"

#include <math.h>
#include <stdlib.h>

typedef struct filter {
    int64_t taps;   /* the most that one output needs */
    int64_t *first; /* [size] */
    int64_t *count; /* [size] */
    float *weight;  /* [size, taps], each row sums to 1 */
} filter;

static void filter_free(filter *f)
{
    free(f->first);
    free(f->count);
    free(f->weight);
}

static _Bool filter_make(filter *f, int64_t side, int64_t size)
{
    const double s = (double)side / (double)size, reach = fmax(s, 1.0);
    f->taps = 2 * (int64_t)ceil(reach) + 1;
    f->first = malloc((size_t)size * sizeof *f->first);
    f->count = malloc((size_t)size * sizeof *f->count);
    f->weight = malloc((size_t)(size * f->taps) * sizeof *f->weight);
    if (!f->first || !f->count || !f->weight) return 0;
    for (int64_t i = 0; i < size; i++) {
        const double centre = ((double)i + 0.5) * s;
        const int64_t low = (int64_t)fmax(0.0, floor(centre - reach)),
                      high = (int64_t)fmin((double)side, ceil(centre + reach));
        double sum = 0;
        f->first[i] = low;
        f->count[i] = high - low;
        for (int64_t k = low; k < high; k++) {
            double w = fmax(0.0, 1.0 - fabs((double)k + 0.5 - centre) / reach);
            f->weight[i * f->taps + k - low] = (float)w;
            sum += w;
        }
        for (int64_t k = 0; k < high - low; k++) f->weight[i * f->taps + k] /= (float)sum;
    }
    return 1;
}

/* The square's rows of RGB -> half [side, size, 3] */
static void squeeze_columns(const image_rgb *image, int64_t side, int64_t size, const filter *f, float *half)
{
    const int64_t top = (image->height - side) / 2, left = (image->width - side) / 2;
    for (int64_t y = 0; y < side; y++) {
        const uint8_t *row = image->pixel + 3 * ((top + y) * image->width + left);
        for (int64_t x = 0; x < size; x++) {
            const float *w = f->weight + x * f->taps;
            float sum[3] = { 0, 0, 0 };
            for (int64_t k = 0; k < f->count[x]; k++)
                for (int c = 0; c < 3; c++) sum[c] += w[k] * (float)row[3 * (f->first[x] + k) + c];
            for (int c = 0; c < 3; c++) half[3 * (y * size + x) + c] = sum[c];
        }
    }
}

static uint8_t to_byte(float v) { return (uint8_t)(fminf(fmaxf(v, 0.0f), 255.0f) + 0.5f); }

/* half [side, size, 3] -> out [channels, size, size] */
static void squeeze_rows(const float *half, int64_t size, int64_t channels, const filter *f, uint8_t *out)
{
    for (int64_t y = 0; y < size; y++)
        for (int64_t x = 0; x < size; x++) {
            const float *w = f->weight + y * f->taps;
            float rgb[3] = { 0, 0, 0 };
            for (int64_t k = 0; k < f->count[y]; k++)
                for (int c = 0; c < 3; c++) rgb[c] += w[k] * half[3 * ((f->first[y] + k) * size + x) + c];
            if (channels == 1) out[y * size + x] = to_byte(0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]);
            else
                for (int c = 0; c < 3; c++) out[(c * size + y) * size + x] = to_byte(rgb[c]);
        }
}

dr_status image_square(const image_rgb *image, int64_t size, int64_t channels, uint8_t *out)
{
    const int64_t side = image->height < image->width ? image->height : image->width;
    filter f = { .taps = 0 };
    float *half = malloc((size_t)(side * size) * 3 * sizeof *half);
    dr_status status = DR_OK;
    if (!half || !filter_make(&f, side, size)) {
        status = dr_fail(DR_ENOMEM, "out of memory to bring a picture from %lld to %lld pixels", (long long)side,
                         (long long)size);
    } else {
        squeeze_columns(image, side, size, &f, half);
        squeeze_rows(half, size, channels, &f, out);
    }
    filter_free(&f);
    free(half);
    return status;
}
