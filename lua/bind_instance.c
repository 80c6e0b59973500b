/* bind_instance.c: built components of the kinds that have no weights: schedules, processes, samplers, guidance, views,
 * filters, optimizers, decays, data sets, metrics. Methods belong to a kind; a spec stands for its own instance. */
#include "bind.h"

#include <string.h>

static const char METHODS = 0; /* registry: { kind = { name = function } } */

static const dr_instance *instance_of(lua_State *L, const bind_instance *i)
{
    if (!i->instance) bind_error(L, "this component belonged to another one, or to a call, that has ended");
    return i->instance;
}

/* Lua functions among its parameters go with it, and are no longer found by then; its own end may still call them. */
static void find_functions_again(lua_State *L)
{
    const lua_Integer n = lua_getiuservalue(L, 1, 1) == LUA_TTABLE ? (lua_Integer)lua_rawlen(L, -1) : 0;
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        if (luaL_testudata(L, -1, "drift.closure")) bind_remember(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static int instance_gc(lua_State *L)
{
    bind_instance *i = luaL_checkudata(L, 1, "drift.instance");
    if (!i->borrowed && i->instance) {
        find_functions_again(L);
        dr_instance_free(i->instance);
    }
    i->instance = NULL;
    return 0;
}

static int core_build_instance(lua_State *L) /* build_instance(kind, name, given) */
{
    const dr_component *c = bind_check_component(L, luaL_checkstring(L, 1), luaL_checkstring(L, 2));
    luaL_checktype(L, 3, LUA_TTABLE);
    bind_instance *i = lua_newuserdatauv(L, sizeof *i, 1);
    *i = (bind_instance){ NULL, false };
    const dr_args args = bind_args(L, c, 3);
    lua_pushvalue(L, -2);
    luaL_setmetatable(L, "drift.instance"); /* behind the closures', so that it ends before them and may call them */
    lua_pop(L, 1);
    lua_setiuservalue(L, -2, 1); /* closures live as long as the instance */
    i->instance = dr_instance_new(lua_tostring(L, 1), c->name, args);
    bind_check(L);
    return 1;
}

/* spec.lua leaves the function that gives a spec's own instance in the registry. */
static void instance_of_spec(lua_State *L, int index)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "drift.spec_instance");
    lua_pushvalue(L, index);
    lua_call(L, 1, 1);
    lua_replace(L, index);
}

static const char *article(const char *noun) { return strchr("aeiou", noun[0]) ? "an" : "a"; }

dr_instance *bind_check_instance(lua_State *L, int index, const char *kind)
{
    index = lua_absindex(L, index);
    if (luaL_testudata(L, index, "drift.spec")) instance_of_spec(L, index);
    const bind_instance *i = luaL_testudata(L, index, "drift.instance");
    if (!i) {
        bind_error(L, "expected %s %s, such as drift.%s.NAME { ... }, got a %s", article(kind), kind, kind,
                   lua_isnone(L, index) ? "missing argument" : bind_typename(L, index));
        return NULL;
    }
    const dr_component *c = instance_of(L, i)->component;
    if (!bind_kind_is(c, kind))
        bind_error(L, "expected %s %s, got %.*s %s", article(kind), kind, (int)strcspn(c->kind, "/"), c->kind, c->name);
    return i->instance;
}

void bind_instance_methods(lua_State *L, const char *kind, const luaL_Reg *methods)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &METHODS);
    luaL_getsubtable(L, -1, kind);
    luaL_setfuncs(L, methods, 0);
    lua_pop(L, 2);
}

static int core_instance_method(lua_State *L) /* instance_method(kind, name): a function or nil; (kind): all, by name */
{
    lua_settop(L, 2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &METHODS);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) != LUA_TTABLE || lua_isnil(L, 2)) return 1;
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    return 1;
}

static int meta_index(lua_State *L)
{
    const bind_instance *i = luaL_checkudata(L, 1, "drift.instance");
    const dr_component *c = instance_of(L, i)->component;
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "name") == 0) {
        lua_pushstring(L, c->name);
        return 1;
    }
    lua_pushlstring(L, c->kind, strcspn(c->kind, "/"));
    if (strcmp(key, "kind") == 0) return 1;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &METHODS);
    lua_insert(L, -2);
    if (lua_rawget(L, -2) == LUA_TTABLE && lua_getfield(L, -1, key) != LUA_TNIL) {
        if (strcmp(key, "train") != 0 && strcmp(key, "test") != 0) return 1;
        lua_pushvalue(L, 1); /* data.train and data.test are properties */
        lua_call(L, 1, 1);
        return 1;
    }
    return bind_error(L, "%.*s %s has no \"%s\"", (int)strcspn(c->kind, "/"), c->kind, c->name, key);
}

static int meta_tostring(lua_State *L)
{
    const bind_instance *i = luaL_checkudata(L, 1, "drift.instance");
    const dr_component *c = instance_of(L, i)->component;
    lua_pushlstring(L, c->kind, strcspn(c->kind, "/"));
    lua_pushfstring(L, "%s %s (built)", lua_tostring(L, -1), c->name);
    return 1;
}

