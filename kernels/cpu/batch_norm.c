/* batch_norm.c: y = act(gamma (x - mean)/sqrt(var + eps) + beta), per channel.     Ioffe & Szegedy 2015
 * x is channels-last, so a matrix of n rows (pixels of all images) and C columns; [B,C,L] is row-major and works by
 * planes of L values. x and y are f32 or bf16, all else is f32. batch_moments.c takes the statistics. Backward works z
 * and act'(z) out again from x rather than keeping them. */
#include "batch_moments.h"
#include "bf16.h"

typedef dr_norm_shape norm_shape;

static norm_shape shape_of(const dr_view *x)
{
    const int64_t rest = dr_count(x, 2, x->rank);
    const bool by_planes = x->rank == 3;
    return (norm_shape){ .n = x->shape[0] * rest,
                         .C = x->shape[1],
                         .planes = by_planes ? x->shape[0] : 0,
                         .L = by_planes ? rest : 0,
                         .type = x->dtype };
}

/* ---- forward: y = act((x - mean) scale + beta), scale = gamma/sqrt(var + eps) ------------------------------------ */

typedef struct norm_args {
    const void *x;
    const float *mean, *scale, *beta;
    void *y;        /* forward */
    const void *dy; /* backward */
    int64_t pitch;  /* from a row of dy to the next */
    const float *level, *tilt;
    void *dx;
} norm_args;

/* rows, or planes, [first, last) */
VM_INLINE void forward_of(int type, int act, const norm_args *m, const norm_shape *s, int64_t first, int64_t last)
{
    const int64_t C = s->C, L = s->L;
    const float *restrict mean = m->mean, *restrict scale = m->scale, *restrict beta = m->beta;
    for (int64_t plane = first; L > 0 && plane < last; plane++) {
        const void *restrict x = dr_from(type, m->x, plane * L);
        void *restrict y = dr_into(type, m->y, plane * L);
        const float centre = mean[plane % C], slope = scale[plane % C], shift = beta[plane % C];
        for (int64_t i = 0; i < L; i++)
            dr_store(type, y, i, vm_act_to(type, act, (dr_load(type, x, i) - centre) * slope + shift));
    }
    for (int64_t row = first; L == 0 && row < last; row++) {
        const void *restrict x = dr_from(type, m->x, row * C);
        void *restrict y = dr_into(type, m->y, row * C);
#pragma omp simd
        for (int64_t c = 0; c < C; c++)
            dr_store(type, y, c, vm_act_to(type, act, (dr_load(type, x, c) - mean[c]) * scale[c] + beta[c]));
    }
}

VM_INLINE void forward_with(int act, const norm_args *m, const norm_shape *s, int64_t first, int64_t last)
{
    if (s->type == DR_BF16) forward_of(DR_BF16, act, m, s, first, last);
    else forward_of(DR_F32, act, m, s, first, last);
}

static void forward_part(int64_t act, const norm_args *m, const norm_shape *s, int64_t first, int64_t last)
{
    switch (act) {
    case DR_ACT_RELU: forward_with(DR_ACT_RELU, m, s, first, last); break;
    case DR_ACT_GELU: forward_with(DR_ACT_GELU, m, s, first, last); break;
    case DR_ACT_GELU_TANH: forward_with(DR_ACT_GELU_TANH, m, s, first, last); break;
    case DR_ACT_SILU: forward_with(DR_ACT_SILU, m, s, first, last); break;
    default: forward_with(DR_ACT_NONE, m, s, first, last); break;
    }
}

/* Rows, or planes, in parts of about 8192 values. */
typedef struct parts {
    int64_t items, each, count;
} parts;

static parts parts_of(const norm_shape *s)
{
    const int64_t items = s->L > 0 ? s->planes * s->C : s->n, width = s->L > 0 ? s->L : s->C;
    const int64_t each = width >= 8192 ? 1 : 8192 / width;
    return (parts){ items, each, (items + each - 1) / each };
}

static void forward(int64_t act, const norm_args *m, const norm_shape *s)
{
    const parts p = parts_of(s);
#pragma omp parallel for schedule(static) if (s->n * s->C > DR_CPU_PARALLEL)
    for (int64_t k = 0; k < p.count; k++) forward_part(act, m, s, k * p.each, dr_min64(p.items, (k + 1) * p.each));
}

static void scales(const float *gamma, const float *var, double eps, int64_t C, float *scale)
{
    for (int64_t c = 0; c < C; c++) scale[c] = (float)((double)gamma[c] / sqrt((double)var[c] + eps));
}

