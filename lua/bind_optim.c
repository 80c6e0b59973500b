/* bind_optim.c: optimizers over a network's weights: drift.optimizer(drift.optim.adam { lr = 1e-3 }, net). */
#include "bind.h"

typedef struct optimizer {
    dr_optim *optim;
    dr_instance *instance; /* borrowed: user value 1 holds it */
} optimizer;

static optimizer *check(lua_State *L) { return luaL_checkudata(L, 1, "drift.optimizer"); }

dr_optim *bind_check_optim(lua_State *L, int index)
{
    const optimizer *o = luaL_testudata(L, index, "drift.optimizer");
    if (!o) bind_error(L, "expected an optimizer, got a %s", bind_typename(L, index));
    return o->optim;
}

static int optim_gc(lua_State *L)
{
    optimizer *o = check(L);
    dr_optim_free(o->optim);
    o->optim = NULL;
    return 0;
}

/* optimizer(spec, list of { path =, tensor = }): net.lua turns a network into its list */
static int core_new_optimizer(lua_State *L)
{
    dr_instance *instance = bind_check_instance(L, 1, "optim");
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    const int64_t n = luaL_len(L, 2);
    const size_t room = (size_t)(n > 0 ? n : 1);
    dr_tensor **param = lua_newuserdatauv(L, room * sizeof *param, 0);
    const char **path = lua_newuserdatauv(L, room * sizeof *path, 0);
    for (int64_t i = 0; i < n; i++) {
        if (lua_geti(L, 2, i + 1) != LUA_TTABLE)
            return bind_error(L, "weight %lld of the list is no { path =, tensor = }", (long long)i + 1);
        param[i] = bind_option_tensor(L, lua_gettop(L), "tensor");
        path[i] = bind_option_string(L, lua_gettop(L), "path", NULL);
        if (!param[i] || !path[i])
            return bind_error(L, "weight %lld of the list is no { path =, tensor = }", (long long)i + 1);
        lua_pop(L, 1); /* the list keeps it alive */
    }
    optimizer *o = lua_newuserdatauv(L, sizeof *o, 1);
    *o = (optimizer){ .instance = instance };
    luaL_setmetatable(L, "drift.optimizer");
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    dr_scope_open();
    o->optim = dr_optim_new(instance, param, path, n);
    dr_scope_close();
    bind_check(L);
    return 1;
}

static int optim_step(lua_State *L) /* step(lr_factor) */
{
    const optimizer *o = check(L);
    dr_optim_step(o->optim, luaL_optnumber(L, 2, 1.0));
    bind_check(L);
    return 0;
}

static int optim_advance(lua_State *L) /* advance(lr_factor) */
{
    dr_optim_advance(check(L)->optim, luaL_optnumber(L, 2, 1.0));
    bind_check(L);
    return 0;
}

/* averages { { tensor of each weight, in their order }, ... } -> their decays, f64 [], to be filled before each step */
static int optim_averages(lua_State *L)
{
    enum { MOST = 4 };
    const optimizer *o = check(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    const int64_t count = luaL_len(L, 2), n = dr_optim_weights(o->optim);
    if (count > MOST) return bind_error(L, "an optimizer moves at most %d averages, not %lld", MOST, (long long)count);
    dr_tensor **average = lua_newuserdatauv(L, (size_t)(count * n + 1) * sizeof *average, 0);
    for (int64_t k = 0; k < count; k++) {
        lua_geti(L, 2, k + 1);
        if (!lua_istable(L, -1) || luaL_len(L, -1) != n)
            return bind_error(L, "an average is a list of %lld tensors, one for each weight", (long long)n);
        for (int64_t i = 0; i < n; i++) {
            lua_geti(L, -1, i + 1);
            average[k * n + i] = bind_check_tensor(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    dr_tensor *numbers = dr_optim_averages(o->optim, average, (int)count);
    bind_check(L);
    lua_createtable(L, (int)count, 0);
    for (int64_t k = 0; k < count; k++) {
        dr_scope_open();
        dr_tensor *decay = dr_retain(dr_reshape(dr_slice(numbers, 0, 2 + k, 1), 0, NULL));
        dr_scope_close();
        bind_check(L);
        bind_push_weight(L, decay);
        dr_release(decay);
        lua_seti(L, -2, k + 1);
    }
    return 1;
}

static int optim_steps(lua_State *L)
{
    lua_pushinteger(L, dr_optim_steps(check(L)->optim));
    return 1;
}

static int optim_lr(lua_State *L)
{
    const optimizer *o = check(L);
    double lr = 0;
    dr_param_read(o->instance->component, o->instance->self, "lr", &lr);
    bind_check(L);
    lua_pushnumber(L, lr);
    return 1;
}

static int optim_load(lua_State *L) /* load(file [, prefix]) */
{
    const optimizer *o = check(L);
    const dr_file *f = bind_test_file(L, 2);
    if (!f) return bind_error(L, "expected a file of drift.open, got a %s", bind_typename(L, 2));
    dr_scope_open();
    dr_optim_load(o->optim, f, luaL_optstring(L, 3, "optim."));
    dr_scope_close();
    bind_check(L);
    return 0;
}

/* upvalue 1: the methods; opt.lr is a property */
static int meta_index(lua_State *L)
{
    lua_pushliteral(L, "lr");
    if (lua_rawequal(L, 2, -1)) return optim_lr(L);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL)
        return bind_error(L, "an optimizer has no \"%s\"", luaL_tolstring(L, 2, NULL));
    return 1;
}

void bind_open_optim(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "advance", optim_advance }, { "averages", optim_averages }, { "step", optim_step },
        { "steps", optim_steps },     { "load", optim_load },         { NULL, NULL },
    };
    lua_pushcfunction(L, core_new_optimizer);
    lua_setfield(L, -2, "new_optimizer");
    bind_class(L, "drift.optimizer", methods, optim_gc);
    luaL_getmetatable(L, "drift.optimizer");
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, meta_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
