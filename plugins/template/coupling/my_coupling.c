/* my_coupling.c: the brightest image of a batch goes with the brightest noise, the next with the next, ...
 *   order sorts mean(eps) as mean(x0) is sorted: optimal transport of the two means, along one direction of image space
 * O(B log B), where the exact assignment (drift.coupling.minibatch_ot) takes O(B^3). */
#include <drift/plugin.h>
#include <stdlib.h>

typedef struct { int64_t unused; } my_coupling; /* no parameters: params is NULL below */

typedef struct { double mean; int64_t row; } row_mean;

static int compare(const void *a, const void *b)
{
    const row_mean *x = a, *y = b;
    if (x->mean != y->mean) return x->mean < y->mean ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);            /* equal means keep their order: the same everywhere */
}

/* The rows of x [B,...] by their mean, darkest first. `room` holds B doubles. */
static dr_status sorted_rows(dr_tensor *x, int64_t B, double *room, row_mean *rows)
{
    dr_tensor *mean = dr_mean(dr_reshape(x, DR_SHAPE(B, -1)), 1, (int64_t[]){ 1 }, 0);  /* [B] */
    if (!mean || dr_tensor_read(mean, DR_F64, room) != DR_OK) return dr_failed();
    for (int64_t i = 0; i < B; i++) rows[i] = (row_mean){ room[i], i };
    qsort(rows, (size_t)B, sizeof *rows, compare);
    return DR_OK;
}

/* order[i]: the row of eps that goes with image i; a permutation of 0..B-1, which the host checks. x0 and eps are of one
 * shape [B,...]; label is i32 [B] or NULL. Rows may only change places: what noise there is stays as it was drawn. */
static dr_status pair(void *self, dr_tensor *x0, dr_tensor *eps, dr_tensor *label, int64_t *order)
{
    (void)self, (void)label;
    const dr_view *v = dr_tensor_view(x0);
    if (!v) return dr_failed();
    const int64_t B = v->shape[0];
    row_mean *rows = calloc(2 * (size_t)B + 1, sizeof *rows);
    double *room = calloc((size_t)B + 1, sizeof *room);
    dr_status status = rows && room ? DR_OK : dr_fail(DR_ENOMEM, "coupling my_coupling: no memory for %lld rows", (long long)B);
    if (status == DR_OK) status = sorted_rows(x0, B, room, rows);
    if (status == DR_OK) status = sorted_rows(eps, B, room, rows + B);
    for (int64_t k = 0; status == DR_OK && k < B; k++) order[rows[k].row] = rows[B + k].row;
    free(rows);
    free(room);
    return status;
}

DR_COUPLING(my_coupling, "Images and noise paired by their brightness", NULL, .pair = pair)
