/* group_norm.c: y = act(z), z = gamma h + beta, h = (x - mean) rstd, rstd = 1/sqrt(var + eps); mean and var over a
 * group of channels of one image.     Wu & He 2018     With dz = act'(z) dy and S values in a group:
 *   dgamma = sum dz h,  dbeta = sum dz,  dx = rstd (gamma dz - (sum gamma dz)/S - h (sum gamma dz h)/S)
 * Rank 4 (and [B,C]) is channels-last: an image is L pixels of C channels, cut into blocks of pixels. Other ranks are
 * row-major: a channel is a run of L values. Either way the first pass makes two sums for each channel, in doubles; the
 * sums of a group's channels are joined; the second pass writes. x and y are f32 or bf16, all else is f32. The first
 * pass of backward leaves dz in dx where that is f32; bf16 would round it, so there the second works it out again.
 * gamma and beta are [C], or [B,C] where each image has its own; then so are their gradients. */
#include "bf16.h"
#include "cpu_backend.h"
#include <omp.h>
#include <stdbool.h>

typedef struct norm_shape {
    int64_t B, C, G, L;  /* L: pixels, or values of a run */
    int64_t n, in_group; /* all values; channels of a group */
    int64_t own;         /* from one image's gamma to the next's: 0 where they share it */
    bool runs;           /* row-major */
    dr_blocks cut;       /* of an image's pixels */
    double eps;
    int64_t act;
    int type; /* of x and y: DR_F32 or DR_BF16 */
} norm_shape;

/* The attributes of backward are those of forward. */
static norm_shape shape_of(const dr_view *x, const dr_view *gamma, const dr_group_norm_act_attr *attr)
{
    const int64_t B = x->shape[0], C = x->shape[1], L = dr_count(x, 2, x->rank);
    const bool runs = x->rank != 4 && L > 1;
    return (norm_shape){ .B = B,
                         .C = C,
                         .G = attr->groups,
                         .L = L,
                         .n = B * C * L,
                         .in_group = C / attr->groups,
                         .own = gamma->rank == 2 ? C : 0,
                         .runs = runs,
                         .cut = dr_cut(L, runs ? L : 1 + 32768 / C),
                         .eps = attr->eps,
                         .act = attr->act,
                         .type = x->dtype };
}

/* One image. z = (x - centre) scale + shift; dx = scale dz + (x - centre) tilt + level. The mean of x is subtracted in
 * two parts in forward: as centre, and what its rounding left out within shift. */
typedef struct image {
    const void *x, *dy;
    const float *gamma, *beta;
    void *y;                                      /* dx in backward */
    double *sums;                                 /* [blocks,2,C]: of x and x^2; of dz and dz (x - centre) */
    float *centre, *scale, *shift, *tilt, *level; /* [C] */
    float *mean, *rstd;                           /* [G] */
} image;

static size_t bytes_of_image(const norm_shape *s)
{
    return (size_t)(s->cut.count * 2 * s->C) * sizeof(double) + (size_t)((5 * s->C + 1) / 2) * 2 * sizeof(float);
}

static image image_at(const norm_shape *s, const image *first, int64_t b)
{
    const int64_t at = b * s->L * s->C;
    image m = { .x = dr_from(s->type, first->x, at),
                .gamma = first->gamma + b * s->own,
                .beta = first->beta + b * s->own,
                .y = dr_into(s->type, first->y, at),
                .sums = (double *)((char *)first->sums + (size_t)b * bytes_of_image(s)),
                .mean = first->mean + b * s->G,
                .rstd = first->rstd + b * s->G };
    if (first->dy) m.dy = dr_from(s->type, first->dy, at);
    m.centre = (float *)(m.sums + s->cut.count * 2 * s->C);
    m.scale = m.centre + s->C;
    m.shift = m.scale + s->C;
    m.tilt = m.shift + s->C;
    m.level = m.tilt + s->C;
    return m;
}

