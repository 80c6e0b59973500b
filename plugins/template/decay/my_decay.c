/* my_decay.c: the learning rate falls along half a cosine, after a linear rise.     Loshchilov & Hutter 2017
 *   factor = e/warmup while e < warmup, then to + (1 - to) (1 + cos(pi (e - warmup)/(E - warmup)))/2
 * e counts the finished epochs of E. In the first epoch of a rise it is 1/(2 warmup) and not 0, so that it learns. */
#include <drift/plugin.h>
#include <math.h>

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { double to, warmup; } my_decay;

static const dr_param params[] = {
    DR_REAL(my_decay, to, 0.01, 0, 1, "factor after the last epoch"),
    DR_REAL(my_decay, warmup, 0, 0, 1e6, "epochs of the rise; 0: none"),
    DR_END
};

/* What the optimizer's lr is multiplied with after `epoch` finished epochs of `epochs`: a pure function, since a run that
 * is resumed asks again. */
static double factor(void *self, double epoch, int64_t epochs)
{
    const my_decay *d = self;
    const double pi = 3.14159265358979323846, left = (double)epochs - d->warmup;
    if (epoch < d->warmup) return fmax(epoch, 0.5) / fmax(d->warmup, 0.5);
    if (left <= 0.0) return 1.0;
    const double done = fmin((epoch - d->warmup) / left, 1.0);
    return d->to + (1.0 - d->to) * 0.5 * (1.0 + cos(pi * done));
}

DR_DECAY(my_decay, "Half a cosine, after a linear rise", params, .factor = factor)
