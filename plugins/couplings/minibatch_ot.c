/* minibatch_ot.c: the noise of a batch is paired with its images so that the ways are short in sum: straighter flows.
 *   order = argmin over permutations of sum_i |x0_i - eps_order(i)|^2     Pooladian et al. 2023; Tong et al. 2024
 * Exact (assignment.c), O(B^3) on the host. |x0|^2 and |eps|^2 add the same to every permutation, so the costs are the
 * products -x0_i . eps_j alone. The pairing depends on who is in the batch, by its nature: on batch size and order too.
 * class_aware: rows change places within their class only, so that noise stays independent of the class, as sampling
 * with a class needs it. */
#include "assignment.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct { _Bool class_aware; } minibatch_ot;

static const dr_param params[] = {
    DR_BOOL(minibatch_ot, class_aware, 0, "pair within each class only, for networks that are told the class"),
    DR_END
};

static dr_tensor *flat(dr_tensor *x) { return dr_cast(dr_reshape(x, DR_SHAPE(dr_tensor_view(x)->shape[0], -1)), DR_F32); } /* [B,D] */

/* -x0_i . eps_j [B,B] on the host; malloc'd. */
static double *read_costs(dr_tensor *x0, dr_tensor *eps, int64_t B)
{
    double *cost = malloc((size_t)(B * B) * sizeof *cost + 1);
    if (!cost) {
        dr_fail(DR_ENOMEM, "coupling minibatch_ot: no memory for a batch of %lld", (long long)B);
        return NULL;
    }
    dr_tensor *products = dr_matmul(flat(x0), flat(eps), false, true);
    if (!products || dr_tensor_read(products, DR_F64, cost) != DR_OK) {
        free(cost);
        return NULL;
    }
    for (int64_t i = 0; i < B * B; i++) {
        cost[i] = -cost[i];
        if (isfinite(cost[i])) continue;
        dr_fail(DR_EINVAL, "coupling minibatch_ot: image %lld and noise %lld have no finite product", (long long)(i / B),
                (long long)(i % B));
        free(cost);
        return NULL;
    }
    return cost;
}

/* Pairs the rows of one class among themselves; rows[n] are their numbers. part[n*n] and column[n] are room. */
static dr_status pair_rows(const double *cost, int64_t B, const int64_t *rows, int64_t n, double *part, int64_t *column,
                           int64_t *order)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) part[i * n + j] = cost[rows[i] * B + rows[j]];
    }
    const dr_status status = solve_assignment(part, n, column);
    for (int64_t i = 0; i < n && status == DR_OK; i++) order[rows[i]] = rows[column[i]];
    return status;
}

static dr_status pair_classes(const double *cost, int64_t B, const int32_t *label, int64_t *order)
{
    double *part = malloc((size_t)(B * B) * sizeof *part + 1);
    int64_t *rows = malloc((size_t)B * sizeof *rows + 1), *column = malloc((size_t)B * sizeof *column + 1);
    dr_status status = part && rows && column ? DR_OK : dr_fail(DR_ENOMEM, "coupling minibatch_ot: no memory");
    for (int64_t first = 0; first < B && status == DR_OK; first++) {
        int64_t n = 0, before = 0;
        while (before < first && label[before] != label[first]) before++;
        if (before < first) continue; /* its class is paired already */
        for (int64_t i = first; i < B; i++) {
            if (label[i] == label[first]) rows[n++] = i;
        }
        status = pair_rows(cost, B, rows, n, part, column, order);
    }
    free(part);
    free(rows);
    free(column);
    return status;
}

static dr_status pair_within_classes(const double *cost, int64_t B, dr_tensor *label, int64_t *order)
{
    int32_t *labels = malloc((size_t)B * sizeof *labels + 1);
    dr_status status = labels ? dr_tensor_read(label, DR_I32, labels) : dr_fail(DR_ENOMEM, "coupling minibatch_ot: no memory");
    if (status == DR_OK) status = pair_classes(cost, B, labels, order);
    free(labels);
    return status;
}

static dr_status pair(void *self, dr_tensor *x0, dr_tensor *eps, dr_tensor *label, int64_t *order)
{
    const minibatch_ot *p = self;
    const int64_t B = dr_tensor_view(x0)->shape[0];
    if (p->class_aware && !label) return dr_fail(DR_EINVAL, "coupling minibatch_ot: class_aware needs data with labels");
    double *cost = read_costs(x0, eps, B);
    if (!cost) return dr_failed();
    const dr_status status = p->class_aware ? pair_within_classes(cost, B, label, order) : solve_assignment(cost, B, order);
    free(cost);
    return status;
}

DR_COUPLING(minibatch_ot, "Exact optimal transport within the batch; the pairs depend on the batch's size and rows", params,
            .pair = pair)
