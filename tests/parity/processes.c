/* processes.c: training pairs and schedules, through drift's process, schedule and guidance components.
 *   schedule       beta, alpha = 1 - beta, abar = prod alpha, also in double (f64.*), of the linear and the cosine one
 *   ddpm_train     x_t, t/T, loss of pred against eps, x0_hat        flow_train   x_t, x - z, loss, x_hat, z_hat
 *   edm_train      x = y + sigma n, c_in x, ln(sigma)/4, D = c_skip x + c_out pred, weight and loss of D
 *   denoise_pairs  z.K = x + sigma_K eps                             cfg          uncond + gamma_K (cond - uncond) */
#include "parity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 64 };

static double number(const json_t *config, const char *key) { return json_number_value(json_object_get(config, key)); }

/* ---- schedule ------------------------------------------------------------------------------------------------- */

/* "linspace(1e-4, 0.02, T)", "squaredcos_cap_v2" */
static dr_instance *schedule_named(const char *text, dr_arg *arg, dr_args *children, dr_arg range[2])
{
    double start, end;
    *arg = (dr_arg){ .name = "schedule", .type = DR_PARAM_COMPONENT, .children = children };
    if (text && strcmp(text, "squaredcos_cap_v2") == 0) {
        arg->text = "cosine";
    } else if (text && sscanf(text, "linspace(%lf, %lf,", &start, &end) == 2) {
        arg->text = "linear";
        range[0] = (dr_arg)DR_R("beta_start", start);
        range[1] = (dr_arg)DR_R("beta_end", end);
        *children = (dr_args){ range, 2 };
    } else {
        return NULL;
    }
    return dr_instance_new("schedule", arg->text, *children);
}

static void compare_column(parity *p, const double *got, int64_t T, const char *name)
{
    char exact[64];
    snprintf(exact, sizeof exact, "f64.%s", name);
    const dr_file_entry *e = dr_file_find(p->file, exact);
    parity_compare(p, dr_cast(dr_tensor_from(DR_F64, DR_SHAPE(T), got), DR_F32), "out.%s", name);
    if (!parity_input(p, "%s", exact) || !e || e->dtype != DR_F64 || e->bytes != (size_t)T * sizeof *got) return;
    const double *want = e->data;
    for (int64_t i = 0; i < T; i++) {
        if (fabs(got[i] / want[i] - 1.0) < 1e-11) continue;
        parity_fail(p, "%s[%lld] is %.17g, not %.17g", exact, (long long)i, got[i], want[i]);
        return;
    }
}

void parity_schedule(parity *p)
{
    json_t *config = parity_json(p, "config");
    const int64_t T = (int64_t)number(config, "T");
    dr_arg arg, range[2];
    dr_args children = DR_NO_ARGS;
    dr_instance *schedule = schedule_named(json_string_value(json_object_get(config, "beta")), &arg, &children, range);
    dr_instance *process = schedule ? dr_instance_new("process", "ddpm", DR_ARGS(arg, DR_I("T", T))) : NULL;
    double *column = calloc((size_t)(3 * T) + 1, sizeof *column);
    if (process && column) {
        double *beta = column, *alpha = column + T, *abar = column + 2 * T;
        for (int64_t i = 0; i < T; i++) {
            dr_coef c;
            ((const dr_process *)process->iface)->coef(process->self, (double)(i + 1), &c);
            beta[i] = dr_schedule_beta(schedule, i, T);
            alpha[i] = 1.0 - beta[i];
            abar[i] = c.alpha * c.alpha;
        }
        compare_column(p, beta, T, "beta");
        compare_column(p, alpha, T, "alpha");
        compare_column(p, abar, T, "abar");
    } else {
        parity_fail(p, "no schedule for this config");
    }
    free(column);
    dr_instance_free(process);
    dr_instance_free(schedule);
    json_decref(config);
}

/* ---- training pairs ------------------------------------------------------------------------------------------- */