static void batch_norm_act(const dr_kargs *a) /* x, gamma [C], beta [C] -> y, mean [C], var [C] */
{
    const norm_shape s = shape_of(&a->in[0]);
    float *mean = dr_out(a, 1), *var = dr_out(a, 2);
    if (s.n == 0 || s.C == 0 || !dr_batch_moments(a, &s, mean, var)) return;
    float *scale = dr_cpu_workspace(a, (size_t)s.C * sizeof(float));
    if (!scale) return;
    scales(dr_in(a, 1), var, ((const dr_batch_norm_act_attr *)a->attr)->eps, s.C, scale);
    const norm_args m = { .x = dr_in(a, 0), .mean = mean, .scale = scale, .beta = dr_in(a, 2), .y = dr_out(a, 0) };
    forward(((const dr_batch_norm_act_attr *)a->attr)->act, &m, &s);
}

static void batch_norm_eval(const dr_kargs *a) /* x, gamma, beta, running_mean [C], running_var [C] -> y */
{
    const norm_shape s = shape_of(&a->in[0]);
    if (s.n == 0 || s.C == 0) return;
    float *scale = dr_cpu_workspace(a, (size_t)s.C * sizeof(float));
    if (!scale) return;
    scales(dr_in(a, 1), dr_in(a, 4), ((const dr_batch_norm_eval_attr *)a->attr)->eps, s.C, scale);
    const norm_args m = {
        .x = dr_in(a, 0), .mean = dr_in(a, 3), .scale = scale, .beta = dr_in(a, 2), .y = dr_out(a, 0)
    };
    forward(((const dr_batch_norm_eval_attr *)a->attr)->act, &m, &s);
}

/* ---- backward -------------------------------------------------------------------------------------------------------
 * With d = x - mean, z = scale d + beta, dz = act'(z) dy:  dbeta = sum dz, dgamma = rstd sum dz d,
 * dx = scale (dz - dbeta/n - d rstd dgamma/n): two passes over x and dy, the first for the sums. */

/* rows [first, last): sums of dz and of dz d, [C] each */
VM_INLINE void row_sums(int type, int act, const norm_args *m, int64_t C, int64_t first, int64_t last, double *sum_dz,
                        double *sum_dzd, float *restrict dz_part, float *restrict dzd_part)
{
    const float *restrict mean = m->mean, *restrict scale = m->scale, *restrict beta = m->beta;
    const int64_t step = 16; /* float sums over few rows, for the sums may be small against their parts */
    for (int64_t c = 0; c < C; c++) sum_dz[c] = sum_dzd[c] = 0;
    for (int64_t row = first; row < last; row += step) {
        for (int64_t c = 0; c < C; c++) dz_part[c] = dzd_part[c] = 0;
        for (int64_t r = row; r < dr_min64(row + step, last); r++) {
            const void *restrict x = dr_from(type, m->x, r * C), *restrict dy = dr_from(type, m->dy, r * m->pitch);
#pragma omp simd
            for (int64_t c = 0; c < C; c++) {
                const float d = dr_load(type, x, c) - mean[c],
                            dz = vm_act_slope_to(type, act, d * scale[c] + beta[c]) * dr_load(type, dy, c);
                dz_part[c] += dz;
                dzd_part[c] += dz * d;
            }
        }
        for (int64_t c = 0; c < C; c++) {
            sum_dz[c] += (double)dz_part[c];
            sum_dzd[c] += (double)dzd_part[c];
        }
    }
}

VM_INLINE void plane_sums(int type, int act, const norm_args *m, const norm_shape *s, int64_t c, double *sum_dz,
                          double *sum_dzd)
{
    const float mean = m->mean[c], scale = m->scale[c], beta = m->beta[c];
    *sum_dz = *sum_dzd = 0;
    for (int64_t b = 0; b < s->planes; b++) {
        const int64_t run = (b * s->C + c) * s->L;
        const void *x = dr_from(type, m->x, run), *dy = dr_from(type, m->dy, run);
        double dz_part = 0, dzd_part = 0;
        for (int64_t i = 0; i < s->L; i++) {
            const float d = dr_load(type, x, i) - mean,
                        dz = vm_act_slope_to(type, act, d * scale + beta) * dr_load(type, dy, i);
            dz_part += (double)dz;
            dzd_part += (double)dz * (double)d;
        }
        *sum_dz += dz_part;
        *sum_dzd += dzd_part;
    }
}

