/* bind_device.c: devices. drift.device "cpu" opens one, drift.use makes it the place where new tensors go. */
#include "bind.h"

#include <string.h>

static void push_device(lua_State *L, dr_device *d)
{
    dr_device **to = lua_newuserdatauv(L, sizeof(dr_device *), 0);
    *to = d;
    luaL_setmetatable(L, "drift.device");
}

static dr_device *check_device(lua_State *L, int index)
{
    dr_device **d = luaL_testudata(L, index, "drift.device");
    return d ? *d : dr_device_open(luaL_checkstring(L, index), DR_NO_ARGS);
}

static int core_device(lua_State *L) /* device(), device(name), device(name, { threads = 2 }) */
{
    if (lua_isnoneornil(L, 1)) {
        if (!dr_device_current()) return bind_error(L, "no device is open");
        push_device(L, dr_device_current());
        return 1;
    }
    dr_args args = DR_NO_ARGS;
    const char *name = luaL_checkstring(L, 1);
    if (lua_istable(L, 2)) {
        lua_pushlstring(L, name, strcspn(name, ":"));
        args = bind_args(L, bind_check_component(L, "backend", lua_tostring(L, -1)), 2);
    }
    dr_device *d = dr_device_open(name, args);
    bind_check(L);
    push_device(L, d);
    return 1;
}

static int core_use(lua_State *L)
{
    dr_device *d = check_device(L, 1);
    bind_check(L);
    dr_device_use(d);
    return 0;
}

static int device_describe(lua_State *L)
{
    lua_pushstring(L, dr_device_describe(check_device(L, 1)));
    bind_check(L);
    return 1;
}

static int device_sync(lua_State *L)
{
    dr_device_sync(check_device(L, 1));
    bind_check(L);
    return 0;
}

/* computes(dtype): whether it has arithmetic of its own in that, rather than casts around arithmetic in f32 */
static int device_computes(lua_State *L)
{
    dr_device *d = check_device(L, 1);
    const char *name = luaL_checkstring(L, 2);
    int dtype = 0;
    while (dtype < DR_DTYPE_COUNT && strcmp(dr_dtype_name((dr_dtype)dtype), name) != 0) dtype++;
    if (dtype == DR_DTYPE_COUNT) return bind_error(L, "there is no dtype \"%s\"", name);
    lua_pushboolean(L, dr_device_computes(d, (dr_dtype)dtype));
    return 1;
}

/* option(name): a number or bool of the backend's parameters, as it was opened; nil: it has none of that name */
static int device_option(lua_State *L)
{
    dr_device *d = check_device(L, 1);
    double value;
    if (!dr_device_option(d, luaL_checkstring(L, 2), &value)) {
        bind_check(L);
        lua_pushnil(L);
    } else {
        lua_pushnumber(L, value);
    }
    return 1;
}

static int device_memory(lua_State *L)
{
    size_t in_use, peak, reserved;
    dr_device_memory(check_device(L, 1), &in_use, &peak, &reserved);
    lua_newtable(L);
    lua_pushinteger(L, (lua_Integer)in_use);
    lua_setfield(L, -2, "in_use");
    lua_pushinteger(L, (lua_Integer)peak);
    lua_setfield(L, -2, "peak");
    lua_pushinteger(L, (lua_Integer)reserved);
    lua_setfield(L, -2, "reserved");
    return 1;
}

/* upvalue 1: the methods */
static int meta_index(lua_State *L)
{
    dr_device **d = luaL_checkudata(L, 1, "drift.device");
    if (strcmp(luaL_checkstring(L, 2), "name") == 0) {
        lua_pushstring(L, dr_device_name(*d));
        return 1;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL)
        return bind_error(L, "a device has no \"%s\"", lua_tostring(L, 2));
    return 1;
}

static int meta_tostring(lua_State *L)
{
    lua_pushfstring(L, "device %s", dr_device_name(check_device(L, 1)));
    return 1;
}

static int meta_eq(lua_State *L)
{
    lua_pushboolean(L, check_device(L, 1) == check_device(L, 2));
    return 1;
}

void bind_open_device(lua_State *L)
{
    static const luaL_Reg functions[] = { { "device", core_device }, { "use", core_use }, { NULL, NULL } };
    static const luaL_Reg methods[] = {
        { "describe", device_describe },
        { "sync", device_sync },
        { "computes", device_computes },
        { "option", device_option },
        { "memory", device_memory },
        { NULL, NULL },
    };
    luaL_setfuncs(L, functions, 0);
    bind_class(L, "drift.device", methods, NULL);
    luaL_getmetatable(L, "drift.device");
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, meta_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, meta_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, meta_eq);
    lua_setfield(L, -2, "__eq");
    lua_pop(L, 1);
}
