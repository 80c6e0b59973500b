/* prediction.c: the target p x0 + q eps of each prediction, see prediction.h. */
#include "prediction.h"

void set_target(prediction what, dr_coef *c)
{
    switch (what) {
    case PREDICT_X0: c->p = 1.0, c->q = 0.0; break;
    case PREDICT_V: c->p = -c->sigma, c->q = c->alpha; break;
    case PREDICT_VELOCITY: c->p = c->dalpha, c->q = c->dsigma; break;
    default: c->p = 0.0, c->q = 1.0; break;
    }
}