/* Item k: a block of rows, whose sums and scratch lie in partial[3 C k ..]; or channel k of planes, at partial[k]. */
VM_INLINE void sums_of(int type, int act, const norm_args *m, const norm_shape *s, dr_blocks blocks, int64_t k,
                       double *partial)
{
    const int64_t C = s->C;
    if (s->L > 0) {
        plane_sums(type, act, m, s, k, &partial[k], &partial[C + k]);
        return;
    }
    double *p = partial + k * 3 * C;
    float *scratch = (float *)(p + 2 * C);
    row_sums(type, act, m, C, k * blocks.size, dr_min64(s->n, (k + 1) * blocks.size), p, p + C, scratch, scratch + C);
}

VM_INLINE void sums_with(int act, const norm_args *m, const norm_shape *s, dr_blocks blocks, int64_t k, double *partial)
{
    if (s->type == DR_BF16) sums_of(DR_BF16, act, m, s, blocks, k, partial);
    else sums_of(DR_F32, act, m, s, blocks, k, partial);
}

static void sums_part(int64_t act, const norm_args *m, const norm_shape *s, dr_blocks blocks, int64_t k,
                      double *partial)
{
    switch (act) {
    case DR_ACT_RELU: sums_with(DR_ACT_RELU, m, s, blocks, k, partial); break;
    case DR_ACT_GELU: sums_with(DR_ACT_GELU, m, s, blocks, k, partial); break;
    case DR_ACT_GELU_TANH: sums_with(DR_ACT_GELU_TANH, m, s, blocks, k, partial); break;
    case DR_ACT_SILU: sums_with(DR_ACT_SILU, m, s, blocks, k, partial); break;
    default: sums_with(DR_ACT_NONE, m, s, blocks, k, partial); break;
    }
}

static void sums(int64_t act, const norm_args *m, const norm_shape *s, dr_blocks blocks, double *partial)
{
    const int64_t items = s->L > 0 ? s->C : blocks.count;
#pragma omp parallel for schedule(static) if (s->n * s->C > DR_CPU_PARALLEL)
    for (int64_t k = 0; k < items; k++) sums_part(act, m, s, blocks, k, partial);
}

/* rows, or planes, [first, last); level [C] = dbeta/n, tilt [C] = rstd dgamma/n */
VM_INLINE void gradient_of(int type, int act, const norm_args *m, const norm_shape *s, int64_t first, int64_t last)
{
    const int64_t C = s->C, L = s->L;
    const float *restrict mean = m->mean, *restrict scale = m->scale, *restrict beta = m->beta;
    const float *restrict level = m->level, *restrict tilt = m->tilt;
    for (int64_t plane = first; L > 0 && plane < last; plane++) {
        const void *restrict x = dr_from(type, m->x, plane * L), *restrict dy = dr_from(type, m->dy, plane * L);
        void *restrict dx = dr_into(type, m->dx, plane * L);
        const int64_t c = plane % C;
        const float k0 = mean[c], k1 = scale[c], k2 = beta[c], k3 = level[c], k4 = tilt[c];
        for (int64_t i = 0; i < L; i++) {
            const float d = dr_load(type, x, i) - k0,
                        dz = vm_act_slope_to(type, act, d * k1 + k2) * dr_load(type, dy, i);
            dr_store(type, dx, i, k1 * (dz - k3 - d * k4));
        }
    }
    for (int64_t row = first; L == 0 && row < last; row++) {
        const void *restrict x = dr_from(type, m->x, row * C), *restrict dy = dr_from(type, m->dy, row * m->pitch);
        void *restrict dx = dr_into(type, m->dx, row * C);
#pragma omp simd
        for (int64_t c = 0; c < C; c++) {
            const float d = dr_load(type, x, c) - mean[c],
                        dz = vm_act_slope_to(type, act, d * scale[c] + beta[c]) * dr_load(type, dy, c);
            dr_store(type, dx, c, scale[c] * (dz - level[c] - d * tilt[c]));
        }
    }
}

VM_INLINE void gradient_with(int act, const norm_args *m, const norm_shape *s, int64_t first, int64_t last)
{
    if (s->type == DR_BF16) gradient_of(DR_BF16, act, m, s, first, last);
    else gradient_of(DR_F32, act, m, s, first, last);
}

