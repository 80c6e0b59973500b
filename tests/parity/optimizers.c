/* optimizers.c: kind `optimizer`: param.p*, after each step K with grad.K.p* -> after{K+1}.p*, through drift's
 * optimizers. Kind `ema_clip`: ema = d ema + (1-d) p;  g *= min(1, max_norm/(norm + 1e-6)), norm over all g. */
#include "parity.h"

#include <math.h>
#include <string.h>

enum { MAX_PARAMS = 16, MAX_ARGS = 8 };

/* Where PyTorch's configuration names what our optimizers call otherwise. */
static int arguments(parity *p, const json_t *config, dr_arg args[MAX_ARGS])
{
    static const char *const not_ours[] = { "name", "steps", "exp_lr_gamma", "note", "betas" };
    const char *key;
    json_t *value;
    int n = 0;
    json_object_foreach((json_t *)(uintptr_t)config, key, value)
    {
        bool passed_by = false;
        for (size_t i = 0; i < sizeof not_ours / sizeof *not_ours; i++) passed_by |= strcmp(key, not_ours[i]) == 0;
        if (passed_by) continue;
        if (!json_is_number(value) || n == MAX_ARGS - 2) {
            parity_fail(p, "config %s is not understood", key);
            continue;
        }
        args[n++] = (dr_arg)DR_R(key, json_number_value(value));
    }
    const json_t *betas = json_object_get(config, "betas");
    for (size_t i = 0; i < 2 && betas; i++) {
        args[n++] = (dr_arg)DR_R(i ? "beta2" : "beta1", json_number_value(json_array_get(betas, i)));
    }
    return n;
}

static void steps(parity *p, const json_t *config, dr_instance *instance)
{
    dr_tensor *param[MAX_PARAMS];
    char name[MAX_PARAMS][16];
    const char *path[MAX_PARAMS];
    int n = 0;
    for (; n < MAX_PARAMS && parity_has(p, "param.p%d", n); n++) {
        snprintf(name[n], sizeof name[n], "p%d", n);
        path[n] = name[n];
        param[n] = dr_requires_grad(parity_input(p, "param.p%d", n), true);
    }
    dr_optim *o = dr_optim_new(instance, param, path, n);
    const json_int_t count = json_integer_value(json_object_get(config, "steps"));
    const json_t *gamma = json_object_get(config, "exp_lr_gamma");
    for (int k = 0; k < count && o && !dr_failed(); k++) {
        dr_scope_open();
        for (int i = 0; i < n; i++)
            dr_backward(param[i], parity_input(p, "grad.%d.p%d", k, i)); /* a leaf: it takes the gradient itself */
        dr_optim_step(o, gamma ? pow(json_number_value(gamma), k) : 1.0);
        if (dr_failed()) parity_fail(p, "step %d", k + 1);
        for (int i = 0; i < n; i++) parity_compare(p, param[i], "after%d.p%d", k + 1, i);
        dr_scope_close();
    }
    if (dr_failed()) parity_fail(p, "optimizer");
    dr_optim_free(o);
}

void parity_optimizer(parity *p)
{
    json_t *config = parity_json(p, "config");
    const char *name = json_string_value(json_object_get(config, "name"));
    dr_arg args[MAX_ARGS];
    const int n = name ? arguments(p, config, args) : 0;
    dr_instance *instance = name ? dr_instance_new("optim", name, (dr_args){ args, n }) : NULL;
    dr_scope_open();
    if (instance) {
        steps(p, config, instance);
    } else {
        parity_fail(p, "optimizer %s", name ? name : "without a name");
    }
    dr_scope_close();
    dr_instance_free(instance);
    json_decref(config);
}

/* in.GROUP.g0, g1, ... clipped together -> out.GROUP.g*, out.GROUP.norm */
static void clip(parity *p, const char *group, double max_norm)
{
    dr_tensor *in[1 + MAX_PARAMS];
    int n = 0;
    for (; n < MAX_PARAMS && parity_has(p, "in.%s.g%d", group, n); n++)
        in[1 + n] = parity_input(p, "in.%s.g%d", group, n);
    in[0] = dr_apply1("square_norm", in + 1, n, &(dr_square_norm_attr){ 0 });
    dr_apply("clip_step", in, 1 + n, &(dr_clip_step_attr){ max_norm }, NULL);
    if (dr_failed()) parity_fail(p, "%s", group);
    for (int i = 0; i < n; i++) parity_compare(p, in[1 + i], "out.%s.g%d", group, i);
    const double norm = sqrt(dr_tensor_item(in[0])); /* the device has f64 for this number only, no op on it */
    parity_compare(p, dr_tensor_from(DR_F64, 0, NULL, &norm), "out.%s.norm", group);
}

void parity_ema_clip(parity *p)
{
    json_t *config = parity_json(p, "config");
    const double max_norm = json_number_value(json_object_get(config, "max_norm"));
    const double decay = json_number_value(json_object_get(config, "ema_decay"));
    if (json_number_value(json_object_get(config, "clip_eps")) != 1e-6) parity_fail(p, "clip_eps is not 1e-6");
    dr_scope_open();
    dr_tensor *average = parity_input(p, "in.ema"), *param = parity_input(p, "in.p");
    dr_apply("ema_step", (dr_tensor *[]){ dr_tensor_from(DR_F64, 0, NULL, &decay), average, param }, 3, NULL, NULL);
    if (dr_failed()) parity_fail(p, "ema_step");
    parity_compare(p, average, "out.ema");
    for (int64_t i = 0; i < dr_file_count(p->file); i++) { /* each group's first tensor names it */
        char group[128];
        const char *name = dr_file_at(p->file, i)->name, *end = strrchr(name, '.');
        if (strncmp(name, "in.", 3) != 0 || end <= name + 3 || strcmp(end, ".g0") != 0) continue;
        snprintf(group, sizeof group, "%.*s", (int)(end - name - 3), name + 3);
        clip(p, group, max_norm);
    }
    dr_scope_close();
    json_decref(config);
}