typedef struct passes {
    void (*begin)(const norm_shape *s, const image *m); /* NULL: nothing to do */
    void (*sum)(const norm_shape *s, const image *m, int64_t block);
    void (*join)(const norm_shape *s, const image *m);
    void (*write)(const norm_shape *s, const image *m, int64_t block);
} passes;

/* Few images: threads share the blocks of all of them. Else each has images of its own, which stay in its cache. The
 * arithmetic is the same. */
static void over_images(const norm_shape *s, const image *first, const passes *p)
{
    const int64_t B = s->B, blocks = s->cut.count;
    const bool share = blocks > 1 && B < 4 * omp_get_max_threads();
#pragma omp parallel for schedule(static) if (s->n > DR_CPU_PARALLEL)
    for (int64_t b = 0; b < B; b++) {
        const image m = image_at(s, first, b);
        if (p->begin) p->begin(s, &m);
        if (share) continue;
        for (int64_t k = 0; k < blocks; k++) p->sum(s, &m, k);
        p->join(s, &m);
        for (int64_t k = 0; k < blocks; k++) p->write(s, &m, k);
    }
    if (!share) return;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < B * blocks; i++) {
        const image m = image_at(s, first, i / blocks);
        p->sum(s, &m, i % blocks);
    }
    for (int64_t b = 0; b < B; b++) {
        const image m = image_at(s, first, b);
        p->join(s, &m);
    }
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < B * blocks; i++) {
        const image m = image_at(s, first, i / blocks);
        p->write(s, &m, i % blocks);
    }
}

