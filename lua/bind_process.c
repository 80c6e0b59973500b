/* bind_process.c: noising processes as scripts see them: coefficients, training times and batches, and the way from a
 * network's prediction to data, noise or velocity. x_t = alpha x0 + sigma eps; the target is p x0 + q eps. */
#include "bind.h"

#include <string.h>

static int process_coef(lua_State *L)
{
    const dr_instance *process = bind_check_instance(L, 1, "process");
    dr_coef c;
    dr_process_coef(process, luaL_checknumber(L, 2), &c);
    bind_check(L);
    const struct {
        const char *name;
        double value;
    } field[] = {
        { "alpha", c.alpha }, { "sigma", c.sigma }, { "dalpha", c.dalpha }, { "dsigma", c.dsigma }, { "p", c.p },
        { "q", c.q },         { "c_in", c.c_in },   { "time", c.time },     { "weight", c.weight },
    };
    lua_createtable(L, 0, 9);
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        lua_pushnumber(L, field[i].value);
        lua_setfield(L, -2, field[i].name);
    }
    return 1;
}

static int process_range(lua_State *L)
{
    const dr_instance *process = bind_check_instance(L, 1, "process");
    double t_noise, t_data;
    int64_t steps;
    dr_process_range(process, &t_noise, &t_data, &steps);
    bind_check(L);
    lua_pushnumber(L, t_noise);
    lua_pushnumber(L, t_data);
    lua_pushinteger(L, steps);
    return 3;
}

static int process_time(lua_State *L) /* time(noise_to_signal) */
{
    const dr_instance *process = bind_check_instance(L, 1, "process");
    lua_pushnumber(L, dr_process_time(process, luaL_checknumber(L, 2)));
    bind_check(L);
    return 1;
}

double *bind_check_times(lua_State *L, int index, int64_t B)
{
    double *t = lua_newuserdatauv(L, (size_t)(B > 0 ? B : 1) * sizeof *t, 0);
    if (!lua_istable(L, index)) {
        const double same = luaL_checknumber(L, index);
        for (int64_t i = 0; i < B; i++) t[i] = same;
        return t;
    }
    if (luaL_len(L, index) != B)
        bind_error(L, "%lld times for %lld images", (long long)luaL_len(L, index), (long long)B);
    for (int64_t i = 0; i < B; i++) {
        if (lua_geti(L, index, i + 1) != LUA_TNUMBER)
            bind_error(L, "time %lld is a %s", (long long)i + 1, bind_typename(L, -1));
        t[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    return t;
}

/* The instance of a kind under this key of the options at `options`, which the table keeps; NULL: absent. Any other
 * key is an error. */
static dr_instance *option_instance(lua_State *L, const char *function, int options, const char *kind)
{
    if (lua_isnoneornil(L, options)) return NULL;
    luaL_checktype(L, options, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, options)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), kind) != 0)
            bind_error(L, "%s: no option '%s'; it takes %s", function, luaL_tolstring(L, -1, NULL), kind);
    }
    if (lua_getfield(L, options, kind) == LUA_TNIL) return NULL;
    return bind_check_instance(L, -1, kind); /* stays on the stack */
}

typedef struct named_tensor {
    const char *name;
    dr_tensor *tensor;
} named_tensor;

/* Closes the core's scope, and pushes a table of what is not NULL. */
static int push_tensors(lua_State *L, const named_tensor *field, int n)
{
    const bool good = !dr_failed();
    for (int i = 0; good && i < n; i++) dr_retain(field[i].tensor);
    dr_scope_close();
    bind_check(L);
    lua_createtable(L, 0, n);
    for (int i = 0; good && i < n; i++) {
        bind_push_owned(L, field[i].tensor);
        lua_setfield(L, -2, field[i].name);
    }
    return 1;
}

static int push_noised(lua_State *L, const dr_noised *n)
{
    const named_tensor field[] = {
        { "input", n->input }, { "x_t", n->x_t }, { "target", n->target }, { "time", n->time }, { "weight", n->weight },
    };
    return push_tensors(L, field, 5);
}

