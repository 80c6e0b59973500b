/* reduce.c: sum, mean and amax over some axes; sum_to, which undoes broadcasting. x is dense in any order; its axes are
 * taken as they lie in memory, neighbours that go the same way merged into one: [kept, reduced, kept] for the sum of
 * channels-last images over their pixels. What is innermost decides the loop:
 *   kept      columns: rows of x are added into an array of totals, a vector at a time
 *   reduced   runs: each run of x becomes one number
 * Totals are doubles, over blocks of rows that depend on the shape alone. x is f32 or bf16; sums are f32. */
#include "bf16.h"
#include "cpu_backend.h"
#include <math.h>
#include <stdbool.h>

typedef struct axis {
    int64_t n, stride, out;
} axis; /* out: the output's stride, 0 where reduced */

typedef struct split {
    axis kept[DR_MAX_RANK], reduced[DR_MAX_RANK]; /* without the innermost axis of x, outermost first */
    int kept_axes, reduced_axes;
    axis inner;           /* stride 1 */
    int64_t last_run;     /* length of the last run where a long one was cut, else inner.n */
    bool columns;         /* the innermost axis is kept */
    int64_t groups, rows; /* products of kept and of reduced */
} split;

/* x's axes by falling stride; size 1 left out; merged where both x and the output step evenly through two of them. */
static int merged_axes(const dr_view *x, const int64_t out[DR_MAX_RANK], axis list[DR_MAX_RANK])
{
    int n = 0;
    for (int d = 0; d < x->rank; d++) {
        if (x->shape[d] == 1) continue;
        int at = n++;
        for (; at > 0 && list[at - 1].stride < x->stride[d]; at--) list[at] = list[at - 1];
        list[at] = (axis){ x->shape[d], x->stride[d], out[d] };
    }
    int last = 0;
    for (int i = 1; i < n; i++) {
        const axis *outer = &list[last], *inner = &list[i];
        const bool even = outer->stride == inner->stride * inner->n && outer->out == inner->out * inner->n;
        if (even) list[last] = (axis){ outer->n * inner->n, inner->stride, inner->out };
        else list[++last] = *inner;
    }
    return n > 0 ? last + 1 : 0;
}

static split split_of(const dr_view *x, const int64_t out[DR_MAX_RANK])
{
    axis list[DR_MAX_RANK];
    const int n = merged_axes(x, out, list);
    split w = { .inner = { 1, 1, 0 }, .groups = 1, .rows = 1 };
    if (n > 0) w.inner = list[n - 1];
    w.columns = w.inner.out != 0;
    w.last_run = w.inner.n;
    for (int i = 0; i + 1 < n; i++) {
        if (list[i].out != 0) {
            w.kept[w.kept_axes++] = list[i];
            w.groups *= list[i].n;
        } else {
            w.reduced[w.reduced_axes++] = list[i];
            w.rows *= list[i].n;
        }
    }
    return w;
}

/* Offsets into x and into the output of the i-th position over the axes, counted with the innermost fastest. */
static int64_t seek(const axis *list, int n, int64_t i, int64_t *out)
{
    int64_t offset = 0;
    for (int k = n - 1; k >= 0; k--) {
        const int64_t at = k > 0 ? i % list[k].n : i;
        i /= list[k].n;
        offset += at * list[k].stride;
        if (out) *out += at * list[k].out;
    }
    return offset;
}

/* ---- sum and maximum: `maximum` is a constant where these are called, so each becomes a loop of its own ---------- */

VM_INLINE double larger(double total, double x) /* NaN wins */ { return x > total || x != x ? x : total; }

VM_INLINE double start_of(bool maximum) { return maximum ? -(double)INFINITY : 0.0; }

VM_INLINE double sum_of_run(int type, const void *x, int64_t n)
{
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; i++) total += (double)dr_load(type, x, i);
    return total;
}

VM_INLINE double maximum_of_run(int type, const void *x, int64_t n)
{
    enum { LANES = 32 };
    float lane[LANES];
    int64_t i = 0;
    for (int l = 0; l < LANES; l++) lane[l] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) {
            const float value = dr_load(type, x, i + l);
            lane[l] = value > lane[l] || value != value ? value : lane[l];
        }
    double total = -(double)INFINITY;
    for (int l = 0; l < LANES; l++) total = larger(total, (double)lane[l]);
    for (; i < n; i++) total = larger(total, (double)dr_load(type, x, i));
    return total;
}

VM_INLINE void add_row(int type, bool maximum, const void *x, double *restrict total, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double value = (double)dr_load(type, x, i);
        total[i] = maximum ? larger(total[i], value) : total[i] + value;
    }
}

