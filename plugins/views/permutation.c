/* permutation.c: pixels in any order: (V x)[i] = x[order[i]]. Pixels count from 0, row by row.
 *   drift.view.permutation { order = drift.tensor({ { 3, 2 }, { 1, 0 } }, "i32") }      [h,w], or a list { ... } of h w
 *   drift.view.permutation { from = function(row, column, H, W) return (H - 1 - row) * W + column end }
 * A list is of a square image. An image k times as large as `order` moves in blocks of k x k pixels, so one view serves
 * both stages of a model. `from` is asked for each pixel of each size once. */
#include "pixels.h"

#include <stdlib.h>

typedef struct {
    dr_tensor *order;
    dr_function from;
    int64_t rows, columns; /* of order; with `from`: of the size that it was last asked for */
    int32_t *table;        /* order[rows * columns], checked */
} permutation;

static const dr_param params[] = {
    DR_TENSOR(permutation, order, "i32",
              "[h,w] or a list of h w: where each pixel of the view comes from; this or from"),
    DR_FUNCTION(permutation, from, "int(int,int,int,int)",
                "the same from row, column, height and width; this or order"),
    DR_END,
};

/* Every pixel is taken once. */
static dr_status check(const int32_t *order, int64_t n)
{
    _Bool *seen = calloc((size_t)(n > 0 ? n : 1), sizeof *seen);
    if (!seen) return dr_fail(DR_ENOMEM, "view permutation: no memory for %lld pixels", (long long)n);
    int64_t bad = -1;
    for (int64_t i = 0; i < n && bad < 0; i++) {
        if (order[i] < 0 || order[i] >= n || seen[order[i]]) {
            bad = i;
        } else {
            seen[order[i]] = 1;
        }
    }
    free(seen);
    if (bad < 0) return DR_OK;
    if (order[bad] < 0 || order[bad] >= n) {
        return dr_fail(DR_EINVAL, "view permutation: pixel %lld comes from %d, outside [0, %lld]", (long long)bad,
                       order[bad], (long long)n - 1);
    }
    return dr_fail(DR_EINVAL, "view permutation: pixel %d is taken twice, the second time as pixel %lld", order[bad],
                   (long long)bad);
}

static int32_t *new_table(int64_t rows, int64_t columns)
{
    int32_t *table = malloc((size_t)(rows * columns > 0 ? rows * columns : 1) * sizeof *table);
    if (!table)
        dr_fail(DR_ENOMEM, "view permutation: no memory for %lld x %lld pixels", (long long)rows, (long long)columns);
    return table;
}

static dr_status create(void *self)
{
    permutation *p = self;
    if (!p->order == !p->from) return dr_fail(DR_EINVAL, "view permutation: needs order or from, one of them");
    if (p->from) return DR_OK;
    const dr_view *v = dr_tensor_view(p->order);
    int64_t side = 0;
    while (v->rank == 1 && side * side < v->shape[0]) side++;
    if (v->rank < 1 || v->rank > 2 || (v->rank == 1 && side * side != v->shape[0])) {
        return dr_fail(DR_ESHAPE, "view permutation: order must be [h,w], or a list of the pixels of a square image");
    }
    p->rows = v->rank == 1 ? side : v->shape[0], p->columns = v->rank == 1 ? side : v->shape[1];
    if (p->rows * p->columns == 0) return dr_fail(DR_EINVAL, "view permutation: order is empty");
    p->table = new_table(p->rows, p->columns);
    if (!p->table) return dr_failed();
    const dr_status status = dr_tensor_read(p->order, DR_I32, p->table);
    return status != DR_OK ? status : check(p->table, p->rows * p->columns);
}

static void destroy(void *self) { free(((permutation *)self)->table); }

/* table[H*W] from the function, checked. */
static dr_status ask_each(const permutation *p, int64_t H, int64_t W, int32_t *table)
{
    for (int64_t i = 0; i < H * W && !dr_failed(); i++) {
        const int64_t from = ((int64_t(*)(int64_t, int64_t, int64_t, int64_t))p->from)(i / W, i % W, H, W);
        if (from < 0 || from >= H * W) {
            return dr_fail(DR_EINVAL, "view permutation: from(%lld, %lld, %lld, %lld) = %lld is outside [0, %lld]",
                           (long long)(i / W), (long long)(i % W), (long long)H, (long long)W, (long long)from,
                           (long long)(H * W - 1));
        }
        table[i] = (int32_t)from;
    }
    return dr_failed() ? dr_failed() : check(table, H * W);
}

/* The function may itself look through this view, so p has no table that is half filled. */
static dr_status ask(permutation *p, int64_t H, int64_t W)
{
    if (p->table && p->rows == H && p->columns == W) return DR_OK;
    int32_t *table = new_table(H, W);
    if (!table) return dr_failed();
    if (ask_each(p, H, W, table) != DR_OK) {
        free(table);
        return dr_failed();
    }
    free(p->table);
    p->table = table;
    p->rows = H, p->columns = W;
    return DR_OK;
}

static dr_status fill(const void *self, int64_t H, int64_t W, int32_t *from)
{
    permutation *p = (permutation *)(uintptr_t)self; /* it remembers the last size */
    if (p->from && ask(p, H, W) != DR_OK) return dr_failed();
    return pixels_of_blocks("permutation", p->rows, p->columns, p->table, H, W, from);
}

static dr_tensor *apply(void *self, dr_tensor *x) { return pixels_seen("permutation", fill, self, x); }
static dr_tensor *invert(void *self, dr_tensor *y) { return pixels_unseen("permutation", fill, self, y); }

DR_VIEW(permutation, "Pixels in any order, given as numbers or by a function", params, .apply = apply, .invert = invert,
        .create = create, .destroy = destroy)