static int core_noising(lua_State *L) /* noising(process, x0, eps, t [, { weighting = }]) */
{
    dr_instance *process = bind_check_instance(L, 1, "process");
    dr_tensor *x0 = bind_check_tensor(L, 2), *eps = bind_check_tensor(L, 3);
    const dr_view *v = dr_tensor_view(x0);
    if (v->rank == 0) return bind_error(L, "noising: images should be [B,C,H,W], got a tensor of rank 0");
    dr_instance *weighting = option_instance(L, "noising", 5, "weighting");
    const double *t = bind_check_times(L, 4, v->shape[0]);
    dr_noised n = { 0 };
    dr_scope_open();
    const dr_status status = dr_noising(process, weighting, x0, eps, t, &n);
    if (status != DR_OK) dr_fail(status, "noising: process %s failed and did not say why", process->component->name);
    return push_noised(L, &n);
}

/* batch_levels(process, x0, t [, { weighting = }]) -> { alpha =, sigma =, p =, q =, c_in =, time =, weight = } */
static int core_batch_levels(lua_State *L)
{
    dr_instance *process = bind_check_instance(L, 1, "process");
    dr_tensor *x0 = bind_check_tensor(L, 2);
    const dr_view *v = dr_tensor_view(x0);
    if (v->rank == 0) return bind_error(L, "batch_levels: images should be [B,C,H,W], got a tensor of rank 0");
    dr_instance *weighting = option_instance(L, "batch_levels", 4, "weighting");
    const double *t = bind_check_times(L, 3, v->shape[0]);
    dr_levels l = { 0 };
    dr_scope_open();
    dr_batch_levels(process, weighting, x0, t, &l);
    const named_tensor field[] = {
        { "alpha", l.alpha }, { "sigma", l.sigma }, { "p", l.p },           { "q", l.q },
        { "c_in", l.c_in },   { "time", l.time },   { "weight", l.weight },
    };
    return push_tensors(L, field, 7);
}

static int core_noise_batch(lua_State *L) /* noise_batch(process, x0, eps, levels) -> as noising */
{
    dr_instance *process = bind_check_instance(L, 1, "process");
    dr_tensor *x0 = bind_check_tensor(L, 2), *eps = bind_check_tensor(L, 3);
    luaL_checktype(L, 4, LUA_TTABLE);
    const dr_levels l = { .alpha = bind_option_tensor(L, 4, "alpha"),   .sigma = bind_option_tensor(L, 4, "sigma"),
                          .p = bind_option_tensor(L, 4, "p"),           .q = bind_option_tensor(L, 4, "q"),
                          .c_in = bind_option_tensor(L, 4, "c_in"),     .time = bind_option_tensor(L, 4, "time"),
                          .weight = bind_option_tensor(L, 4, "weight") };
    dr_noised n = { 0 };
    dr_scope_open();
    dr_noise_batch(process, x0, eps, &l, &n);
    return push_noised(L, &n);
}

