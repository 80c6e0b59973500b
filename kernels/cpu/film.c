/* film.c: y = scale h + shift, with a scale and a shift for each sample and channel; either may be absent.
 * h lies in memory as [B,L,C], L pixels or tokens; h, y and their gradients are f32 or bf16, and so are scale and shift,
 * which may be f32 beside a bf16 h. Backward makes, in one pass, dh = scale dy, dscale = sum h dy and dshift = sum dy:
 * f32 over 16 rows, then doubles over blocks of rows, which depend on the shape alone and are added in order. */
#include "bf16.h"
#include "cpu_backend.h"
#include <stdbool.h>

typedef struct film_shape {
    int64_t B, L, C;
    dr_blocks cut; /* of the L rows of a sample */
} film_shape;

static film_shape shape_of(const dr_view *h)
{
    const int64_t B = h->shape[0], C = h->shape[h->rank == 3 ? 2 : 1], n = dr_numel(h);
    const int64_t L = n > 0 ? n / (B * C) : 0;
    return (film_shape){ B, L, C, dr_cut(L, 1 + DR_CPU_PARALLEL / (C > 0 ? C : 1)) };
}

/* Scale or shift as floats [B,C]: in `memory`, where they are bf16; `otherwise` everywhere, where they are absent. */
static const float *vectors(const dr_kargs *a, int i, int64_t n, float otherwise, float *memory)
{
    const void *v = dr_optional(a, i);
    if (v && a->in[i].dtype == DR_F32) return v;
    for (int64_t k = 0; k < n; k++) memory[k] = v ? dr_load(DR_BF16, v, k) : otherwise;
    return memory;
}

/* Rows [first, last) of one sample. */
VM_INLINE void rows(int type, const void *h, const float *restrict scale, const float *restrict shift, void *y,
                    int64_t first, int64_t last, int64_t C)
{
    for (int64_t r = first; r < last; r++) {
        const void *restrict from = dr_from(type, h, r * C);
        void *restrict to = dr_into(type, y, r * C);
        for (int64_t c = 0; c < C; c++) dr_store(type, to, c, dr_load(type, from, c) * scale[c] + shift[c]);
    }
}

static void film(const dr_kargs *a) /* h, scale or NULL, shift or NULL -> y */
{
    const film_shape s = shape_of(&a->in[0]);
    const bool narrow = a->in[0].dtype == DR_BF16;
    float *memory = dr_cpu_workspace(a, (size_t)(2 * s.B * s.C) * sizeof(float));
    if (!memory) return;
    const float *scale = vectors(a, 1, s.B * s.C, 1.0f, memory);
    const float *shift = vectors(a, 2, s.B * s.C, 0.0f, memory + s.B * s.C);
#pragma omp parallel for schedule(static) if (s.B * s.L * s.C > DR_CPU_PARALLEL)
    for (int64_t i = 0; i < s.B * s.cut.count; i++) {
        const int64_t b = i / s.cut.count, k = i % s.cut.count;
        const int64_t first = k * s.cut.size, last = dr_min64(s.L, first + s.cut.size), at = b * s.L * s.C;
        const float *own = scale + b * s.C, *move = shift + b * s.C;
        if (narrow)
            rows(DR_BF16, dr_from(DR_BF16, dr_in(a, 0), at), own, move, dr_into(DR_BF16, dr_out(a, 0), at), first, last,
                 s.C);
        else
            rows(DR_F32, dr_from(DR_F32, dr_in(a, 0), at), own, move, dr_into(DR_F32, dr_out(a, 0), at), first, last,
                 s.C);
    }
}

/* Rows [first, last) of one sample: dh, and sums of h dy and of dy, [C] each; part [2 C] is scratch. pitch: from a row of
 * dy to the next. */
VM_INLINE void rows_backward(int type, const void *h, const void *dy, int64_t pitch, const float *restrict scale, void *dh,
                             int64_t first, int64_t last, int64_t C, double *restrict dscale, double *restrict dshift,
                             float *restrict part)
{
    float *restrict moment = part, *restrict sum = part + C;
    const int64_t step = 16;
    for (int64_t c = 0; c < C; c++) dscale[c] = dshift[c] = 0;
    for (int64_t row = first; row < last; row += step) {
        for (int64_t c = 0; c < 2 * C; c++) part[c] = 0;
        for (int64_t r = row; r < dr_min64(row + step, last); r++) {
            const void *restrict x = dr_from(type, h, r * C), *restrict g = dr_from(type, dy, r * pitch);
            void *restrict to = dr_into(type, dh, r * C);
            for (int64_t c = 0; c < C; c++) {
                const float slope = dr_load(type, g, c);
                dr_store(type, to, c, slope * scale[c]);
                moment[c] += dr_load(type, x, c) * slope;
                sum[c] += slope;
            }
        }
        for (int64_t c = 0; c < C; c++) {
            dscale[c] += (double)moment[c];
            dshift[c] += (double)sum[c];
        }
    }
}

static void film_backward(const dr_kargs *a) /* h, scale, dy -> dh, dscale, dshift */
{
    const film_shape s = shape_of(&a->in[0]);
    const bool narrow = a->in[0].dtype == DR_BF16;
    const int64_t vector = s.B * s.C, blocks = s.cut.count;
    const int64_t pitch = a->in[2].rank == 4 ? dr_pixel_pitch(&a->in[2]) : s.C;
    float *dscale = dr_out(a, 1), *dshift = dr_out(a, 2);
    /* of each block: two sums in doubles and as many in floats; then the scale */
    double *partial =
        dr_cpu_workspace(a, (size_t)(3 * vector * blocks) * sizeof(double) + (size_t)vector * sizeof(float));
    if (!partial) return;
    const float *scale = vectors(a, 1, vector, 1.0f, (float *)(partial + 3 * vector * blocks));
#pragma omp parallel for schedule(static) if (vector * s.L > DR_CPU_PARALLEL)
    for (int64_t i = 0; i < s.B * blocks; i++) {
        const int64_t b = i / blocks, k = i % blocks, C = s.C;
        const int64_t first = k * s.cut.size, last = dr_min64(s.L, first + s.cut.size), at = b * s.L * C;
        const int64_t dy_at = b * s.L * pitch;
        double *own = partial + 3 * C * i;
        float *part = (float *)(own + 2 * C);
        if (narrow)
            rows_backward(DR_BF16, dr_from(DR_BF16, dr_in(a, 0), at), dr_from(DR_BF16, dr_in(a, 2), dy_at), pitch,
                          scale + b * C, dr_into(DR_BF16, dr_out(a, 0), at), first, last, C, own, own + C, part);
        else
            rows_backward(DR_F32, dr_from(DR_F32, dr_in(a, 0), at), dr_from(DR_F32, dr_in(a, 2), dy_at), pitch,
                          scale + b * C, dr_into(DR_F32, dr_out(a, 0), at), first, last, C, own, own + C, part);
    }
    for (int64_t i = 0; i < vector; i++) {
        const double *own = partial + 3 * s.C * (i / s.C) * blocks + i % s.C;
        double moment = 0, sum = 0;
        for (int64_t k = 0; k < blocks; k++) {
            moment += own[3 * s.C * k];
            sum += own[3 * s.C * k + s.C];
        }
        dscale[i] = (float)moment;
        dshift[i] = (float)sum;
    }
}

DR_KERNEL(film, DR_F32, film)
DR_KERNEL(film, DR_BF16, film)
DR_KERNEL(film_backward, DR_F32, film_backward)
DR_KERNEL(film_backward, DR_BF16, film_backward)
