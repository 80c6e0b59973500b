/* bind_model.c: models as samplers see them: a process, guidance and a network, which may be any Lua value that can be
 * called as net(x, cond). It and the callback of each sampling step are called protected, in a scope of Lua's own; an
 * error in them stops the sampling and is then raised as it was. */
#include "bind.h"
#include "noising.h"

#include <stdlib.h>

enum { PROCESS = 1, NET, GUIDANCE, NETWORKS, EACH, FAILURE, CLIP, MODEL_VALUES = 7 }; /* user values of a model */

typedef struct model {
    dr_model *model;
    lua_State *L; /* of the call that is under way */
} model;

typedef struct other_net { /* a further network, in the table NETWORKS beside it under its place */
    model *m;
    lua_Integer place;
} other_net;

/* ---- callbacks --------------------------------------------------------------------------------------------------- */
static void set_tensor(lua_State *L, const char *key, dr_tensor *t)
{
    bind_push_borrowed(L, t);
    lua_setfield(L, -2, key);
}

typedef struct net_call {
    dr_tensor *x, *result;
    const dr_batch_cond *cond;
    lua_Integer place; /* of a further network in the model's list */
} net_call;

/* The model's own view of y, in the core's current scope: Lua may forget y. */
static dr_tensor *own_view(lua_State *L, dr_tensor *y)
{
    const dr_view *v = dr_tensor_view(y);
    dr_tensor *view = v->rank > 0 ? dr_slice(y, 0, 0, v->shape[0]) : dr_reshape(y, 0, NULL);
    bind_check(L);
    return view;
}

static int call_net(lua_State *L) /* net, net_call */
{
    luaL_checkstack(L, 8, "a network");
    net_call *c = lua_touserdata(L, 2);
    lua_pushvalue(L, 1);
    bind_push_borrowed(L, c->x);
    lua_createtable(L, 0, 7);
    set_tensor(L, "time", c->cond->time);
    set_tensor(L, "label", c->cond->label);
    set_tensor(L, "mask", c->cond->mask);
    set_tensor(L, "tokens", c->cond->tokens);
    set_tensor(L, "tokens_mask", c->cond->tokens_mask);
    set_tensor(L, "image", c->cond->image);
    set_tensor(L, "image_level", c->cond->image_level);
    lua_call(L, 2, 1);
    c->result = own_view(L, bind_check_tensor(L, -1));
    return 0;
}

static int in_scope(lua_State *L) /* fn, argument, data: what is protected begins here */
{
    bind_scope_enter(L);
    const int status = bind_call(L, 2);
    bind_scope_leave(L, 0);
    return status == LUA_OK ? 0 : lua_error(L);
}

/* Runs fn(user value `which`, data) in a scope; an error is kept for the script, and told to the core. */
static dr_status protected(model *m, lua_CFunction fn, int which, void *data)
{
    lua_State *L = m->L;
    if (!lua_checkstack(L, 12)) return dr_fail(DR_ENOMEM, "out of memory for a callback");
    const int top = lua_gettop(L);
    bind_recall(L, m);
    lua_pushcfunction(L, in_scope);
    lua_pushcfunction(L, fn);
    lua_getiuservalue(L, top + 1, which);
    lua_pushlightuserdata(L, data);
    dr_reload_bar("a model's network");
    const int status = lua_pcall(L, 3, 0, 0);
    dr_reload_unbar();
    if (status != LUA_OK) lua_setiuservalue(L, top + 1, FAILURE);
    lua_settop(L, top);
    m->L = L; /* a call of the same model in between has set its own */
    return status == LUA_OK ? DR_OK : dr_fail(DR_EINTERRUPTED, "the script's function failed");
}

static dr_tensor *run_net(void *ctx, dr_tensor *x, const dr_batch_cond *cond)
{
    net_call c = { .x = x, .cond = cond };
    return protected(ctx, call_net, NET, &c) == DR_OK ? c.result : NULL;
}

/* The user value is the list { other_net, net, other_net, net, ... }. */
static int call_other(lua_State *L) /* list, net_call */
{
    net_call *c = lua_touserdata(L, 2);
    lua_geti(L, 1, c->place);
    lua_replace(L, 1);
    return call_net(L);
}

static dr_tensor *run_other(void *ctx, dr_tensor *x, const dr_batch_cond *cond)
{
    const other_net *o = ctx;
    net_call c = { .x = x, .cond = cond, .place = o->place };
    return protected(o->m, call_other, NETWORKS, &c) == DR_OK ? c.result : NULL;
}

typedef struct step_call {
    int64_t step, steps;
    double t;
    dr_tensor *x; /* in and out */
} step_call;

