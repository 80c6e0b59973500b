/* my_guidance.c: classifier-free guidance whose scale changes on the way from noise to data.     Wang et al. 2024
 *   y = u + w(s) (c - u),  w(s) = at_noise + s (at_data - at_noise),  s = 0 at pure noise, 1 at the data
 *   c = the model's prediction under the condition, u = without it */
#include <drift/plugin.h>

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { double at_noise, at_data; } my_guidance;

static const dr_param params[] = {
    DR_REAL(my_guidance, at_noise, 1, -1000, 1000, "scale at pure noise; 1 is the conditional model"),
    DR_REAL(my_guidance, at_data, 9, -1000, 1000, "scale at the data"),
    DR_END
};

/* A model made of a model: returns what the network is asked for (p x0 + q eps) at x, t. The inner estimates come from
 * dr_predict, or dr_predict_pair, which runs both halves as one batch; either may be guided itself, by what is listed
 * before this in the script. dr_cond_null_of(f, cond) is cond with its label and text dropped. */
static dr_tensor *eval(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    const my_guidance *g = self;
    double t_noise, t_data;
    int64_t steps;
    dr_model_range(f, &t_noise, &t_data, &steps);
    const double s = (t - t_noise) / (t_data - t_noise), w = g->at_noise + s * (g->at_data - g->at_noise);
    if (w == 1.0) return dr_predict(f, x, t, cond);
    dr_tensor *u = NULL;
    dr_tensor *c = dr_predict_pair(f, x, t, cond, &u);                          /* [B,C,H,W] */
    return dr_axpy(w, dr_sub(c, u), u);
}

DR_GUIDANCE(my_guidance, "Classifier-free guidance that changes on the way", params, .eval = eval)
