/* bind_profile.c: drift.trace names a phase of the host in the trace of --profile; drift.kernels says what a function's
 * kernels took. Without --profile and outside of drift.kernels both cost one branch. */
#include "bind.h"

static int core_trace(lua_State *L) /* trace(name, fn, ...): fn(...) */
{
    const char *name = luaL_checkstring(L, 1);
    luaL_checkany(L, 2);
    if (!dr_profile_is_open()) {
        lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
        return lua_gettop(L) - 1;
    }
    const int phase = dr_profile_begin(name);
    const int status = bind_call(L, lua_gettop(L) - 2);
    dr_profile_end(phase);
    return status == LUA_OK ? lua_gettop(L) - 1 : lua_error(L);
}

static void set_number(lua_State *L, const char *key, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, key);
}

static void set_text(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

static void push_rows(lua_State *L)
{
    const int64_t n = dr_profile_count();
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        const dr_profile_row *row = dr_profile_at(i);
        lua_newtable(L);
        set_text(L, "op", row->op);
        set_text(L, "shapes", row->shapes);
        set_text(L, "dtype", row->dtype);
        lua_pushinteger(L, row->calls);
        lua_setfield(L, -2, "calls");
        set_number(L, "seconds", row->seconds);
        set_number(L, "least", row->least);
        set_number(L, "flop", row->flop);
        set_number(L, "bytes", row->bytes);
        lua_rawseti(L, -2, i + 1);
    }
}

/* kernels(fn [, repeat]) -> rows of op, shapes, dtype, calls, seconds, least, flop, bytes */
static int core_kernels(lua_State *L)
{
    const lua_Integer times = luaL_optinteger(L, 2, 0);
    lua_settop(L, 1);
    if (dr_profile_is_open()) return bind_error(L, "kernels: a profile is being taken already (--profile)");
    dr_profile_open(NULL, 0);
    bind_check(L);
    dr_profile_repeat((int)times);
    const int status = bind_call(L, 0);
    dr_profile_close();
    if (status != LUA_OK) return lua_error(L);
    bind_check(L);
    push_rows(L);
    return 1;
}

static int core_profiling(lua_State *L)
{
    lua_pushboolean(L, dr_profile_is_open());
    return 1;
}

void bind_open_profile(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "trace", core_trace }, { "kernels", core_kernels }, { "profiling", core_profiling }, { NULL, NULL }
    };
    luaL_setfuncs(L, functions, 0);
}
