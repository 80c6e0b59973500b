/* training_step.h: a small network on the current device, and one step of its training, for tests of the CUDA backend: a
 * convolution, batch normalisation, FiLM by a class, a linear layer, their gradients, and SGD with momentum. */
#ifndef DRIFT_TESTS_TRAINING_STEP_H
#define DRIFT_TESTS_TRAINING_STEP_H

#include "drift.h"

enum { WEIGHTS = 7 };

typedef struct network {
    dr_tensor *weight[WEIGHTS], *momentum[WEIGHTS];
    dr_tensor *lr; /* f64 [2]: rate, step */
    bool bf16;     /* images are */
} network;

dr_status network_open(network *n); /* its tensors are kept; network_close() also after a failure */
void network_close(network *n);

/* A step on images and classes that follow from k: its loss, which has been read. */
dr_status train_step(network *n, int k, float *loss);

/* The same by a plan, which from its third call on is a replay. */
dr_status train_step_by_plan(network *n, dr_plan *plan, int k, float *loss);

#endif
