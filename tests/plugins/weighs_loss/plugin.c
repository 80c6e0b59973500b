/* A process with a weight of the loss, which none of the built-in ones has: x_t = x0 + t eps, target eps, weight w. */
#include <drift/plugin.h>

typedef struct {
    double w;
} weighs_loss;

static const dr_param params[] = { DR_REAL(weighs_loss, w, 1, 0, 100, "weight of the loss"), DR_END };

static double draw_t(void *self, double u)
{
    (void)self;
    return u;
}

static void coef(void *self, double t, dr_coef *c)
{
    *c = (dr_coef){ .alpha = 1.0,
                    .sigma = t,
                    .dsigma = 1.0,
                    .q = 1.0,
                    .c_in = 1.0,
                    .time = t,
                    .weight = ((const weighs_loss *)self)->w };
}

static void range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    (void)self;
    *t_noise = 1.0, *t_data = 0.0, *steps = 0;
}

DR_PROCESS(weighs_loss, "noise added to the data, with a weight of the loss", params, .draw_t = draw_t, .coef = coef,
           .range = range)
DR_PLUGIN("weighs_loss", "1.0", "a process with a weight of the loss")
