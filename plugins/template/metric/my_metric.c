/* my_metric.c: do samples have the brightness of real images, and as much variety of it?
 *   mean_gap   = |mean b(samples) - mean b(real)|,     b(image) = mean of its pixels
 *   spread_gap = |std b(samples) - std b(real)|        ideal: 0 */
#include <drift/plugin.h>
#include <math.h>
#include <stdlib.h>

/* No parameters here; what is kept of the images is private state, zeroed before the first reset. */
typedef struct { double *v; int64_t n, room; } numbers;
typedef struct { numbers real, seen; } my_metric;

/* Appends the mean of each image of x [B,C,H,W]. */
static dr_status append(numbers *list, dr_tensor *x)
{
    const dr_view *v = dr_tensor_view(x);
    if (!v) return dr_failed();
    if (v->rank != 4) return dr_fail(DR_ESHAPE, "metric my_metric: expects images [B,C,H,W], got rank %d", v->rank);
    const int64_t n = list->n + v->shape[0];
    if (n > list->room) {
        double *grown = realloc(list->v, 2 * (size_t)n * sizeof *grown);
        if (!grown) return dr_fail(DR_ENOMEM, "metric my_metric: no memory for %lld images", (long long)n);
        list->v = grown, list->room = 2 * n;
    }
    dr_tensor *mean = dr_mean(x, 3, (int64_t[]){ 1, 2, 3 }, 0);                 /* [B] */
    if (dr_tensor_read(mean, DR_F64, list->v + list->n) != DR_OK) return dr_failed();
    list->n = n;
    return DR_OK;
}

/* Forgets all; also called at the start. */
static dr_status reset(void *self)
{
    my_metric *m = self;
    m->real.n = m->seen.n = 0;
    return DR_OK;
}

/* Real images come first, since .references asks for them; then samples. label is i32 [B] or NULL. */
static dr_status reference(void *self, dr_tensor *real, dr_split split)
{
    (void)split;
    return append(&((my_metric *)self)->real, real);
}

static dr_status update(void *self, dr_tensor *output, dr_tensor *label)
{
    (void)label;
    return append(&((my_metric *)self)->seen, output);
}

static int64_t samples(void *self) { return ((const my_metric *)self)->seen.n; }

/* Mean and standard deviation of the chosen rows; rows NULL: of all. */
static void moments(const double *v, const int64_t *rows, int64_t n, double *mean, double *deviation)
{
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < n; i++) sum += v[rows ? rows[i] : i];
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        const double d = v[rows ? rows[i] : i] - *mean;
        squares += d * d;
    }
    *deviation = sqrt(squares / (double)n);
}

/* On any list of the samples, which may name one repeatedly: so the host makes bootstrap intervals of every metric. */
static dr_status evaluate(void *self, const int64_t *rows, int64_t n, double *value)
{
    const my_metric *m = self;
    if (m->real.n == 0) return dr_fail(DR_EINVAL, "metric my_metric: needs real images first");
    double mean[2], deviation[2];
    moments(m->real.v, NULL, m->real.n, &mean[0], &deviation[0]);
    moments(m->seen.v, rows, n, &mean[1], &deviation[1]);
    value[0] = fabs(mean[1] - mean[0]);
    value[1] = fabs(deviation[1] - deviation[0]);
    return DR_OK;
}

static void destroy(void *self)
{
    my_metric *m = self;
    free(m->real.v);
    free(m->seen.v);
}

/* .space: what it is given: pixels, or the shipped classifier's features or logits. .better: -1, lower values are better. */
DR_METRIC(my_metric, "Brightness of samples against that of real images", NULL, .space = DR_SPACE_PIXELS,
          .references = DR_REFERENCE_TEST, .values = 2, .value_name = { "mean_gap", "spread_gap" }, .better = { -1, -1 },
          .reset = reset, .reference = reference, .update = update, .samples = samples, .evaluate = evaluate,
          .destroy = destroy)
