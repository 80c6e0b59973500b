/* A metric that claims more values than the host has room for: it must not be loaded. */
#include <drift/plugin.h>

typedef struct { int64_t n; } bad_metric;

static dr_status reset(void *self)
{
    (void)self;
    return DR_OK;
}

static dr_status update(void *self, dr_tensor *output, dr_tensor *label)
{
    (void)self, (void)output, (void)label;
    return DR_OK;
}

static int64_t samples(void *self)
{
    (void)self;
    return 1;
}

static dr_status evaluate(void *self, const int64_t *rows, int64_t n, double *value)
{
    (void)self, (void)rows, (void)n;
    for (int k = 0; k < 1000; k++) value[k] = k;
    return DR_OK;
}

DR_METRIC(bad_metric, "claims a thousand values", NULL, .reset = reset, .update = update, .samples = samples,
          .evaluate = evaluate, .values = 1000)
DR_PLUGIN("bad_metric", "1.0", "a metric whose table is wrong")
