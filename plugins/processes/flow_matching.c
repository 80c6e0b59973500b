/* flow_matching.c: straight lines from noise to data.     Lipman et al. 2023; Liu, Gong & Liu 2023 (rectified flow)
 *   x_t = t x0 + (1-t) eps,  dx/dt = x0 - eps;   t = 0 is noise, t = 1 is data; the network sees t */
#include <drift/plugin.h>

enum { PREDICT_VELOCITY = 0, PREDICT_X0 };

typedef struct { int64_t predict; } flow_matching;

static const dr_param params[] = {
    DR_ENUM(flow_matching, predict, PREDICT_VELOCITY, "velocity|x0", "what the network returns: x0 - eps, or x0"),
    DR_END
};

static double draw_t(void *self, double u)
{
    (void)self;
    return u;
}

static void coef(void *self, double t, dr_coef *c)
{
    const flow_matching *f = self;
    *c = (dr_coef){ .alpha = t, .sigma = 1.0 - t, .dalpha = 1.0, .dsigma = -1.0, .p = 1.0,
                    .q = f->predict == PREDICT_VELOCITY ? -1.0 : 0.0, .c_in = 1.0, .time = t, .weight = 1.0 };
}

static void range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    (void)self;
    *t_noise = 0.0, *t_data = 1.0, *steps = 0;
}

DR_PROCESS(flow_matching, "x_t = t x0 + (1-t) eps: straight lines from noise to data", params, .draw_t = draw_t,
           .coef = coef, .range = range)
