/* timesteps.c: every sampling grid on every process: from t_noise to t_data, each time nearer to the data than the one
 * before. */
#include "timesteps.h"

#include "kinds.h"

static dr_tensor *no_network(void *ctx, dr_tensor *x, const dr_batch_cond *cond)
{
    (void)ctx, (void)cond;
    return x;
}

double *grid_of(dr_instance *process, const char *timesteps, dr_args args, int64_t n)
{
    const dr_arg arg[] = { DR_I("steps", n),
                           { .name = "timesteps", .type = DR_PARAM_COMPONENT, .text = timesteps, .children = &args } };
    dr_instance *sampler = expect_made(dr_instance_new("sampler", "euler", (dr_args){ arg, 2 }), "a sampler with it");
    dr_model *f = dr_model_new(process, no_network, NULL);
    double *t = NULL;
    int64_t steps = 0;
    if (dr_sample_grid(f, sampler, &t, &steps) == DR_OK)
        expect(steps == n, "%lld steps are asked for, %lld laid", (long long)n, (long long)steps);
    dr_model_free(f);
    dr_instance_free(sampler);
    return t;
}

static void check_grid(const dr_component *c, dr_instance *process, int64_t n)
{
    double t_noise, t_data;
    int64_t chain;
    walk_args a;
    const char *name = process->component->name;
    default_args(c, &a);
    dr_process_range(process, &t_noise, &t_data, &chain);
    double *t = grid_of(process, c->name, a.args, n);
    if (!t && chain == 0) { /* whole steps of a chain cannot be had there */
        expect_error("continuous");
        return;
    }
    if (!t) check_fail("on process %s, n = %lld: %s", name, (long long)n, dr_error_message());
    const double towards = t_data > t_noise ? 1.0 : -1.0;
    const bool begins_later = strcmp(c->name, "leading") == 0; /* by its definition, where n does not reach T */
    expect(begins_later ? (t[0] - t_noise) * towards >= 0.0 : t[0] == t_noise,
           "on process %s, n = %lld: it begins at %g, not at %g", name, (long long)n, t[0], t_noise);
    expect(t[n] == t_data, "on process %s, n = %lld: it ends at %g, not at %g", name, (long long)n, t[n], t_data);
    for (int64_t i = 0; i < n; i++)
        expect((t[i + 1] - t[i]) * towards > 0.0, "on process %s, n = %lld: t = %g is followed by %g", name,
               (long long)n, t[i], t[i + 1]);
    free(t);
}

static void check_timesteps(const dr_component *c)
{
    static const int64_t n[] = { 1, 2, 7, 50 };
    for (int64_t i = 0; i < dr_component_count(); i++) {
        const dr_component *p = dr_component_at(i);
        if (!is_kind(p, "process")) continue;
        dr_instance *process = instance_of(p);
        for (size_t k = 0; k < sizeof n / sizeof *n; k++) check_grid(c, process, n[k]);
        dr_instance_free(process);
    }
}

const check timesteps_checks[] = { { "leads from noise to data on every process", check_timesteps }, { NULL, NULL } };