/* Rows [from, to) of one group: into total[width] where columns, else total[0]. */
VM_INLINE void rows_of_group(int type, bool maximum, const split *w, const void *x, double *total, int64_t width,
                             int64_t from, int64_t to)
{
    const int last = w->reduced_axes - 1;
    const int64_t n = last >= 0 ? w->reduced[last].n : 1, stride = last >= 0 ? w->reduced[last].stride : 0;
    const int64_t count = w->columns ? width : 1;
    for (int64_t i = 0; i < count; i++) total[i] = start_of(maximum);
    for (int64_t row = from; row < to;) { /* a stretch along the innermost of the reduced axes */
        const int64_t length = dr_min64(n - row % n, to - row);
        const int64_t at = seek(w->reduced, w->reduced_axes, row, NULL);
        for (int64_t k = 0; k < length; k++) {
            const void *p = dr_from(type, x, at + k * stride);
            const int64_t run = row + k == w->rows - 1 ? w->last_run : w->inner.n;
            if (w->columns) add_row(type, maximum, p, total, width);
            else if (maximum) total[0] = larger(total[0], maximum_of_run(type, p, run));
            else total[0] += sum_of_run(type, p, run);
        }
        row += length;
    }
}

/* ---- the work is groups x tiles of columns x blocks of rows ------------------------------------------------------ */

enum { TILE = 256, ITEMS_ENOUGH = 64 };

/* Where groups are single runs, a long run becomes rows of 4096 and a rest, which blocks can share. */
static void cut_long_run(split *w)
{
    enum { RUN = 4096 };
    if (w->columns || w->reduced_axes > 0 || w->inner.n <= RUN) return;
    w->rows = (w->inner.n + RUN - 1) / RUN;
    w->last_run = w->inner.n - (w->rows - 1) * RUN;
    w->reduced[w->reduced_axes++] = (axis){ w->rows, RUN, 0 };
    w->inner.n = RUN;
}

typedef struct work {
    split w;
    int64_t tiles, width; /* of the columns of one group; 1, 1 for runs */
    int64_t items;        /* groups x tiles */
    dr_blocks cut;        /* of the rows of an item */
    bool maximum;
    int type, out_type; /* of x and of y: DR_F32 or DR_BF16 */
} work;

static work work_of(const dr_view *x, const dr_view *y, const int64_t out[DR_MAX_RANK], bool maximum)
{
    work k = { .w = split_of(x, out), .tiles = 1, .width = 1, .maximum = maximum, .type = x->dtype,
               .out_type = y->dtype };
    cut_long_run(&k.w);
    int64_t row = k.w.inner.n; /* elements that are read together */
    if (k.w.columns) {
        row = k.width = dr_min64(k.w.inner.n, TILE);
        k.tiles = (k.w.inner.n + TILE - 1) / TILE;
    }
    k.items = k.w.groups * k.tiles;
    k.cut = dr_cut(k.w.rows, k.items < ITEMS_ENOUGH ? 1 + DR_CPU_PARALLEL / 2 / row : k.w.rows);
    return k;
}

static int64_t columns_of(const work *k, int64_t item)
{
    return k->w.columns ? dr_min64(TILE, k->w.inner.n - item % k->tiles * TILE) : 1;
}

/* One block of one item: total[columns_of] */
VM_INLINE void block_of(int type, const work *k, const void *x, int64_t item, int64_t block, double *total)
{
    const split *w = &k->w;
    const int64_t from = block * k->cut.size, to = dr_min64(from + k->cut.size, w->rows);
    const int64_t at = seek(w->kept, w->kept_axes, item / k->tiles, NULL) + item % k->tiles * TILE;
    const void *group = dr_from(type, x, at);
    if (k->maximum) rows_of_group(type, true, w, group, total, columns_of(k, item), from, to);
    else rows_of_group(type, false, w, group, total, columns_of(k, item), from, to);
}

static void block_total(const work *k, const void *x, int64_t item, int64_t block, double *total)
{
    if (k->type == DR_BF16) block_of(DR_BF16, k, x, item, block, total);
    else block_of(DR_F32, k, x, item, block, total);
}

static void join_blocks(const work *k, double *total, int64_t columns) /* [blocks,width], into the first */
{
    for (int64_t b = 1; b < k->cut.count; b++)
        for (int64_t c = 0; c < columns; c++) {
            const double next = total[b * k->width + c];
            total[c] = k->maximum ? larger(total[c], next) : total[c] + next;
        }
}