/* wx0 x0 + weps eps from the prediction, each row at its own t. */
static dr_tensor *from_prediction(dr_instance *process, dr_tensor *x, dr_tensor *pred, const double *t, double wx0,
                                  double weps)
{
    const int64_t B = dr_tensor_view(x)->shape[0];
    dr_tensor *row[DR_OP_MAX_IN];
    if (B > DR_OP_MAX_IN) return NULL;
    for (int64_t b = 0; b < B; b++) {
        dr_coef c;
        ((const dr_process *)process->iface)->coef(process->self, t[b], &c);
        row[b] = dr_prediction_to(&c, dr_slice(x, 0, b, 1), dr_slice(pred, 0, b, 1), wx0, weps);
    }
    return dr_concat(row, (int)B, 0);
}

/* The pair of images, noise and times t, as dr_noising makes it; times holds t as doubles. */
static bool noised(parity *p, dr_instance *process, const char *x0, const char *eps, const char *at, double *times,
                   dr_noised *n)
{
    dr_tensor *t = parity_input(p, "%s", at), *x = parity_input(p, x0), *e = parity_input(p, eps);
    if (!process || !t || dr_tensor_view(t)->shape[0] > MAX_ROWS) return false;
    return dr_tensor_read(t, DR_F64, times) == DR_OK && dr_noising(process, NULL, x, e, times, n) == DR_OK;
}

void parity_ddpm_train(parity *p)
{
    json_t *config = parity_json(p, "config");
    dr_instance *process = dr_instance_new("process", "ddpm", DR_ARGS(DR_I("T", (int64_t)number(config, "T"))));
    double t[MAX_ROWS];
    dr_noised n;
    if (noised(p, process, "in.x0", "in.eps", "in.t", t, &n)) {
        dr_tensor *pred = parity_input(p, "in.pred");
        parity_compare(p, n.x_t, "out.x_t");
        parity_compare(p, n.time, "out.tnorm");
        parity_compare(p, dr_mse(pred, n.target, n.weight, DR_REDUCE_MEAN), "out.loss");
        parity_compare(p, from_prediction(process, n.x_t, pred, t, 1.0, 0.0), "out.x0_hat");
    } else {
        parity_fail(p, "noising");
    }
    dr_instance_free(process);
    json_decref(config);
}

void parity_flow_train(parity *p)
{
    dr_instance *process = dr_instance_new("process", "flow_matching", DR_NO_ARGS);
    double t[MAX_ROWS];
    dr_noised n;
    if (noised(p, process, "in.x", "in.z", "in.t", t, &n)) {
        dr_tensor *pred = parity_input(p, "in.pred");
        parity_compare(p, n.x_t, "out.x_t");
        parity_compare(p, n.target, "out.target");
        parity_compare(p, dr_mse(pred, n.target, n.weight, DR_REDUCE_MEAN), "out.loss");
        parity_compare(p, from_prediction(process, n.x_t, pred, t, 1.0, 0.0), "out.x_hat");
        parity_compare(p, from_prediction(process, n.x_t, pred, t, 0.0, 1.0), "out.z_hat");
    } else {
        parity_fail(p, "noising");
    }
    dr_instance_free(process);
}

/* The paper's lambda weighs |D - y|^2; ours weighs the error of the network's own output, c_out^2 times less. */
static dr_tensor *weight_of_data(dr_instance *process, const double *t, int64_t B)
{
    double weight[MAX_ROWS];
    for (int64_t b = 0; b < B; b++) {
        dr_coef c;
        dr_process_coef(process, t[b], &c);
        const double c_out = c.sigma / (c.sigma * c.p - c.alpha * c.q); /* dD/dF, from the process's numbers */
        weight[b] = c.weight / (c_out * c_out);
    }
    return dr_cast(dr_tensor_from(DR_F64, 1, &B, weight), DR_F32);
}

