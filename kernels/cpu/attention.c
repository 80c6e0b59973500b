/* attention.c: softmax(q k^T scale + mask) v in one pass over the keys, without the matrix of scores in memory.
 * A block is PANEL queries, one to a lane, and KEYS keys:
 *   P [keys,queries] = exp(k q^T scale + mask - m),  m the largest score so far,  y^T [D,queries] += v^T P,  l += sum P
 * where a larger m is met, y and l so far are scaled down to it; in the end y / l. All of it is f32, whatever q, k and v
 * are. A query's sums depend on its keys alone.            Rabe & Staats 2021, Milakov & Gimelshein 2018, Dao et al. 2022 */
#include "bf16.h"
#include "conv2d_winograd_parts.h"
#include "weight_pack.h"
#include <math.h>
#include <omp.h>
#include <string.h>

enum { KEYS = 256 };

typedef struct attention {
    int64_t B, H, L, S, D, chunks, blocks; /* blocks of queries, in so many chunks that threads share */
    float scale;
    const dr_view *q, *k, *v, *mask, *y;
    int64_t mask_stride[4];
    bool copies_k, copies_v; /* into rows of f32 */
} attention;

typedef struct room { /* of a thread; queries are in lanes */
    float *q, *scores, *y;        /* [D,PANEL], [KEYS,PANEL], [D,PANEL] */
    float *largest, *sum, *k, *v; /* [PANEL], [PANEL], [S,D], [S,D] */
} room;

static int64_t room_floats(const attention *t)
{
    return (2 * t->D + KEYS + 2) * PANEL + (t->copies_k + t->copies_v) * t->S * t->D + LANES;
}

static room room_at(const attention *t, float *at)
{
    room r = { .q = at, .scores = at + t->D * PANEL };
    r.y = r.scores + KEYS * PANEL;
    r.largest = r.y + t->D * PANEL;
    r.sum = r.largest + PANEL;
    r.k = r.sum + PANEL;
    r.v = r.k + t->copies_k * t->S * t->D;
    return r;
}

/* ---- numbers of any float dtype, at any strides ------------------------------------------------------------------- */

static const void *row_of(const dr_view *x, int64_t b, int64_t h, int64_t i)
{
    const int64_t at = b * x->stride[0] + h * x->stride[1] + i * x->stride[2];
    return (const char *)x->data + at * (x->dtype == DR_F32 ? 4 : 2);
}

static float number(int32_t dtype, const void *x, int64_t i)
{
    if (dtype == DR_F16) return dr_f16_value(x, i);
    return dr_load(dtype == DR_F32 ? DR_F32 : DR_BF16, x, i);
}

static void read_row(const dr_view *x, int64_t b, int64_t h, int64_t i, int64_t D, float *to)
{
    const void *from = row_of(x, b, h, i);
    if (x->stride[3] == 1 && x->dtype == DR_F32) memcpy(to, from, (size_t)D * sizeof *to);
    else if (x->stride[3] == 1 && x->dtype == DR_BF16)
        for (int64_t d = 0; d < D; d++) to[d] = dr_load(DR_BF16, from, d);
    else
        for (int64_t d = 0; d < D; d++) to[d] = number(x->dtype, from, d * x->stride[3]);
}

/* ---- one block of queries ------------------------------------------------------------------------------------------ */

/* The queries from `first` on, scaled, turned so that each is a lane; lanes past the last one are 0. */
static void read_queries(const attention *t, room *r, int64_t b, int64_t h, int64_t first)
{
    const int64_t n = dr_min64(PANEL, t->L - first);
    memset(r->q, 0, (size_t)(t->D * PANEL) * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        read_row(t->q, b, h, first + i, t->D, r->y); /* y is free as yet */
        for (int64_t d = 0; d < t->D; d++) r->q[d * PANEL + i] = r->y[d] * t->scale;
    }
    memset(r->y, 0, (size_t)(t->D * PANEL) * sizeof(float));
    for (int i = 0; i < PANEL; i++) r->largest[i] = -INFINITY, r->sum[i] = 0.0f;
}

static void add_mask(const attention *t, room *r, int64_t b, int64_t h, int64_t first, int64_t key, int64_t keys)
{
    const int64_t *stride = t->mask_stride, n = dr_min64(PANEL, t->L - first);
    for (int64_t s = 0; s < keys; s++) {
        const int64_t at = b * stride[0] + h * stride[1] + first * stride[2] + (key + s) * stride[3];
        for (int64_t i = 0; i < n; i++) r->scores[s * PANEL + i] += number(t->mask->dtype, t->mask->data, at + i * stride[2]);
    }
}

/* scores -> exp(scores - largest); what was summed up before is scaled to the new largest. A query that may see none of
 * the keys so far has -infinity as its largest: nothing is subtracted there. */