/* The sums of the blocks into the first one's. */
static void join_blocks(const norm_shape *s, const image *m)
{
    for (int64_t k = 1; k < s->cut.count; k++)
        for (int64_t i = 0; i < 2 * s->C; i++) m->sums[i] += m->sums[k * 2 * s->C + i];
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

VM_INLINE void sum_x_of(int type, const norm_shape *s, const image *m, int64_t block)
{
    const int64_t C = s->C, L = s->L, from = block * s->cut.size, to = dr_min64(from + s->cut.size, L);
    const void *x = m->x;
    double *restrict sum = m->sums + block * 2 * C, *restrict square = sum + C;
    for (int64_t c = 0; c < C; c++) sum[c] = square[c] = 0;
    for (int64_t p = from; !s->runs && p < to; p++)
        for (int64_t c = 0; c < C; c++) {
            const double v = (double)dr_load(type, x, p * C + c);
            sum[c] += v;
            square[c] += v * v;
        }
    for (int64_t c = 0; s->runs && c < C; c++) {
        double own = 0, own_square = 0;
#pragma omp simd reduction(+ : own, own_square)
        for (int64_t i = c * L; i < (c + 1) * L; i++) {
            const double v = (double)dr_load(type, x, i);
            own += v;
            own_square += v * v;
        }
        sum[c] = own;
        square[c] = own_square;
    }
}

static void sum_x(const norm_shape *s, const image *m, int64_t block)
{
    if (s->type == DR_BF16) sum_x_of(DR_BF16, s, m, block);
    else sum_x_of(DR_F32, s, m, block);
}

static void join_x(const norm_shape *s, const image *m)
{
    const double S = (double)(s->in_group * s->L);
    join_blocks(s, m);
    for (int64_t g = 0; g < s->G; g++) {
        const int64_t from = g * s->in_group, to = from + s->in_group;
        double sum = 0, square = 0;
        for (int64_t c = from; c < to; c++) {
            sum += m->sums[c];
            square += m->sums[s->C + c];
        }
        const double mean = sum / S, difference = square / S - mean * mean; /* squares of floats are exact in double */
        const double var = difference < 0 ? 0 : difference, rstd = 1 / sqrt(var + s->eps);
        m->mean[g] = (float)mean;
        m->rstd[g] = (float)rstd;
        for (int64_t c = from; c < to; c++) {
            const double slope = (double)m->gamma[c] * rstd;
            m->centre[c] = m->mean[g];
            m->scale[c] = (float)slope;
            m->shift[c] = (float)((double)m->beta[c] - (mean - (double)m->mean[g]) * slope);
        }
    }
}

VM_INLINE void write_y_of(int type, int act, const norm_shape *s, const image *m, int64_t block)
{
    const int64_t C = s->C, L = s->L, from = block * s->cut.size, to = dr_min64(from + s->cut.size, L);
    const void *restrict x = m->x;
    const float *restrict centre = m->centre, *restrict scale = m->scale, *restrict shift = m->shift;
    void *restrict y = m->y;
    for (int64_t p = from; !s->runs && p < to; p++)
        for (int64_t c = 0; c < C; c++) {
            const float z = (dr_load(type, x, p * C + c) - centre[c]) * scale[c] + shift[c];
            dr_store(type, y, p * C + c, vm_act_to(type, act, z));
        }
    for (int64_t c = 0; s->runs && c < C; c++) {
        const float k0 = centre[c], k1 = scale[c], k2 = shift[c];
        for (int64_t i = c * L; i < (c + 1) * L; i++)
            dr_store(type, y, i, vm_act_to(type, act, (dr_load(type, x, i) - k0) * k1 + k2));
    }
}

VM_INLINE void write_y_with(int act, const norm_shape *s, const image *m, int64_t block)
{
    if (s->type == DR_BF16) write_y_of(DR_BF16, act, s, m, block);
    else write_y_of(DR_F32, act, s, m, block);
}

static void write_y(const norm_shape *s, const image *m, int64_t block)
{
    switch (s->act) {
    case DR_ACT_RELU: write_y_with(DR_ACT_RELU, s, m, block); break;
    case DR_ACT_GELU: write_y_with(DR_ACT_GELU, s, m, block); break;
    case DR_ACT_GELU_TANH: write_y_with(DR_ACT_GELU_TANH, s, m, block); break;
    case DR_ACT_SILU: write_y_with(DR_ACT_SILU, s, m, block); break;
    default: write_y_with(DR_ACT_NONE, s, m, block); break;
    }
}

static void group_norm_act(const dr_kargs *a) /* x, gamma, beta -> y, mean [B,G], rstd [B,G] */
{
    if (dr_numel(&a->in[0]) == 0) return;
    const norm_shape s = shape_of(&a->in[0], &a->in[1], a->attr);
    void *memory = dr_cpu_workspace(a, (size_t)s.B * bytes_of_image(&s));
    if (!memory) return;
    const image first = { .x = dr_in(a, 0),
                          .gamma = dr_in(a, 1),
                          .beta = dr_in(a, 2),
                          .y = dr_out(a, 0),
                          .sums = memory,
                          .mean = dr_out(a, 1),
                          .rstd = dr_out(a, 2) };
    over_images(&s, &first, &(passes){ .sum = sum_x, .join = join_x, .write = write_y });
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

static void begin_backward(const norm_shape *s, const image *m)
{
    for (int64_t c = 0; c < s->C; c++) {
        m->centre[c] = m->mean[c / s->in_group];
        m->scale[c] = m->gamma[c] * m->rstd[c / s->in_group];
    }
}

VM_INLINE void sum_dz_of(int type, int act, const norm_shape *s, const image *m, int64_t block)
{
    const int64_t C = s->C, L = s->L, from = block * s->cut.size, to = dr_min64(from + s->cut.size, L);
    const void *restrict x = m->x, *restrict dy = m->dy;
    const float *restrict centre = m->centre, *restrict scale = m->scale, *restrict beta = m->beta;
    float *restrict dz = m->y;
    double *restrict sum = m->sums + block * 2 * C, *restrict moment = sum + C;
    for (int64_t c = 0; c < C; c++) sum[c] = moment[c] = 0;
    for (int64_t p = from; !s->runs && p < to; p++)
        for (int64_t c = 0; c < C; c++) {
            const float d = dr_load(type, x, p * C + c) - centre[c];
            const float own = dr_load(type, dy, p * C + c) * vm_act_slope_to(type, act, d * scale[c] + beta[c]);
            if (type == DR_F32) dz[p * C + c] = own;
            sum[c] += (double)own;
            moment[c] += (double)own * (double)d;
        }
    for (int64_t c = 0; s->runs && c < C; c++) {
        const float k0 = centre[c], k1 = scale[c], k2 = beta[c];
        double own_sum = 0, own_moment = 0;
#pragma omp simd reduction(+ : own_sum, own_moment)
        for (int64_t i = c * L; i < (c + 1) * L; i++) {
            const float d = dr_load(type, x, i) - k0,
                        own = dr_load(type, dy, i) * vm_act_slope_to(type, act, d * k1 + k2);
            if (type == DR_F32) dz[i] = own;
            own_sum += (double)own;
            own_moment += (double)own * (double)d;
        }
        sum[c] = own_sum;
        moment[c] = own_moment;
    }
}

VM_INLINE void sum_dz_with(int act, const norm_shape *s, const image *m, int64_t block)
{
    if (s->type == DR_BF16) sum_dz_of(DR_BF16, act, s, m, block);
    else sum_dz_of(DR_F32, act, s, m, block);
}

static void sum_dz(const norm_shape *s, const image *m, int64_t block)
{
    switch (s->act) {
    case DR_ACT_RELU: sum_dz_with(DR_ACT_RELU, s, m, block); break;
    case DR_ACT_GELU: sum_dz_with(DR_ACT_GELU, s, m, block); break;
    case DR_ACT_GELU_TANH: sum_dz_with(DR_ACT_GELU_TANH, s, m, block); break;
    case DR_ACT_SILU: sum_dz_with(DR_ACT_SILU, s, m, block); break;
    default: sum_dz_with(DR_ACT_NONE, s, m, block); break;
    }
}

/* Leaves sum dz and sum dz h of this image in sums. */
static void join_dz(const norm_shape *s, const image *m)
{
    const double S = (double)(s->in_group * s->L);
    double *sum = m->sums, *moment = m->sums + s->C;
    join_blocks(s, m);
    for (int64_t g = 0; g < s->G; g++) {
        const int64_t from = g * s->in_group, to = from + s->in_group;
        const double rstd = (double)m->rstd[g];
        double dh = 0, dh_h = 0; /* of gamma dz and of gamma dz h */
        for (int64_t c = from; c < to; c++) {
            moment[c] *= rstd;
            dh += (double)m->gamma[c] * sum[c];
            dh_h += (double)m->gamma[c] * moment[c];
        }
        for (int64_t c = from; c < to; c++) {
            m->tilt[c] = (float)(-rstd * rstd * dh_h / S);
            m->level[c] = (float)(-rstd * dh / S);
        }
    }
}

static void write_dx_f32(const norm_shape *s, const image *m, int64_t block)
{
    const int64_t C = s->C, L = s->L, from = block * s->cut.size, to = dr_min64(from + s->cut.size, L);
    const float *restrict x = m->x, *restrict centre = m->centre, *restrict scale = m->scale, *restrict tilt = m->tilt;
    const float *restrict level = m->level;
    float *restrict dx = m->y; /* dz so far */
    for (int64_t p = from; !s->runs && p < to; p++)
        for (int64_t c = 0; c < C; c++)
            dx[p * C + c] = scale[c] * dx[p * C + c] + ((x[p * C + c] - centre[c]) * tilt[c] + level[c]);
    for (int64_t c = 0; s->runs && c < C; c++) {
        const float k0 = centre[c], k1 = scale[c], k2 = tilt[c], k3 = level[c];
        for (int64_t i = c * L; i < (c + 1) * L; i++) dx[i] = k1 * dx[i] + ((x[i] - k0) * k2 + k3);
    }
}

VM_INLINE void write_dx_bf16_with(int act, const norm_shape *s, const image *m, int64_t block)
{
    const int64_t C = s->C, L = s->L, from = block * s->cut.size, to = dr_min64(from + s->cut.size, L);
    const void *restrict x = m->x, *restrict dy = m->dy;
    const float *restrict centre = m->centre, *restrict scale = m->scale, *restrict beta = m->beta;
    const float *restrict tilt = m->tilt, *restrict level = m->level;
    void *restrict dx = m->y;
    for (int64_t p = from; !s->runs && p < to; p++)
        for (int64_t c = 0; c < C; c++) {
            const float d = dr_load(DR_BF16, x, p * C + c) - centre[c], z = d * scale[c] + beta[c];
            const float dz = dr_load(DR_BF16, dy, p * C + c) * vm_act_slope_to(DR_BF16, act, z);
            dr_store(DR_BF16, dx, p * C + c, scale[c] * dz + (d * tilt[c] + level[c]));
        }
    for (int64_t c = 0; s->runs && c < C; c++) {
        const float k0 = centre[c], k1 = scale[c], k2 = tilt[c], k3 = level[c], k4 = beta[c];
        for (int64_t i = c * L; i < (c + 1) * L; i++) {
            const float d = dr_load(DR_BF16, x, i) - k0;
            const float dz = dr_load(DR_BF16, dy, i) * vm_act_slope_to(DR_BF16, act, d * k1 + k4);
            dr_store(DR_BF16, dx, i, k1 * dz + (d * k2 + k3));
        }
    }
}

static void write_dx_bf16(const norm_shape *s, const image *m, int64_t block)
{
    switch (s->act) {
    case DR_ACT_RELU: write_dx_bf16_with(DR_ACT_RELU, s, m, block); break;
    case DR_ACT_GELU: write_dx_bf16_with(DR_ACT_GELU, s, m, block); break;
    case DR_ACT_GELU_TANH: write_dx_bf16_with(DR_ACT_GELU_TANH, s, m, block); break;
    case DR_ACT_SILU: write_dx_bf16_with(DR_ACT_SILU, s, m, block); break;
    default: write_dx_bf16_with(DR_ACT_NONE, s, m, block); break;
    }
}

/* x, gamma, beta, mean, rstd, dy -> dx, dgamma, dbeta */
static void group_norm_act_backward(const dr_kargs *a)
{
    const int64_t C = a->in[0].shape[1];
    float *dgamma = dr_out(a, 1), *dbeta = dr_out(a, 2);
    if (dr_numel(&a->in[0]) == 0) {
        for (int64_t c = 0; c < C; c++) dgamma[c] = dbeta[c] = 0;
        return;
    }
    const norm_shape s = shape_of(&a->in[0], &a->in[1], a->attr);
    void *memory = dr_cpu_workspace(a, (size_t)s.B * bytes_of_image(&s));
    if (!memory) return;
    const image first = { .x = dr_in(a, 0),
                          .dy = dr_in(a, 5),
                          .gamma = dr_in(a, 1),
                          .beta = dr_in(a, 2),
                          .y = dr_out(a, 0),
                          .sums = memory,
                          .mean = dr_in(a, 3),
                          .rstd = dr_in(a, 4) };
    over_images(&s, &first,
                &(passes){ begin_backward, sum_dz, join_dz, s.type == DR_BF16 ? write_dx_bf16 : write_dx_f32 });
    for (int64_t b = 0; s.own && b < s.B; b++) {
        const image m = image_at(&s, &first, b);
        for (int64_t c = 0; c < C; c++) {
            dbeta[b * C + c] = (float)m.sums[c];
            dgamma[b * C + c] = (float)m.sums[C + c];
        }
    }
    if (s.own) return;
    for (int64_t c = 0; c < C; c++) {
        double sum = 0, moment = 0;
        for (int64_t b = 0; b < s.B; b++) {
            const image m = image_at(&s, &first, b);
            sum += m.sums[c];
            moment += m.sums[C + c];
        }
        dbeta[c] = (float)sum;
        dgamma[c] = (float)moment;
    }
}

DR_KERNEL(group_norm_act, DR_F32, group_norm_act)
DR_KERNEL(group_norm_act, DR_BF16, group_norm_act)
DR_KERNEL(group_norm_act_backward, DR_F32, group_norm_act_backward)
DR_KERNEL(group_norm_act_backward, DR_BF16, group_norm_act_backward)
