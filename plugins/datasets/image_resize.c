/* image_resize.c: a part of a picture, resampled with a triangle filter:
 *   y[i] = sum_k w(k) x[k] / sum_k w(k),   w(k) = max(0, 1 - |k + 1/2 - (i + 1/2) s| / max(s, 1)),   s = side / size
 * Bilinear where it enlarges; where it reduces, the filter widens with it, so that nothing aliases. Columns and rows
 * in turn, a row of the result at a time, so that a large photograph needs no copy of itself. */
#include "image_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* The rows that output row y needs, summed by their weights: mixed [box.width, 3] */
static void mix_rows(const image_rgb *image, image_box box, const filter *f, int64_t y, float *mixed)
{
    const float *w = f->weight + y * f->taps;
    memset(mixed, 0, (size_t)(3 * box.width) * sizeof *mixed);
    for (int64_t k = 0; k < f->count[y]; k++) {
        const uint8_t *row = image->pixel + 3 * ((box.top + f->first[y] + k) * image->width + box.left);
        for (int64_t i = 0; i < 3 * box.width; i++) mixed[i] += w[k] * (float)row[i];
    }
}

/* mixed [box.width, 3] -> row y of out [channels, height, width], 0 to 255 */
static void mix_columns(const float *mixed, const filter *f, int64_t y, image_size size, float *out)
{
    const int64_t plane = size.height * size.width;
    for (int64_t x = 0; x < size.width; x++) {
        const float *w = f->weight + x * f->taps, *from = mixed + 3 * f->first[x];
        float rgb[3] = { 0, 0, 0 }, *to = out + y * size.width + x;
        for (int64_t k = 0; k < f->count[x]; k++)
            for (int c = 0; c < 3; c++) rgb[c] += w[k] * from[3 * k + c];
        if (size.channels == 1) *to = 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
        else
            for (int c = 0; c < 3; c++) to[c * plane] = rgb[c];
    }
}

dr_status image_resize(const image_rgb *image, image_box box, image_size size, float *out)
{
    filter rows = { .taps = 0 }, columns = { .taps = 0 };
    float *mixed = malloc((size_t)(3 * box.width) * sizeof *mixed);
    dr_status status = DR_OK;
    if (!mixed || !filter_make(&rows, box.height, size.height) || !filter_make(&columns, box.width, size.width)) {
        status = dr_fail(DR_ENOMEM, "out of memory to bring a picture from %lldx%lld to %lldx%lld pixels",
                         (long long)box.width, (long long)box.height, (long long)size.width, (long long)size.height);
    } else {
        for (int64_t y = 0; y < size.height; y++) {
            mix_rows(image, box, &rows, y, mixed);
            mix_columns(mixed, &columns, y, size, out);
        }
    }
    filter_free(&rows);
    filter_free(&columns);
    free(mixed);
    return status;
}

image_box image_centre(const image_rgb *image, int64_t height, int64_t width)
{
    image_box box = { .height = image->height, .width = image->width };
    if (image->height * width > image->width * height) { /* too tall */
        box.height = (int64_t)fmax(1.0, round((double)image->width * (double)height / (double)width));
    } else {
        box.width = (int64_t)fmax(1.0, round((double)image->height * (double)width / (double)height));
    }
    box.top = (image->height - box.height) / 2;
    box.left = (image->width - box.width) / 2;
    return box;
}