static void write(const work *k, void *y, int64_t at, double value)
{
    if (k->out_type == DR_BF16) dr_store(DR_BF16, y, at, (float)value);
    else dr_store(DR_F32, y, at, (float)value);
}

static void write_item(const work *k, int64_t item, const double *total, double factor, void *y)
{
    int64_t place = 0;
    seek(k->w.kept, k->w.kept_axes, item / k->tiles, &place);
    place += item % k->tiles * TILE * k->w.inner.out;
    for (int64_t c = 0; c < columns_of(k, item); c++) write(k, y, place + c * k->w.inner.out, factor * total[c]);
}

/* x -> y = factor * (reduction of x); out[d]: stride of y along x's axis d, 0 where it is reduced */
static void reduce(const dr_kargs *a, const int64_t out[DR_MAX_RANK], bool maximum, double factor)
{
    const void *x = dr_in(a, 0);
    void *y = dr_out(a, 0);
    const int64_t n = dr_numel(&a->in[0]), kept = dr_numel(&a->out[0]);
    const work k = work_of(&a->in[0], &a->out[0], out, maximum);
    if (n == 0) {
        for (int64_t i = 0; i < kept; i++) write(&k, y, i, factor * start_of(maximum));
        return;
    }
    const int64_t blocks = k.cut.count;
    if (blocks == 1) {
#pragma omp parallel for schedule(static) if (n > DR_CPU_PARALLEL)
        for (int64_t item = 0; item < k.items; item++) {
            double total[TILE];
            block_total(&k, x, item, 0, total);
            write_item(&k, item, total, factor, y);
        }
        return;
    }
    double *partial = dr_cpu_workspace(a, (size_t)(k.items * blocks * k.width) * sizeof(double));
    if (!partial) return;
#pragma omp parallel for schedule(static) if (n > DR_CPU_PARALLEL)
    for (int64_t i = 0; i < k.items * blocks; i++) block_total(&k, x, i / blocks, i % blocks, partial + i * k.width);
    for (int64_t item = 0; item < k.items; item++) {
        double *total = partial + item * blocks * k.width;
        join_blocks(&k, total, columns_of(&k, item));
        write_item(&k, item, total, factor, y);
    }
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

static void strides_of_kept(const dr_view *x, const bool reduced[DR_MAX_RANK], int64_t out[DR_MAX_RANK])
{
    int64_t stride = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        out[d] = reduced[d] ? 0 : stride;
        if (!reduced[d]) stride *= x->shape[d];
    }
}

static void over_dims(const dr_kargs *a, bool maximum, bool mean)
{
    const dr_ints *dims = &((const dr_reduce_attr *)a->attr)->dims;
    const dr_view *x = &a->in[0];
    bool reduced[DR_MAX_RANK];
    int64_t out[DR_MAX_RANK], count = 1; /* elements of x for each of y */
    for (int d = 0; d < DR_MAX_RANK; d++) reduced[d] = dims->n == 0;
    for (int64_t i = 0; i < dims->n; i++) reduced[dims->v[i] < 0 ? dims->v[i] + x->rank : dims->v[i]] = true;
    for (int d = 0; d < x->rank; d++) count *= reduced[d] ? x->shape[d] : 1;
    strides_of_kept(x, reduced, out);
    reduce(a, out, maximum, mean ? 1.0 / (double)count : 1.0);
}

static void sum(const dr_kargs *a) { over_dims(a, false, false); }
static void mean(const dr_kargs *a) { over_dims(a, false, true); } /* of nothing: NaN */
static void amax(const dr_kargs *a) { over_dims(a, true, false); }

static void sum_to(const dr_kargs *a) /* x -> y, whose shape broadcasts to x's */
{
    const dr_view *x = &a->in[0], *y = &a->out[0];
    bool reduced[DR_MAX_RANK];
    int64_t out[DR_MAX_RANK];
    for (int d = 0; d < x->rank; d++) {
        const int own = d - (x->rank - y->rank); /* the same axis in y */
        reduced[d] = own < 0 || y->shape[own] != x->shape[d];
    }
    strides_of_kept(x, reduced, out);
    reduce(a, out, false, 1.0);
}

DR_KERNEL(sum, DR_F32, sum)
DR_KERNEL(sum, DR_BF16, sum)
DR_KERNEL(mean, DR_F32, mean)
DR_KERNEL(mean, DR_BF16, mean)
DR_KERNEL(amax, DR_F32, amax)
DR_KERNEL(amax, DR_BF16, amax)
DR_KERNEL(sum_to, DR_F32, sum_to)
DR_KERNEL(sum_to, DR_BF16, sum_to)
