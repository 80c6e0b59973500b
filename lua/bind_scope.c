/* bind_scope.c: Lua's tensors and how long they live. A Lua value holds one reference to a tensor of the core. Inside
 * drift.scope(fn) the values are listed; when fn ends, those that it does not return give their reference back at once,
 * whether Lua's collector has seen them or not. Outside of every scope the collector decides, and it is made to run
 * when the device's memory has grown much since it last did, as it knows nothing of that memory. */
#include "bind.h"

enum { DEPTH_MAX = 200, NESTED_RESULTS = 8 };
static const size_t PRESSURE = 64u << 20; /* bytes of growth before the collector runs */

static bind_tensor *first[DEPTH_MAX]; /* of each scope's list; [0] is not used */
static int depth;
static size_t after_collection; /* bytes in use */
static int64_t made_outside;    /* values made outside of scopes since then */

static void unlink_handle(bind_tensor *h)
{
    if (h->scope == 0) return;
    if (h->before) h->before->after = h->after;
    if (h->after) h->after->before = h->before;
    if (first[h->scope] == h) first[h->scope] = h->after;
    h->before = h->after = NULL;
    h->scope = 0;
}

static void link_handle(bind_tensor *h, int scope)
{
    h->scope = scope;
    if (scope == 0) return;
    h->before = NULL;
    h->after = first[scope];
    if (h->after) h->after->before = h;
    first[scope] = h;
}

static void relieve_pressure(lua_State *L)
{
    dr_device *d = dr_device_current();
    if (!d || made_outside == 0) return;
    size_t in_use, peak, reserved;
    dr_device_memory(d, &in_use, &peak, &reserved);
    const size_t allowed = after_collection / 2 > PRESSURE ? after_collection / 2 : PRESSURE;
    if (in_use < after_collection + allowed) {
        if (in_use < after_collection) after_collection = in_use;
        return;
    }
    lua_gc(L, LUA_GCCOLLECT);
    dr_device_memory(d, &after_collection, &peak, &reserved);
    made_outside = 0;
}

static bind_tensor *new_handle(lua_State *L, int scope)
{
    if (scope == 0) {
        relieve_pressure(L);
        made_outside++;
    }
    bind_tensor *h = lua_newuserdatauv(L, sizeof *h, 0);
    *h = (bind_tensor){ .scope = 0 };
    luaL_setmetatable(L, "drift.tensor");
    link_handle(h, scope);
    return h;
}

void bind_push_owned(lua_State *L, dr_tensor *t)
{
    if (t) {
        new_handle(L, depth)->tensor = t;
    } else {
        lua_pushnil(L);
    }
}

int bind_done(lua_State *L, dr_tensor *t)
{
    dr_retain(t); /* t outlives the scope, whosever it is */
    dr_scope_close();
    if (dr_failed()) {
        dr_release(t);
        bind_check(L);
    }
    if (!t) return bind_error(L, "the core made no tensor and did not say why");
    bind_push_owned(L, t);
    return 1;
}

void bind_push_borrowed(lua_State *L, dr_tensor *t)
{
    if (!t) {
        lua_pushnil(L);
        return;
    }
    new_handle(L, depth)->tensor = dr_retain(t);
}

void bind_push_weight(lua_State *L, dr_tensor *t) { new_handle(L, 0)->tensor = dr_retain(t); }

bind_tensor *bind_test_handle(lua_State *L, int index) { return luaL_testudata(L, index, "drift.tensor"); }

static dr_tensor *alive(lua_State *L, const bind_tensor *h)
{
    if (!h->tensor)
        bind_error(L, "this tensor belonged to a scope that has ended; return it from the scope or use t:keep()");
    return h->tensor;
}

dr_tensor *bind_check_tensor(lua_State *L, int index)
{
    const bind_tensor *h = bind_test_handle(L, index);
    if (!h)
        bind_error(L, "expected a tensor, got a %s",
                   lua_isnone(L, index) ? "missing argument" : bind_typename(L, index));
    return alive(L, h);
}

dr_tensor *bind_option_tensor(lua_State *L, int table, const char *key)
{
    if (lua_isnoneornil(L, table)) return NULL;
    if (lua_getfield(L, table, key) == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    const bind_tensor *h = bind_test_handle(L, -1);
    if (!h) bind_error(L, "%s must be a tensor, not a %s", key, bind_typename(L, -1));
    lua_pop(L, 1);
    return alive(L, h);
}

/* ---- scopes ------------------------------------------------------------------------------------------------------ */
void bind_scope_enter(lua_State *L)
{
    if (depth + 1 >= DEPTH_MAX) bind_error(L, "more than %d scopes inside one another", DEPTH_MAX);
    depth++;
    first[depth] = NULL;
}

/* A result leaves for the scope around, and so do tensors in tables that are returned. */
static void let_out(lua_State *L, int index, int level)
{
    bind_tensor *h = bind_test_handle(L, index);
    if (h) {
        if (h->scope != depth) return;
        unlink_handle(h);
        link_handle(h, depth - 1);
        if (depth == 1) made_outside++;
        return;
    }
    if (!lua_istable(L, index) || level == NESTED_RESULTS) return;
    if (lua_getmetatable(L, index)) { /* an object, such as a net: not a list of results */
        lua_pop(L, 1);
        return;
    }
    index = lua_absindex(L, index);
    luaL_checkstack(L, 4, "results of a scope");
    lua_pushnil(L);
    while (lua_next(L, index)) {
        let_out(L, -1, level + 1);
        lua_pop(L, 1);
    }
}

void bind_scope_leave(lua_State *L, int results)
{
    for (int i = 1; i <= results && first[depth]; i++) let_out(L, -i, 0);
    while (first[depth]) {
        bind_tensor *h = first[depth];
        unlink_handle(h);
        dr_release(h->tensor);
        h->tensor = NULL;
    }
    depth--;
}

static int core_scope(lua_State *L)
{
    luaL_checkany(L, 1);
    bind_scope_enter(L);
    const int status = bind_call(L, lua_gettop(L) - 1);
    bind_scope_leave(L, status == LUA_OK ? lua_gettop(L) : 0);
    return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

static int core_no_grad(lua_State *L)
{
    luaL_checkany(L, 1);
    const bool recording = dr_grad_mode(false);
    const int status = bind_call(L, lua_gettop(L) - 1);
    dr_grad_mode(recording);
    return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

static int core_grad_enabled(lua_State *L)
{
    const bool recording = dr_grad_mode(false);
    dr_grad_mode(recording);
    lua_pushboolean(L, recording);
    return 1;
}

static int tensor_keep(lua_State *L)
{
    bind_check_tensor(L, 1);
    unlink_handle(bind_test_handle(L, 1));
    made_outside++;
    lua_settop(L, 1);
    return 1;
}

static int tensor_gc(lua_State *L)
{
    bind_tensor *h = bind_test_handle(L, 1);
    unlink_handle(h);
    dr_release(h->tensor);
    h->tensor = NULL;
    return 0;
}

static const luaL_Reg functions[] = {
    { "scope", core_scope },
    { "no_grad", core_no_grad },
    { "grad_enabled", core_grad_enabled },
    { NULL, NULL },
};

void bind_open_scope(lua_State *L)
{
    static const luaL_Reg methods[] = { { "keep", tensor_keep }, { NULL, NULL } };
    bind_class(L, "drift.tensor", methods, tensor_gc);
    luaL_setfuncs(L, functions, 0);
}