void parity_edm_train(parity *p)
{
    json_t *config = parity_json(p, "config");
    dr_instance *process = dr_instance_new("process", "edm", DR_ARGS(DR_R("sigma_data", number(config, "sigma_data")),
                                                                     DR_R("P_mean", number(config, "P_mean")),
                                                                     DR_R("P_std", number(config, "P_std"))));
    double t[MAX_ROWS];
    dr_noised n;
    if (noised(p, process, "in.y", "in.n", "in.sigma", t, &n)) {
        dr_tensor *pred = parity_input(p, "in.pred");
        parity_compare(p, n.x_t, "out.x");
        parity_compare(p, n.input, "out.net_in");
        parity_compare(p, n.time, "out.c_noise");
        parity_compare(p, from_prediction(process, n.x_t, pred, t, 1.0, 0.0), "out.D");
        parity_compare(p, weight_of_data(process, t, dr_tensor_view(n.time)->shape[0]), "out.weight");
        parity_compare(p, dr_mse(pred, n.target, n.weight, DR_REDUCE_MEAN), "out.loss");
    } else {
        parity_fail(p, "noising");
    }
    dr_instance_free(process);
    json_decref(config);
}

void parity_denoise_pairs(parity *p)
{
    json_t *config = parity_json(p, "config");
    dr_instance *process = dr_instance_new("process", "fixed_noise", DR_NO_ARGS);
    dr_tensor *x = parity_input(p, "in.x"), *eps = parity_input(p, "in.eps");
    size_t k;
    json_t *sigma;
    json_array_foreach(json_object_get(config, "sigma"), k, sigma) {
        double t[MAX_ROWS];
        dr_noised n = { 0 };
        for (int b = 0; b < MAX_ROWS; b++) t[b] = json_number_value(sigma);
        if (!x || dr_tensor_view(x)->shape[0] > MAX_ROWS || dr_noising(process, NULL, x, eps, t, &n) != DR_OK) break;
        parity_compare(p, n.x_t, "out.z.%zu", k);
    }
    dr_instance_free(process);
    json_decref(config);
}

/* ---- guidance ------------------------------------------------------------------------------------------------- */

/* A network that returns the file's tensors: cond where the mask is 1, uncond where it is 0. */
static dr_tensor *stored_halves(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    dr_tensor *const *half = ctx;
    const int64_t rows = dr_tensor_view(x)->shape[0], B = dr_tensor_view(half[0])->shape[0];
    dr_tensor *mask = dr_reshape(c->mask, DR_SHAPE(rows, 1, 1, 1));
    if (rows == B) return dr_where(mask, half[0], half[1]);
    dr_tensor *cond = dr_concat((dr_tensor *[]){ half[0], half[0] }, 2, 0);
    dr_tensor *uncond = dr_concat((dr_tensor *[]){ half[1], half[1] }, 2, 0);
    return dr_where(mask, cond, uncond);
}

void parity_cfg(parity *p)
{
    json_t *config = parity_json(p, "config"), *gamma;
    dr_instance *process = dr_instance_new("process", "flow_matching", DR_NO_ARGS);
    dr_tensor *half[2] = { parity_input(p, "in.cond"), parity_input(p, "in.uncond") };
    const int64_t B = half[0] ? dr_tensor_view(half[0])->shape[0] : 0;
    size_t k;
    json_array_foreach(json_object_get(config, "gamma"), k, gamma) {
        dr_instance *guidance = dr_instance_new("guidance", "cfg", DR_ARGS(DR_R("scale", json_number_value(gamma))));
        dr_model *f = dr_model_new(process, stored_halves, half);
        if (guidance && f) {
            dr_model_guide(f, guidance);
            dr_model_condition(f, dr_tensor_full(DR_I32, 1, &B, 0), NULL, NULL);
            parity_compare(p, dr_predict(f, half[0], 0.5, NULL), "out.%zu", k);
        }
        dr_model_free(f);
        dr_instance_free(guidance);
    }
    if (dr_failed()) parity_fail(p, "guidance");
    dr_instance_free(process);
    json_decref(config);
}
