/* prediction.h: what a network may be asked for, the same for all processes of this plugin.
 *   eps, x0,  v = alpha eps - sigma x0  (Salimans & Ho 2022),  velocity = dx/dt = alpha' x0 + sigma' eps */
#ifndef DRIFT_PREDICTION_H
#define DRIFT_PREDICTION_H

#include <drift/plugin.h>

typedef enum prediction { PREDICT_EPS = 0, PREDICT_X0, PREDICT_V, PREDICT_VELOCITY } prediction;

/* The choices and doc of a process's parameter `predict`, in this order. */
#define PREDICTIONS "eps|x0|v|velocity"
#define PREDICTIONS_DOC "what the network returns: the noise, the data, v = alpha eps - sigma x0, or dx/dt"

/* Sets the target p x0 + q eps from alpha, sigma and their derivatives. */
void set_target(prediction what, dr_coef *c);

#endif
