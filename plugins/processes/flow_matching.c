/* flow_matching.c: straight lines from noise to data.     Lipman et al. 2023; Liu, Gong & Liu 2023 (rectified flow)
 *   x_t = t x0 + (1-t) eps,  dx/dt = x0 - eps;   t = 0 is noise, t = 1 is data; the network sees t
 * At pure noise eps-prediction says nothing of the data (x0 = (x - (1-t) eps)/t), so it starts at t_min > 0. */
#include "prediction.h"

typedef struct {
    int64_t predict;
    double t_min;
} flow_matching;

/* velocity and x0 came first; their numbers stay. */
static const prediction predictions[] = { PREDICT_VELOCITY, PREDICT_X0, PREDICT_EPS, PREDICT_V };

static const dr_param params[] = {
    DR_ENUM(flow_matching, predict, 0, "velocity|x0|eps|v",
            "what the network returns: dx/dt = x0 - eps, the data, the noise, or v = alpha eps - sigma x0"),
    DR_REAL(flow_matching, t_min, 0.01, 1e-6, 0.5, "predict = eps: where training and sampling start; the others start at 0"),
    DR_END
};

static double first_t(const flow_matching *f) { return predictions[f->predict] == PREDICT_EPS ? f->t_min : 0.0; }

static double draw_t(void *self, double u)
{
    const double t0 = first_t(self);
    return t0 + (1.0 - t0) * u;
}

static void coef(void *self, double t, dr_coef *c)
{
    const flow_matching *f = self;
    *c = (dr_coef){ .alpha = t, .sigma = 1.0 - t, .dalpha = 1.0, .dsigma = -1.0, .c_in = 1.0, .time = t, .weight = 1.0 };
    set_target(predictions[f->predict], c);
}

static void range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    *t_noise = first_t(self), *t_data = 1.0, *steps = 0;
}

static double time(void *self, double noise_to_signal)
{
    (void)self;
    return 1.0 / (1.0 + noise_to_signal); /* (1-t)/t */
}

DR_PROCESS(flow_matching, "x_t = t x0 + (1-t) eps: straight lines from noise to data", params, .draw_t = draw_t,
           .coef = coef, .range = range, .time = time)