static int core_draw_times(lua_State *L) /* draw_times(process, rng, B [, time_sampling]) */
{
    dr_instance *process = bind_check_instance(L, 1, "process");
    const dr_rng rng = bind_check_rng(L, 2);
    const lua_Integer B = luaL_checkinteger(L, 3);
    if (B < 0 || B > 1 << 24) return bind_error(L, "draw_times: B = %lld is outside [0, %d]", (long long)B, 1 << 24);
    dr_instance *time_sampling = lua_isnoneornil(L, 4) ? NULL : bind_check_instance(L, 4, "time_sampling");
    double *t = lua_newuserdatauv(L, (size_t)(B > 0 ? B : 1) * sizeof *t, 0);
    dr_draw_times(process, time_sampling, &rng, B, t);
    bind_check(L);
    lua_createtable(L, (int)B, 0);
    for (lua_Integer i = 0; i < B; i++) {
        lua_pushnumber(L, t[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static void wanted_weights(lua_State *L, const dr_coef *c, double *wx0, double *weps)
{
    if (lua_type(L, 5) == LUA_TNUMBER) {
        *wx0 = lua_tonumber(L, 5);
        *weps = luaL_checknumber(L, 6);
        return;
    }
    const char *wanted = luaL_checkstring(L, 5);
    *wx0 = strcmp(wanted, "x0") == 0 ? 1.0 : strcmp(wanted, "velocity") == 0 ? c->dalpha : 0.0;
    *weps = strcmp(wanted, "eps") == 0 ? 1.0 : strcmp(wanted, "velocity") == 0 ? c->dsigma : 0.0;
    if (*wx0 == 0.0 && *weps == 0.0)
        bind_error(L, "prediction_to: \"%s\" is not \"x0\", \"eps\" or \"velocity\"", wanted);
}

static int core_prediction_to(lua_State *L) /* prediction_to(process, t, x, prediction, wx0, weps) */
{
    const dr_instance *process = bind_check_instance(L, 1, "process");
    dr_coef c;
    dr_process_coef(process, luaL_checknumber(L, 2), &c);
    bind_check(L);
    dr_tensor *x = bind_check_tensor(L, 3), *prediction = bind_check_tensor(L, 4);
    double wx0, weps;
    wanted_weights(L, &c, &wx0, &weps);
    dr_scope_open();
    return bind_done(L, dr_prediction_to(&c, x, prediction, wx0, weps));
}

static int core_renoise(lua_State *L) /* renoise(process, x, from, to, noise) */
{
    const dr_instance *process = bind_check_instance(L, 1, "process");
    dr_tensor *x = bind_check_tensor(L, 2), *noise = bind_check_tensor(L, 5);
    const double from = luaL_checknumber(L, 3), to = luaL_checknumber(L, 4);
    dr_scope_open();
    return bind_done(L, dr_renoise(process, x, from, to, noise));
}

static int clip_apply(lua_State *L) /* apply(x0) */
{
    const dr_instance *clip = bind_check_instance(L, 1, "clip");
    dr_tensor *x0 = bind_check_tensor(L, 2);
    dr_scope_open();
    const dr_component_call call = dr_component_enter(clip->component, "apply");
    return bind_done(L, dr_component_result(&call, ((const dr_clip *)clip->iface)->apply(clip->self, x0), x0));
}

/* ---- what training is made of beside the process ----------------------------------------------------------------- */

static int time_sampling_draw(lua_State *L) /* draw(process, u) */
{
    dr_instance *time_sampling = bind_check_instance(L, 1, "time_sampling");
    dr_instance *process = bind_check_instance(L, 2, "process");
    const double u = luaL_checknumber(L, 3);
    double t = 0.0;
    if (!(u >= 0.0 && u < 1.0)) return bind_error(L, "draw: u = %g is outside [0, 1)", u);
    dr_draw_time(process, time_sampling, u, &t);
    bind_check(L);
    lua_pushnumber(L, t);
    return 1;
}

static int weighting_weight(lua_State *L) /* weight(process, t) */
{
    dr_instance *weighting = bind_check_instance(L, 1, "weighting");
    const dr_instance *process = bind_check_instance(L, 2, "process");
    dr_coef c;
    double weight = 0.0;
    dr_process_coef(process, luaL_checknumber(L, 3), &c);
    if (!dr_failed()) dr_weigh(weighting, &c, &weight);
    bind_check(L);
    lua_pushnumber(L, weight);
    return 1;
}

static int coupling_pair(lua_State *L) /* pair(x0, eps [, label]) */
{
    dr_instance *coupling = bind_check_instance(L, 1, "coupling");
    dr_tensor *x0 = bind_check_tensor(L, 2), *eps = bind_check_tensor(L, 3);
    dr_tensor *label = lua_isnoneornil(L, 4) ? NULL : bind_check_tensor(L, 4);
    dr_scope_open();
    return bind_done(L, dr_pair(coupling, x0, eps, label));
}

void bind_open_process(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "noising", core_noising },
        { "batch_levels", core_batch_levels },
        { "noise_batch", core_noise_batch },
        { "draw_times", core_draw_times },
        { "prediction_to", core_prediction_to },
        { "renoise", core_renoise },
        { NULL, NULL },
    };
    static const luaL_Reg process[] = {
        { "coef", process_coef }, { "range", process_range }, { "time", process_time }, { NULL, NULL }
    };
    static const luaL_Reg time_sampling[] = { { "draw", time_sampling_draw }, { NULL, NULL } };
    static const luaL_Reg weighting[] = { { "weight", weighting_weight }, { NULL, NULL } };
    static const luaL_Reg clip[] = { { "apply", clip_apply }, { NULL, NULL } };
    static const luaL_Reg coupling[] = { { "pair", coupling_pair }, { NULL, NULL } };
    luaL_setfuncs(L, functions, 0);
    bind_instance_methods(L, "process", process);
    bind_instance_methods(L, "time_sampling", time_sampling);
    bind_instance_methods(L, "weighting", weighting);
    bind_instance_methods(L, "coupling", coupling);
    bind_instance_methods(L, "clip", clip);
}