static int call_each(lua_State *L) /* fn, step_call */
{
    step_call *c = lua_touserdata(L, 2);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, c->step);
    lua_pushinteger(L, c->steps);
    lua_pushnumber(L, c->t);
    bind_push_borrowed(L, c->x);
    lua_call(L, 4, 1);
    if (!lua_isnil(L, -1)) c->x = own_view(L, bind_check_tensor(L, -1)); /* goes on in x's place */
    return 0;
}

static dr_status run_each(void *ctx, int64_t step, int64_t steps, double t, dr_tensor **x)
{
    step_call c = { step, steps, t, *x };
    const dr_status status = protected(ctx, call_each, EACH, &c);
    *x = c.x;
    return status;
}

/* Raises what a callback raised, as it was, or else what the core has to say. The model is at index 1. */
static void raise_failure(lua_State *L)
{
    if (dr_failed() == DR_OK) return;
    if (lua_getiuservalue(L, 1, FAILURE) == LUA_TNIL) bind_check(L);
    dr_error_clear();
    lua_error(L);
}

/* ---- model ------------------------------------------------------------------------------------------------------- */
static model *check_model(lua_State *L)
{
    model *m = luaL_checkudata(L, 1, "drift.model");
    lua_pushnil(L);
    lua_setiuservalue(L, 1, FAILURE);
    m->L = L;
    return m;
}

static int model_gc(lua_State *L)
{
    model *m = luaL_checkudata(L, 1, "drift.model");
    dr_model_free(m->model);
    m->model = NULL;
    return 0;
}

static void add_guidance(lua_State *L, model *m, int list)
{
    const bool single = !lua_istable(L, list);
    const int64_t n = single ? 1 : luaL_len(L, list);
    lua_newtable(L); /* keeps the instances alive */
    for (int64_t i = 1; i <= n; i++) {
        if (single) {
            lua_pushvalue(L, list);
        } else {
            lua_geti(L, list, i);
        }
        dr_model_guide(m->model, bind_check_instance(L, -1, "guidance"));
        lua_rawseti(L, -2, i);
    }
    bind_check(L);
}

static void check_callable(lua_State *L, int index)
{
    if (lua_isfunction(L, index)) return;
    if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
        bind_error(L, "a model needs a network or a function, not a %s", bind_typename(L, index));
    lua_pop(L, 1);
}

static bool says(lua_State *L, int net, const char *field) /* as in drift.net { shares_images = true } */
{
    if (!lua_istable(L, net)) return false;
    lua_pushstring(L, field);
    lua_rawget(L, net);
    const bool said = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return said;
}

/* networks = { weak = net, ... } at the top of the stack; what it leaves there holds them. */
static void add_networks(lua_State *L, model *m)
{
    const int table = lua_gettop(L);
    luaL_checktype(L, table, LUA_TTABLE);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        const int net = lua_gettop(L);
        if (lua_type(L, net - 1) != LUA_TSTRING) bind_error(L, "networks are given by name: { weak = net }");
        check_callable(L, net);
        const lua_Integer place = (lua_Integer)lua_rawlen(L, table + 1) + 2;
        other_net *o = lua_newuserdatauv(L, sizeof *o, 0);
        *o = (other_net){ m, place };
        lua_seti(L, table + 1, place - 1);
        lua_pushvalue(L, net);
        lua_seti(L, table + 1, place);
        dr_model_network(m->model, lua_tostring(L, net - 1), run_other, o);
    }
    bind_check(L);
}

/* model(process, net, { guidance =, clip =, networks =, and a condition's fields, or conditions = }) */
static int core_model(lua_State *L)
{
    dr_instance *process = bind_check_instance(L, 1, "process");
    luaL_checkany(L, 2);
    check_callable(L, 2);
    lua_settop(L, 3);
    model *m = lua_newuserdatauv(L, sizeof *m, MODEL_VALUES);
    *m = (model){ NULL, NULL };
    luaL_setmetatable(L, "drift.model");
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 4, PROCESS);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 4, NET);
    bind_remember(L, 4);
    m->model = dr_model_new(process, run_net, m);
    bind_check(L);
    if (says(L, 2, "shares_images")) dr_model_shares_images(m->model);
    if (says(L, 2, "without_mask")) dr_model_without_mask(m->model);
    if (lua_isnil(L, 3)) return 1;
    luaL_checktype(L, 3, LUA_TTABLE);
    if (lua_getfield(L, 3, "guidance") != LUA_TNIL) {
        add_guidance(L, m, lua_gettop(L));
        lua_setiuservalue(L, 4, GUIDANCE);
    }
    if (lua_getfield(L, 3, "networks") != LUA_TNIL) {
        add_networks(L, m);
        lua_setiuservalue(L, 4, NETWORKS);
    }
    if (lua_getfield(L, 3, "clip") != LUA_TNIL) {
        dr_model_clip(m->model, bind_check_instance(L, lua_gettop(L), "clip"));
        lua_setiuservalue(L, 4, CLIP);
    }
    bind_model_conditions(L, m->model, 3);
    lua_settop(L, 4);
    return 1;
}