static void soften(const attention *t, room *r, int64_t keys)
{
    float shift[PANEL], factor[PANEL], sum[PANEL] = { 0 };
    bool larger = false;
    for (int i = 0; i < PANEL; i++) shift[i] = r->largest[i];
    for (int64_t s = 0; s < keys; s++)
        for (int i = 0; i < PANEL; i++) {
            const float score = r->scores[s * PANEL + i];
            shift[i] = score > shift[i] ? score : shift[i];
        }
    for (int i = 0; i < PANEL; i++) {
        larger |= shift[i] > r->largest[i];
        const float before = r->largest[i];
        r->largest[i] = shift[i];
        shift[i] = shift[i] == -INFINITY ? 0.0f : shift[i];
        factor[i] = before == -INFINITY ? 0.0f : vm_exp(before - shift[i]);
    }
    for (int64_t s = 0; s < keys; s++)
        for (int i = 0; i < PANEL; i++) {
            const float e = vm_exp(r->scores[s * PANEL + i] - shift[i]);
            r->scores[s * PANEL + i] = e;
            sum[i] += e;
        }
    for (int i = 0; i < PANEL; i++) r->sum[i] = r->sum[i] * factor[i] + sum[i];
    for (int64_t d = 0; larger && d < t->D; d++)
        for (int i = 0; i < PANEL; i++) r->y[d * PANEL + i] *= factor[i];
}

static void write_queries(const attention *t, const room *r, int64_t b, int64_t h, int64_t first)
{
    const int64_t n = dr_min64(PANEL, t->L - first), stride = t->y->stride[3];
    for (int64_t i = 0; i < n; i++) {
        void *to = (void *)(uintptr_t)row_of(t->y, b, h, first + i);
        for (int64_t d = 0; d < t->D; d++) {
            const float y = r->y[d * PANEL + i] / r->sum[i];
            if (t->y->dtype == DR_F16) dr_f16_store(to, d * stride, y);
            else dr_store(t->y->dtype == DR_F32 ? DR_F32 : DR_BF16, to, d * stride, y);
        }
    }
}

/* k and v: rows of f32, so far apart */
static void block(const attention *t, room *r, int64_t b, int64_t h, int64_t first, const float *k, int64_t k_row,
                  const float *v, int64_t v_row)
{
    read_queries(t, r, b, h, first);
    for (int64_t key = 0; key < t->S; key += KEYS) {
        const int64_t keys = dr_min64(KEYS, t->S - key);
        dr_winograd_product(keys, t->D, k + key * k_row, k_row, r->q, r->scores);
        if (t->mask) add_mask(t, r, b, h, first, key, keys);
        soften(t, r, keys);
        dr_winograd_add_product(t->D, keys, v + key * v_row, v_row, r->scores, PANEL, r->y);
    }
    write_queries(t, r, b, h, first);
}

/* ---- all of them --------------------------------------------------------------------------------------------------- */

static const float *rows_in_f32(const attention *t, const dr_view *x, int64_t b, int64_t h, bool copy, float *room,
                                int64_t *row)
{
    *row = copy ? t->D : x->stride[2];
    if (!copy) return row_of(x, b, h, 0);
    for (int64_t s = 0; s < t->S; s++) read_row(x, b, h, s, t->D, room + s * t->D);
    return room;
}

static void chunk(const attention *t, room *r, int64_t item)
{
    const int64_t head = item / t->chunks, part = item % t->chunks, b = head / t->H, h = head % t->H;
    const int64_t first = part * t->blocks / t->chunks, last = (part + 1) * t->blocks / t->chunks;
    int64_t k_row, v_row;
    const float *k = rows_in_f32(t, t->k, b, h, t->copies_k, r->k, &k_row);
    const float *v = rows_in_f32(t, t->v, b, h, t->copies_v, r->v, &v_row);
    for (int64_t i = first; i < last; i++) block(t, r, b, h, i * PANEL, k, k_row, v, v_row);
}

static void lay_mask(attention *t, const dr_view *mask)
{
    const int64_t shape[] = { t->B, t->H, t->L, t->S };
    t->mask = mask;
    for (int i = 0; i < 4; i++) {
        const int axis = i - (4 - mask->rank);
        t->mask_stride[i] = axis < 0 || (mask->shape[axis] == 1 && shape[i] != 1) ? 0 : mask->stride[axis];
    }
}

static void attention_any(const dr_kargs *a) /* q [B,H,L,D], k and v [B,H,S,D], mask or NULL -> y [B,H,L,D] */
{
    const dr_view *q = &a->in[0], *k = &a->in[1], *v = &a->in[2];
    const double scale = ((const dr_attention_attr *)a->attr)->scale;
    attention t = { .B = q->shape[0], .H = q->shape[1], .L = q->shape[2], .S = k->shape[2], .D = q->shape[3],
                    .q = q, .k = k, .v = v, .y = &a->out[0] };
    if (dr_numel(t.y) == 0) return;
    t.scale = (float)(scale != 0.0 ? scale : 1.0 / sqrt((double)t.D));
    t.blocks = (t.L + PANEL - 1) / PANEL;
    t.copies_k = k->dtype != DR_F32 || k->stride[3] != 1;
    t.copies_v = v->dtype != DR_F32 || v->stride[3] != 1;
    if (dr_optional(a, 3)) lay_mask(&t, &a->in[3]);
    const int64_t threads = omp_get_max_threads(), heads = t.B * t.H, each = room_floats(&t);
    t.chunks = dr_min64(t.blocks, (4 * threads + heads - 1) / heads);
    float *memory = dr_cpu_workspace(a, (size_t)(threads * each) * sizeof(float));
    if (!memory) return;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t item = 0; item < heads * t.chunks; item++) {
        room r = room_at(&t, memory + omp_get_thread_num() * each);
        chunk(&t, &r, item);
    }
}

DR_KERNEL(attention, DR_F32, attention_any)
DR_KERNEL(attention, DR_BF16, attention_any)
DR_KERNEL(attention, DR_F16, attention_any)
