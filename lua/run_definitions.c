/* run_definitions.c: Lua files that define components, run by a program that is no `drift run` (drift-check): each in a
 * Lua state of its own, which stays open, since the components' functions are its. */
#include "bind.h"

enum { FILES = 64 };
static lua_State *states[FILES];
static int count;

static int run_file(lua_State *L) /* path */
{
    luaL_openlibs(L);
    bind_module(L);
    lua_newtable(L); /* what start.lua and init.lua read of the command line */
    lua_newtable(L);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "script");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "strict");
    lua_setfield(L, -2, "options");
    lua_newtable(L);
    lua_setfield(L, -2, "set");
    lua_newtable(L);
    lua_setfield(L, -2, "set_order");
    lua_setfield(L, LUA_REGISTRYINDEX, "drift.settings");
    lua_pushfstring(L, "%s/lua/drift/start.lua", dr_home_dir());
    if (luaL_loadfilex(L, lua_tostring(L, -1), "t") != LUA_OK) return lua_error(L);
    lua_pushstring(L, dr_home_dir());
    lua_getfield(L, LUA_REGISTRYINDEX, "drift.settings");
    lua_call(L, 2, 0);
    if (luaL_loadfilex(L, lua_tostring(L, 1), "t") != LUA_OK) return lua_error(L);
    lua_call(L, 0, 0);
    return 0;
}

dr_status bind_run_definitions(const char *path)
{
    if (dr_failed()) return dr_failed();
    if (count == FILES) return dr_fail(DR_EUNSUPPORTED, "more than %d Lua files at a time", FILES);
    const int64_t before = dr_component_count();
    lua_State *L = luaL_newstate();
    if (!L) return dr_fail(DR_ENOMEM, "out of memory for %s", path);
    lua_pushcfunction(L, run_file);
    lua_pushstring(L, path);
    if (bind_call(L, 1) != LUA_OK) {
        const char *message = lua_tostring(L, -1);
        dr_fail(DR_EINVAL, "%s", message ? message : "the file raised an error that is no text");
    } else if (dr_component_count() == before) {
        dr_fail(DR_EINVAL, "%s defines no component: it has no drift.define.KIND { ... }", path);
    }
    if (dr_failed() == DR_OK) {
        states[count++] = L;
        return DR_OK;
    }
    lua_close(L);
    return dr_failed();
}

int64_t bind_definitions_bytes(void)
{
    int64_t bytes = 0;
    for (int i = 0; i < count; i++) {
        lua_gc(states[i], LUA_GCCOLLECT); /* twice: what has a finalizer goes with the second */
        lua_gc(states[i], LUA_GCCOLLECT);
        bytes += (int64_t)lua_gc(states[i], LUA_GCCOUNT) * 1024 + lua_gc(states[i], LUA_GCCOUNTB);
    }
    return bytes;
}

void bind_close_definitions(void)
{
    while (count > 0) lua_close(states[--count]);
}