static int model_condition(lua_State *L)
{
    model *m = check_model(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    bind_model_conditions(L, m->model, 2);
    lua_settop(L, 1);
    return 1;
}

static int model_calls(lua_State *L)
{
    lua_pushinteger(L, dr_model_calls(check_model(L)->model));
    return 1;
}

typedef dr_tensor *estimate_fn(dr_model *f, dr_tensor *x, double t);

static int push_estimate(lua_State *L, estimate_fn *estimate) /* (model, x, t) */
{
    model *m = check_model(L);
    dr_tensor *x = bind_check_tensor(L, 2);
    const double t = luaL_checknumber(L, 3);
    dr_model_check_idle(m->model, "an estimate is asked for");
    bind_check(L);
    dr_scope_open();
    dr_tensor *y = dr_retain(estimate(m->model, x, t));
    dr_model_step_done(m->model);
    dr_scope_close();
    if (dr_failed()) {
        dr_release(y);
        raise_failure(L);
    }
    bind_push_owned(L, y);
    return 1;
}

static int model_velocity(lua_State *L) { return push_estimate(L, dr_eval); }

static int model_x0(lua_State *L) { return push_estimate(L, dr_eval_x0); }

static int model_eps(lua_State *L) { return push_estimate(L, dr_eval_eps); }

static int model_variance(lua_State *L)
{
    model *m = check_model(L);
    dr_scope_open();
    bind_push_borrowed(L, dr_variance(m->model)); /* nil where there is none */
    dr_scope_close();
    return 1;
}

static int model_renoise(lua_State *L) /* renoise(x, from, to, noise) */
{
    const model *m = check_model(L);
    dr_tensor *x = bind_check_tensor(L, 2), *noise = bind_check_tensor(L, 5);
    const double from = luaL_checknumber(L, 3), to = luaL_checknumber(L, 4);
    dr_scope_open();
    return bind_done(L, dr_renoise(dr_model_process(m->model), x, from, to, noise));
}

static int model_grid(lua_State *L) /* grid(sampler) */
{
    model *m = check_model(L);
    double *t = NULL;
    int64_t n = 0;
    dr_sample_grid(m->model, bind_check_instance(L, 2, "sampler"), &t, &n);
    raise_failure(L);
    lua_createtable(L, (int)n + 1, 0);
    for (int64_t i = 0; i <= n; i++) {
        lua_pushnumber(L, t[i]);
        lua_rawseti(L, -2, i + 1);
    }
    free(t);
    return 1;
}

static const double *option_grid(lua_State *L, int64_t *n) /* pushes what owns the numbers */
{
    if (lua_getfield(L, 2, "grid") == LUA_TNIL) return NULL;
    if (!lua_istable(L, -1)) bind_error(L, "grid must be a list of times, not a %s", bind_typename(L, -1));
    *n = luaL_len(L, -1) - 1;
    if (*n < 1) bind_error(L, "grid needs two times at least, from noise to data");
    return bind_check_times(L, lua_gettop(L), *n + 1);
}

static int model_sample(lua_State *L) /* sample { sampler =, x =, rng =, grid =, each = } */
{
    model *m = check_model(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_getfield(L, 2, "sampler");
    dr_instance *sampler = bind_check_instance(L, 3, "sampler");
    dr_tensor *x = bind_option_tensor(L, 2, "x");
    if (!x) return bind_error(L, "sample needs x = the noise to start from");
    lua_getfield(L, 2, "rng");
    const dr_rng rng =
        lua_isnil(L, -1) ? (dr_rng){ .seed = bind_seed, .purpose = dr_purpose("sampler") } : bind_check_rng(L, -1);
    const int each = lua_getfield(L, 2, "each");
    if (each != LUA_TNIL && each != LUA_TFUNCTION)
        return bind_error(L, "each must be a function, not a %s", bind_typename(L, -1));
    lua_setiuservalue(L, 1, EACH);
    int64_t n = 0;
    const double *grid = option_grid(L, &n);
    dr_scope_open();
    dr_tensor *y = dr_retain(dr_sample(m->model, sampler, x, rng, grid, n, each == LUA_TNIL ? NULL : run_each, m));
    dr_scope_close();
    if (dr_failed()) {
        dr_release(y);
        raise_failure(L);
    }
    bind_push_owned(L, y);
    return 1;
}

void bind_open_model(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "condition", model_condition },
        { "calls", model_calls },
        { "velocity", model_velocity },
        { "x0", model_x0 },
        { "eps", model_eps },
        { "variance", model_variance },
        { "renoise", model_renoise },
        { "grid", model_grid },
        { "sample", model_sample },
        { NULL, NULL },
    };
    lua_pushcfunction(L, core_model);
    lua_setfield(L, -2, "model");
    bind_class(L, "drift.model", methods, model_gc);
}