/* ---- kinds that are a function or two ---------------------------------------------------------------------------- */
static int schedule_beta(lua_State *L) /* beta(i, T): i from 0 */
{
    const dr_instance *s = bind_check_instance(L, 1, "schedule");
    const int64_t T = luaL_checkinteger(L, 3), i = luaL_checkinteger(L, 2);
    if (T < 1 || i < 0 || i >= T) return bind_error(L, "step %lld is outside [0, %lld)", (long long)i, (long long)T);
    const double beta = dr_schedule_beta(s, i, T);
    bind_check(L);
    lua_pushnumber(L, beta);
    return 1;
}

static int decay_factor(lua_State *L) /* factor(epoch, epochs): epoch = finished ones */
{
    const dr_instance *d = bind_check_instance(L, 1, "decay");
    const double epoch = luaL_checknumber(L, 2);
    const int64_t epochs = luaL_checkinteger(L, 3);
    const dr_component_call call = dr_component_enter(d->component, "factor");
    const double factor = dr_component_number(&call, ((const dr_decay *)d->iface)->factor(d->self, epoch, epochs));
    bind_check(L);
    lua_pushnumber(L, factor);
    return 1;
}

static int ema_decay(lua_State *L) /* decay(step): of an average of weights, after optimizer step 1, 2, ... */
{
    const dr_instance *e = bind_check_instance(L, 1, "ema");
    const int64_t step = luaL_checkinteger(L, 2);
    if (step < 1) return bind_error(L, "step %lld is before the first, 1", (long long)step);
    const dr_component_call call = dr_component_enter(e->component, "decay");
    const double decay = dr_component_number(&call, ((const dr_ema *)e->iface)->decay(e->self, step));
    bind_check(L);
    if (decay < 0.0 || decay > 1.0)
        return bind_error(L, "ema %s: decay gave %f at step %lld, outside [0, 1]", e->component->name, decay, (long long)step);
    lua_pushnumber(L, decay);
    return 1;
}

/* ---- pictures: [B,C,H,W], or one alone, [C,H,W] ------------------------------------------------------------------- */
typedef dr_tensor *picture_fn(const dr_instance *i, dr_tensor *x);

static int push_pictures(lua_State *L, const char *kind, picture_fn *fn)
{
    const dr_instance *i = bind_check_instance(L, 1, kind);
    dr_tensor *x = bind_check_tensor(L, 2);
    const dr_view *v = dr_tensor_view(x);
    if (v->rank != 3 && v->rank != 4) {
        char text[128];
        return bind_error(L, "%s %s takes images [B,C,H,W] or one, [C,H,W], not %s", kind, i->component->name,
                          dr_view_text(v, text, sizeof text));
    }
    dr_scope_open();
    if (v->rank == 4) return bind_done(L, fn(i, x));
    dr_tensor *y = fn(i, dr_reshape(x, DR_SHAPE(1, v->shape[0], v->shape[1], v->shape[2]))); /* [1,C,H',W'] */
    const dr_view *w = dr_tensor_view(y);
    return bind_done(L, w && w->rank == 4 ? dr_reshape(y, DR_SHAPE(w->shape[1], w->shape[2], w->shape[3])) : y);
}

static dr_tensor *seen(const dr_instance *view, dr_tensor *x)
{
    const double constant = dr_image_view_constant(view);
    dr_tensor *y = dr_image_view_apply(view, x);
    return constant != 0.0 ? dr_affine(1.0, y, constant) : y;
}

static dr_tensor *unseen(const dr_instance *view, dr_tensor *y)
{
    const double constant = dr_image_view_constant(view);
    return dr_image_view_invert(view, constant != 0.0 ? dr_affine(1.0, y, -constant) : y);
}

static int view_apply(lua_State *L) { return push_pictures(L, "view", seen); }
static int view_invert(lua_State *L) { return push_pictures(L, "view", unseen); }
static int filter_apply(lua_State *L) { return push_pictures(L, "filter", dr_filter_apply); }

void bind_open_instance(lua_State *L)
{
    static const luaL_Reg functions[] = { { "build_instance", core_build_instance },
                                          { "instance_method", core_instance_method },
                                          { NULL, NULL } };
    static const luaL_Reg meta[] = { { "__index", meta_index }, { "__tostring", meta_tostring }, { NULL, NULL } };
    static const luaL_Reg schedule[] = { { "beta", schedule_beta }, { NULL, NULL } };
    static const luaL_Reg decay[] = { { "factor", decay_factor }, { NULL, NULL } };
    static const luaL_Reg ema[] = { { "decay", ema_decay }, { NULL, NULL } };
    static const luaL_Reg view[] = { { "apply", view_apply }, { "invert", view_invert }, { NULL, NULL } };
    static const luaL_Reg filter[] = { { "apply", filter_apply }, { NULL, NULL } };
    luaL_setfuncs(L, functions, 0);
    bind_class(L, "drift.instance", NULL, instance_gc);
    luaL_getmetatable(L, "drift.instance");
    luaL_setfuncs(L, meta, 0);
    lua_pop(L, 1);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &METHODS);
    bind_instance_methods(L, "schedule", schedule);
    bind_instance_methods(L, "decay", decay);
    bind_instance_methods(L, "ema", ema);
    bind_instance_methods(L, "view", view);
    bind_instance_methods(L, "filter", filter);
}
