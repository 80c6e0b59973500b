/* bind_plan.c: functions of tensors that are replayed once they have shown to do the same at each call (core/plan.c).
 *   local step = drift.plan(function(inputs) ... return loss end, { name = "the training step" })
 *   local loss = step { image = images, label = labels, sample = first }
 * Inputs are tensors by name; `sample` is the number of the first row, from which random streams count; other values
 * (strings, numbers, true or false) are part of what a recording is for. The function runs in a scope of its own. */
#include "bind.h"

#include <stdlib.h>
#include <string.h>

enum { FN = 1, ENTRIES = 64 };

typedef struct plan {
    dr_plan *plan;
} plan;

typedef struct call {
    lua_State *L;
    const char *name[ENTRIES]; /* of all inputs, sorted; the table keeps them */
    int names;
    const char *tensor[DR_PLAN_INPUTS]; /* the names of those that are tensors */
    int tensors;
    dr_tensor *const *in; /* what the function gets for them */
    int results;          /* on top of the stack after it ran */
    bool raised;          /* its error is there instead */
} call;

/* ---- the function ------------------------------------------------------------------------------------------------ */

static bool is_tensor_name(const call *c, const char *name, int *at)
{
    for (int i = 0; i < c->tensors; i++) {
        if (strcmp(c->tensor[i], name) == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

static int call_function(lua_State *L) /* fn, inputs, call */
{
    const call *c = lua_touserdata(L, 3);
    lua_pushvalue(L, 1);
    lua_createtable(L, 0, c->names);
    for (int i = 0, at; i < c->names; i++) {
        if (is_tensor_name(c, c->name[i], &at)) {
            bind_push_borrowed(L, c->in[at]);
        } else {
            lua_getfield(L, 2, c->name[i]);
        }
        lua_setfield(L, -2, c->name[i]);
    }
    lua_call(L, 1, LUA_MULTRET);
    return lua_gettop(L) - 3;
}

static int in_scope(lua_State *L) /* fn, inputs, call */
{
    lua_pushcfunction(L, call_function);
    lua_insert(L, 1);
    bind_scope_enter(L);
    const int status = bind_call(L, 3);
    bind_scope_leave(L, status == LUA_OK ? lua_gettop(L) : 0);
    return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* Leaves the function's results, or its error, on the stack; out has references to them for the plan. The plan is at
 * index 1, its inputs are at 2. */
static dr_status run_function(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    call *c = ctx;
    lua_State *L = c->L;
    if (!lua_checkstack(L, 16)) return dr_fail(DR_ENOMEM, "out of memory for a plan's function");
    const int top = lua_gettop(L);
    c->in = in;
    lua_pushcfunction(L, in_scope);
    lua_getiuservalue(L, 1, FN);
    lua_pushvalue(L, 2);
    lua_pushlightuserdata(L, c);
    c->raised = lua_pcall(L, 3, LUA_MULTRET, 0) != LUA_OK;
    if (c->raised) return dr_fail(DR_EINTERRUPTED, "the script's function failed");
    c->results = lua_gettop(L) - top;
    for (int i = 1; i <= c->results && i <= DR_PLAN_OUTPUTS; i++) {
        const bool tensor = bind_test_handle(L, top + i) != NULL;
        if (!tensor && !lua_isnil(L, top + i)) {
            dr_plan_refuse("it gives back a %s; a replay has tensors alone", bind_typename(L, top + i));
        }
        out[i - 1] = tensor ? dr_retain(bind_check_tensor(L, top + i)) : NULL;
        *n_out = i;
    }
    if (c->results > DR_PLAN_OUTPUTS) dr_plan_refuse("it gives back more than %d tensors", DR_PLAN_OUTPUTS);
    return DR_OK;
}

/* ---- its inputs -------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static void read_names(lua_State *L, call *c)
{
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) bind_error(L, "a plan's inputs are given by name: { image = tensor }");
        if (c->names == ENTRIES) bind_error(L, "a plan takes at most %d inputs", ENTRIES);
        c->name[c->names++] = lua_tostring(L, -2);
    }
    qsort(c->name, (size_t)c->names, sizeof *c->name, by_name);
}

static void add_value(lua_State *L, luaL_Buffer *key, const char *name) /* the value is below the buffer */
{
    char text[64] = "";
    const int at = 3;
    switch (lua_type(L, at)) {
    case LUA_TBOOLEAN: snprintf(text, sizeof text, "%d", lua_toboolean(L, at)); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, at)) snprintf(text, sizeof text, "%lld", (long long)lua_tointeger(L, at));
        else snprintf(text, sizeof text, "%a", lua_tonumber(L, at));
        break;
    case LUA_TSTRING: luaL_addstring(key, lua_tostring(L, at)); break;
    default: bind_error(L, "a plan's input %s must be a tensor, a number, a string or true or false, not a %s", name,
                        bind_typename(L, at));
    }
    luaL_addstring(key, text);
}

/* Fills in[], the sample, and leaves the key on the stack. */
static void read_inputs(lua_State *L, call *c, dr_plan_call *p, dr_tensor **in)
{
    read_names(L, c);
    lua_pushliteral(L, "");
    for (int i = 0; i < c->names; i++) {
        luaL_Buffer key;
        lua_getfield(L, 2, c->name[i]);
        lua_insert(L, 3); /* the value; above it the key so far */
        luaL_buffinit(L, &key);
        lua_pushvalue(L, 4);
        luaL_addvalue(&key);
        luaL_addstring(&key, c->name[i]);
        if (bind_test_handle(L, 3)) {
            if (c->tensors == DR_PLAN_INPUTS) bind_error(L, "a plan takes at most %d tensors", DR_PLAN_INPUTS);
            c->tensor[c->tensors] = c->name[i];
            in[c->tensors++] = bind_check_tensor(L, 3);
            luaL_addchar(&key, '\1');
        } else if (strcmp(c->name[i], "sample") == 0) {
            int whole;
            p->sample = lua_tointegerx(L, 3, &whole);
            if (!whole) bind_error(L, "a plan's sample must be the whole number of its first row");
            p->has_sample = true;
        } else {
            luaL_addchar(&key, '\2');
            add_value(L, &key, c->name[i]);
            luaL_addchar(&key, '\3');
        }
        luaL_pushresult(&key);
        lua_replace(L, 4);
        lua_settop(L, 4);
        lua_remove(L, 3);
    }
    p->key = lua_tostring(L, 3);
    p->n_in = c->tensors;
}

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

static plan *check_plan(lua_State *L) { return luaL_checkudata(L, 1, "drift.plan"); }

static int plan_call(lua_State *L) /* plan { name = tensor, ... } */
{
    const plan *p = check_plan(L);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    call c = { .L = L };
    dr_tensor *in[DR_PLAN_INPUTS], *out[DR_PLAN_OUTPUTS];
    dr_plan_call run = { .fn = run_function, .ctx = &c, .in = in };
    read_inputs(L, &c, &run, in);
    int n = 0;
    dr_scope_open();
    dr_plan_run(p->plan, &run, out, &n);
    dr_scope_close();
    if (dr_failed() || run.ran) {
        for (int i = 0; i < n; i++) dr_release(out[i]);
    }
    if (dr_failed() && c.raised) {
        dr_error_clear(); /* the script's own error says more */
        return lua_error(L);
    }
    bind_check(L);
    if (run.ran) return c.results;
    for (int i = 0; i < n; i++) bind_push_owned(L, out[i]);
    return n;
}

static int core_plan(lua_State *L) /* plan(fn [, { name =, first_check = }]) */
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 2);
    bind_where(L);
    lua_pushfstring(L, "the plan of %s", lua_tostring(L, 3));
    size_t length;
    const char *place = lua_tolstring(L, 4, &length);
    lua_pushlstring(L, place, length > 2 ? length - 2 : length); /* without ": " */
    const char *name = bind_option_string(L, 2, "name", lua_tostring(L, 5));
    const int64_t first_check = bind_option_integer(L, 2, "first_check", 8);
    plan *p = lua_newuserdatauv(L, sizeof *p, 1);
    p->plan = NULL;
    luaL_setmetatable(L, "drift.plan");
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, FN);
    p->plan = dr_plan_new(name, first_check);
    bind_check(L);
    return 1;
}

