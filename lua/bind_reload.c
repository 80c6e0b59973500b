/* bind_reload.c: hot reload (core/reload.c), for lua/drift/hot_reload.lua: which plugin a name means, its new version in
 * place of the one that runs, and whether files have changed. */
#include "bind.h"


static int core_find_plugin(lua_State *L) /* find_plugin(name): number, id, path */
{
    const int64_t i = dr_plugin_find(luaL_checkstring(L, 1));
    bind_check(L);
    const dr_plugin_info *p = dr_plugin_at(i);
    lua_pushinteger(L, i + 1);
    lua_pushstring(L, p->id);
    lua_pushstring(L, p->path);
    return 3;
}

static int core_reload_plugin(lua_State *L) /* reload_plugin(number): what was done, as a table */
{
    dr_reloaded r;
    dr_plugin_reload(luaL_checkinteger(L, 1) - 1, &r);
    bind_check(L);
    lua_createtable(L, 0, 7);
    lua_pushstring(L, r.id);
    lua_setfield(L, -2, "plugin");
    lua_pushstring(L, r.version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, r.sha256);
    lua_setfield(L, -2, "sha256");
    lua_pushinteger(L, r.instances);
    lua_setfield(L, -2, "instances");
    lua_pushinteger(L, r.modules);
    lua_setfield(L, -2, "modules");
    lua_pushboolean(L, r.unmapped);
    lua_setfield(L, -2, "unmapped");
    lua_pushnumber(L, r.seconds);
    lua_setfield(L, -2, "seconds");
    return 1;
}

/* reload_definitions(id, fn, ...): fn, which puts new functions in place of those of components written in Lua, between
 * steps; what plans have recorded of the earlier ones is forgotten */
static int core_reload_definitions(lua_State *L)
{
    dr_reload_check(luaL_checkstring(L, 1));
    bind_check(L);
    lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
    dr_plan_forget_all();
    return lua_gettop(L) - 1;
}

void bind_open_reload(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "find_plugin", core_find_plugin },
        { "reload_plugin", core_reload_plugin },
        { "reload_definitions", core_reload_definitions },
        { NULL, NULL },
    };
    luaL_setfuncs(L, functions, 0);
}
