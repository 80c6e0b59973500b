/* exponential.c: the learning rate falls by the same factor after every epoch.
 *   factor = to^(epoch/epochs): 1 in the first epoch, `to` once all are done */
#include <drift/plugin.h>
#include <math.h>

typedef struct { double to; } exponential;

static const dr_param params[] = {
    DR_REAL(exponential, to, 0.1, 1e-12, 1, "factor after the last epoch"),
    DR_END
};

static double factor(void *self, double epoch, int64_t epochs)
{
    const exponential *d = self;
    return epochs > 0 ? pow(d->to, epoch / (double)epochs) : 1.0;
}

DR_DECAY(exponential, "Falls by the same factor after every epoch", params, .factor = factor)
