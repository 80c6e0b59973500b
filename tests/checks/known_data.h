/* known_data.h: data N(mu, s^2) whose best prediction is known in closed form, as a network:
 *   E[x0 | x] = mu + alpha s^2/V (x - alpha mu),  E[eps | x] = sigma/V (x - alpha mu),  V = alpha^2 s^2 + sigma^2
 * The ODE's exact solution is x(t) = alpha_t mu + sqrt(V_t/V_0) (x(0) - alpha_0 mu). */
#ifndef DRIFT_CHECK_KNOWN_DATA_H
#define DRIFT_CHECK_KNOWN_DATA_H

#include "check.h"

static const double mu = 0.4, s = 0.6;

double variance(const dr_coef *c); /* V */
dr_coef coef_at(dr_instance *process, double t);

/* A process whose coefficients are watched: the network is told the time as an f32, which is too coarse for high orders and
 * near the data, and the model asks for its coefficients just before it runs the network. One at a time. */
dr_instance watched(const dr_instance *process, dr_process *api);

/* The network, a dr_net_fn. The mean of a row with label i that is not dropped is mu + i/5. */
typedef struct known_data {
    dr_instance *process; /* not the watched one */
    double time_to_t;     /* t = time * time_to_t */
} known_data;
dr_tensor *best_prediction(void *ctx, dr_tensor *x, const dr_batch_cond *cond);

/* Processes of the three sorts, and a factor from the network's time to t. */
typedef struct world {
    const char *process;
    dr_args args;
    double time_to_t;
    bool unit; /* alpha^2 + sigma^2 = 1 */
} world;
enum { CHAIN = 0, LINES, ADDED, WORLDS };
extern const world worlds[WORLDS]; /* ddpm, flow_matching, x0 + t eps */

typedef struct place { /* a world that is open; it stays where it is */
    dr_instance *process, seen;
    dr_process api;
    known_data known;
    dr_model *f;
} place;
void enter(place *p, const world *w);
void leave(place *p);
dr_tensor *start_of(const place *p, dr_dtype dtype, int64_t B, int64_t size, uint32_t stream); /* at pure noise, as the data
    are there: [B,1,size,size] */

/* x_t = sin(pi t/2) x0 + cos(pi t/2) eps, the network asked for the velocity. On straight lines V is quadratic in t, and the
 * midpoint rule would show one order more than it has. */
extern dr_instance circle;

#endif