static void gradient_part(int64_t act, const norm_args *m, const norm_shape *s, int64_t first, int64_t last)
{
    switch (act) {
    case DR_ACT_RELU: gradient_with(DR_ACT_RELU, m, s, first, last); break;
    case DR_ACT_GELU: gradient_with(DR_ACT_GELU, m, s, first, last); break;
    case DR_ACT_GELU_TANH: gradient_with(DR_ACT_GELU_TANH, m, s, first, last); break;
    case DR_ACT_SILU: gradient_with(DR_ACT_SILU, m, s, first, last); break;
    default: gradient_with(DR_ACT_NONE, m, s, first, last); break;
    }
}

static void gradient(int64_t act, const norm_args *m, const norm_shape *s)
{
    const parts p = parts_of(s);
#pragma omp parallel for schedule(static) if (s->n * s->C > DR_CPU_PARALLEL)
    for (int64_t k = 0; k < p.count; k++) gradient_part(act, m, s, k * p.each, dr_min64(p.items, (k + 1) * p.each));
}

static void batch_norm_act_backward(const dr_kargs *a) /* x, gamma, beta, mean, var, dy -> dx, dgamma, dbeta */
{
    const dr_batch_norm_act_backward_attr *attr = a->attr;
    const norm_shape s = shape_of(&a->in[0]);
    const int64_t C = s.C;
    const float *var = dr_in(a, 4);
    float *dgamma = dr_out(a, 1), *dbeta = dr_out(a, 2);
    if (s.n == 0 || C == 0) return;

    const dr_blocks blocks = s.L > 0 ? (dr_blocks){ 1, s.n } : dr_cut(s.n, dr_rows_at_once(C));
    double *partial =
        dr_cpu_workspace(a, (size_t)(blocks.count * 3 * C) * sizeof(double) + (size_t)(3 * C) * sizeof(float));
    if (!partial) return;
    float *scale = (float *)(partial + blocks.count * 3 * C), *level = scale + C, *tilt = level + C;
    scales(dr_in(a, 1), var, attr->eps, C, scale);
    const norm_args m = { .x = dr_in(a, 0),
                          .mean = dr_in(a, 3),
                          .scale = scale,
                          .beta = dr_in(a, 2),
                          .dy = dr_in(a, 5),
                          .pitch = a->in[5].rank == 4 ? dr_pixel_pitch(&a->in[5]) : C,
                          .dx = dr_out(a, 0),
                          .level = level,
                          .tilt = tilt };
    sums(attr->act, &m, &s, blocks, partial);
    for (int64_t c = 0; c < C; c++) {
        const double rstd = 1.0 / sqrt((double)var[c] + attr->eps);
        double dz = 0, dzd = 0;
        for (int64_t k = 0; k < blocks.count; k++) {
            dz += partial[k * 3 * C + c];
            dzd += partial[k * 3 * C + C + c];
        }
        dbeta[c] = (float)dz;
        dgamma[c] = (float)(dzd * rstd);
        level[c] = (float)(dz / (double)s.n);
        tilt[c] = (float)(dzd * rstd * rstd / (double)s.n);
    }
    gradient(attr->act, &m, &s);
}

/* running_mean, running_var, mean, var, num_batches_tracked or NULL; running = (1 - momentum) running + momentum batch,
 * in place, where the batch's variance is the unbiased one */
static void batch_norm_update_f32(const dr_kargs *a)
{
    const dr_batch_norm_update_attr *attr = a->attr;
    const double unbiased = attr->count > 1 ? (double)attr->count / (double)(attr->count - 1) : 1.0;
    float *running_mean = dr_in(a, 0), *running_var = dr_in(a, 1);
    const float *mean = dr_in(a, 2), *var = dr_in(a, 3);
    int64_t *batches = dr_optional(a, 4);
    for (int64_t c = 0; c < dr_numel(&a->in[0]); c++) {
        running_mean[c] = (float)((1.0 - attr->momentum) * (double)running_mean[c] + attr->momentum * (double)mean[c]);
        running_var[c] =
            (float)((1.0 - attr->momentum) * (double)running_var[c] + attr->momentum * (double)var[c] * unbiased);
    }
    if (batches) *batches += 1;
}

DR_KERNEL(batch_norm_act, DR_F32, batch_norm_act)
DR_KERNEL(batch_norm_act, DR_BF16, batch_norm_act)
DR_KERNEL(batch_norm_act_backward, DR_F32, batch_norm_act_backward)
DR_KERNEL(batch_norm_act_backward, DR_BF16, batch_norm_act_backward)
DR_KERNEL(batch_norm_eval, DR_F32, batch_norm_eval)
DR_KERNEL(batch_norm_eval, DR_BF16, batch_norm_eval)
DR_KERNEL(batch_norm_update, DR_F32, batch_norm_update_f32)