static int plan_gc(lua_State *L)
{
    plan *p = check_plan(L);
    dr_plan_free(p->plan);
    p->plan = NULL;
    return 0;
}

static int plan_check(lua_State *L) /* the next call is compared with what is replayed */
{
    dr_plan_check(check_plan(L)->plan);
    lua_settop(L, 1);
    return 1;
}

static int plan_state(lua_State *L)
{
    const dr_plan_state s = dr_plan_look(check_plan(L)->plan);
    const struct {
        const char *name;
        int64_t value;
    } number[] = {
        { "launches", s.launches }, { "once", s.once }, { "arena", (int64_t)s.arena }, { "made", (int64_t)s.made },
        { "outer", (int64_t)s.outer }, { "inputs", (int64_t)s.inputs },
        { "replayed", s.replayed }, { "checked", s.checked }, { "graphs", s.graphs },
    };
    lua_createtable(L, 0, 12);
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        lua_pushinteger(L, number[i].value);
        lua_setfield(L, -2, number[i].name);
    }
    lua_pushboolean(L, s.replays);
    lua_setfield(L, -2, "replays");
    lua_pushboolean(L, s.graph);
    lua_setfield(L, -2, "graph");
    lua_pushstring(L, s.reason);
    lua_setfield(L, -2, "reason");
    return 1;
}

static int plan_ops(lua_State *L) /* ops() -> list of { op, launches, flop, bytes }: what one replay is made of */
{
    enum { OPS = 256 };
    dr_plan_op row[OPS];
    const int64_t n = dr_plan_ops(check_plan(L)->plan, row, OPS);
    bind_check(L);
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_createtable(L, 0, 4);
        lua_pushstring(L, row[i].op);
        lua_setfield(L, -2, "op");
        lua_pushinteger(L, row[i].launches);
        lua_setfield(L, -2, "launches");
        lua_pushnumber(L, row[i].flop);
        lua_setfield(L, -2, "flop");
        lua_pushnumber(L, row[i].bytes);
        lua_setfield(L, -2, "bytes");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int core_plans(lua_State *L) /* plans(on): replayed, or all as written; returns what it was */
{
    luaL_checktype(L, 1, LUA_TBOOLEAN);
    lua_pushboolean(L, dr_plan_enable(lua_toboolean(L, 1)));
    return 1;
}

void bind_open_plan(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "check", plan_check }, { "state", plan_state }, { "ops", plan_ops }, { NULL, NULL }
    };
    lua_pushcfunction(L, core_plan);
    lua_setfield(L, -2, "plan");
    lua_pushcfunction(L, core_plans);
    lua_setfield(L, -2, "plans");
    bind_class(L, "drift.plan", methods, plan_gc);
    luaL_getmetatable(L, "drift.plan");
    lua_pushcfunction(L, plan_call);
    lua_setfield(L, -2, "__call");
    lua_pop(L, 1);
}
