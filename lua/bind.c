/* bind.c: the binding's ground: errors that name the script's line, options read from tables, and the opening of all
 * parts as the Lua module drift.core. */
#include "bind.h"

#include <stdarg.h>
#include <string.h>

volatile int bind_interrupted; /* main.c sets it */

static const char LAST_ERROR = 0; /* its address is the registry's key */

/* What lies in lua/drift is the library; a user wants to see the line of his own script. */
static bool is_library(const char *source)
{
    const char *home = dr_home_dir();
    const size_t n = home ? strlen(home) : 0;
    return n > 0 && source[0] == '@' && strncmp(source + 1, home, n) == 0 &&
           strncmp(source + 1 + n, "/lua/drift/", 11) == 0;
}

void bind_where(lua_State *L)
{
    lua_Debug frame;
    for (int level = 0; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline <= 0) continue; /* a C function */
        if (is_library(frame.source)) continue;
        lua_pushfstring(L, "%s:%d: ", frame.short_src, frame.currentline);
        return;
    }
    lua_pushliteral(L, "");
}

int bind_error(lua_State *L, const char *format, ...)
{
    char message[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    bind_where(L);
    lua_pushstring(L, message);
    lua_concat(L, 2);
    return lua_error(L);
}

void bind_check(lua_State *L)
{
    if (dr_failed() == DR_OK) return;
    bind_where(L);
    lua_pushstring(L, dr_error_message());
    dr_error_clear();
    lua_concat(L, 2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &LAST_ERROR);
    lua_error(L);
}

bool bind_is_core_error(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &LAST_ERROR);
    const char *last = lua_tostring(L, -1), *this = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;
    const bool same = last && this && strncmp(this, last, strlen(last)) == 0; /* a traceback may follow */
    lua_pop(L, 1);
    return same;
}

/* Keeps the traceback of the place where the error was raised, since callers only see the unwound stack. */
static int with_traceback(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "drift.debug");
    const bool debug = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (!debug || lua_type(L, 1) != LUA_TSTRING || strstr(lua_tostring(L, 1), "\nstack traceback:")) return 1;
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

int bind_call(lua_State *L, int arguments)
{
    const int function = lua_gettop(L) - arguments;
    lua_pushcfunction(L, with_traceback);
    lua_insert(L, function);
    const int status = lua_pcall(L, arguments, LUA_MULTRET, function);
    lua_remove(L, function);
    return status;
}

void bind_remember(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    if (!luaL_getsubtable(L, LUA_REGISTRYINDEX, "drift.remembered")) {
        lua_newtable(L);
        lua_pushliteral(L, "v");
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
    }
    lua_pushvalue(L, index);
    lua_rawsetp(L, -2, lua_touserdata(L, index));
    lua_pop(L, 1);
}

void bind_recall(lua_State *L, const void *userdata)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "drift.remembered");
    lua_rawgetp(L, -1, userdata);
    lua_remove(L, -2);
}

const char *bind_typename(lua_State *L, int index)
{
    if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
        const char *name = lua_tostring(L, -1);
        lua_pop(L, 1); /* the metatable keeps the string */
        return strncmp(name, "drift.", 6) == 0 ? name + 6 : name;
    }
    return luaL_typename(L, index);
}

void bind_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc)
{
    luaL_newmetatable(L, name);
    lua_newtable(L);
    if (methods) luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    if (gc) {
        lua_pushcfunction(L, gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
}

/* ---- options: fields of a table; a table that is absent has none ------------------------------------------------- */
static int field(lua_State *L, int table, const char *key)
{
    if (lua_isnoneornil(L, table)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    if (!lua_istable(L, table))
        return bind_error(L, "options are a table such as { %s = ... }, not a %s", key, bind_typename(L, table));
    return lua_getfield(L, table, key);
}

static void refuse(lua_State *L, const char *key, const char *wanted)
{
    bind_error(L, "%s must be %s, not a %s", key, wanted, bind_typename(L, -1));
}

const char *bind_option_string(lua_State *L, int table, const char *key, const char *def)
{
    const int type = field(L, table, key);
    if (type != LUA_TNIL && type != LUA_TSTRING) refuse(L, key, "a string");
    const char *text = type == LUA_TNIL ? def : lua_tostring(L, -1);
    lua_pop(L, 1); /* the table keeps the string */
    return text;
}

double bind_option_number(lua_State *L, int table, const char *key, double def)
{
    const int type = field(L, table, key);
    if (type != LUA_TNIL && type != LUA_TNUMBER) refuse(L, key, "a number");
    const double value = type == LUA_TNIL ? def : lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

int64_t bind_option_integer(lua_State *L, int table, const char *key, int64_t def)
{
    const int type = field(L, table, key);
    int whole = 1;
    const int64_t value = type == LUA_TNIL ? def : (int64_t)lua_tointegerx(L, -1, &whole);
    if (type != LUA_TNIL && (type != LUA_TNUMBER || !whole)) refuse(L, key, "a whole number");
    lua_pop(L, 1);
    return value;
}

bool bind_option_bool(lua_State *L, int table, const char *key, bool def)
{
    const int type = field(L, table, key);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN) refuse(L, key, "true or false");
    const bool value = type == LUA_TNIL ? def : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

dr_dtype bind_check_dtype(lua_State *L, const char *name)
{
    const char *known[DR_DTYPE_COUNT];
    for (int i = 0; i < DR_DTYPE_COUNT; i++) {
        known[i] = dr_dtype_name((dr_dtype)i);
        if (strcmp(known[i], name) == 0) return (dr_dtype)i;
    }
    const char *near = dr_nearest(name, known, DR_DTYPE_COUNT);
    return (dr_dtype)bind_error(L, "there is no dtype \"%s\"%s%s", name, near ? ", did you mean " : "",
                                near ? near : "");
}

/* ---- the module -------------------------------------------------------------------------------------------------- */
static int core_fail(lua_State *L) /* fail(format, ...): as string.format */
{
    lua_getglobal(L, "string");
    lua_getfield(L, -1, "format");
    lua_insert(L, 1);
    lua_pop(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    bind_where(L);
    lua_insert(L, 1);
    lua_concat(L, 2);
    return lua_error(L);
}

static int core_where(lua_State *L)
{
    bind_where(L);
    size_t n;
    const char *text = lua_tolstring(L, -1, &n);
    lua_pushlstring(L, text, n > 2 ? n - 2 : 0);
    return 1;
}

/* within(text, fn, ...): errors of the core carry the text as their place; other errors get it put before them. */
static int core_within(lua_State *L)
{
    const char *place = luaL_checkstring(L, 1);
    luaL_checkany(L, 2);
    dr_error_push(place);
    const int status = bind_call(L, lua_gettop(L) - 2);
    dr_error_pop();
    if (status == LUA_OK) return lua_gettop(L) - 1;
    if (bind_is_core_error(L, -1) || lua_type(L, -1) != LUA_TSTRING) return lua_error(L);
    lua_pushfstring(L, "%s: %s", place, lua_tostring(L, -1));
    return lua_error(L);
}

static int core_type(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, bind_typename(L, 1));
    return 1;
}

static int core_nearest(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    const int64_t n = luaL_len(L, 2);
    const char **known = lua_newuserdatauv(L, (size_t)(n > 0 ? n : 1) * sizeof *known, 0);
    int64_t count = 0;
    for (int64_t i = 1; i <= n; i++) {
        if (lua_geti(L, 2, i) == LUA_TSTRING) known[count++] = lua_tostring(L, -1);
        lua_pop(L, 1); /* the list keeps the string */
    }
    lua_pushstring(L, dr_nearest(name, known, count));
    return 1;
}

static int core_seed(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) bind_seed = (uint64_t)luaL_checkinteger(L, 1);
    lua_pushinteger(L, (lua_Integer)bind_seed);
    return 1;
}

static int core_interrupted(lua_State *L)
{
    lua_pushboolean(L, bind_interrupted != 0);
    return 1;
}

static int core_load_plugin(lua_State *L)
{
    dr_plugin_load(luaL_checkstring(L, 1));
    bind_check(L);
    return 0;
}

/* door(fn): fn behind a C function. "return drift.net { ... }" is a tail call, which would wipe out the script's line
 * if it led to a function of Lua; one of C leaves it there for error messages. */
static int call_behind_door(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int core_door(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_pushcclosure(L, call_behind_door, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    { "door", core_door },
    { "fail", core_fail },
    { "where", core_where },
    { "within", core_within },
    { "type", core_type },
    { "nearest", core_nearest },
    { "seed", core_seed },
    { "interrupted", core_interrupted },
    { "load_plugin", core_load_plugin },
    { NULL, NULL },
};

static int open_module(lua_State *L)
{
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_pushstring(L, DR_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, dr_home_dir());
    lua_setfield(L, -2, "home");
    lua_getfield(L, LUA_REGISTRYINDEX, "drift.settings"); /* of main.c */
    lua_setfield(L, -2, "settings");
    bind_open_scope(L);
    bind_open_tensor(L);
    bind_open_op(L);
    bind_open_create(L);
    bind_open_device(L);
    bind_open_spec(L);
    bind_open_instance(L);
    bind_open_module(L);
    bind_open_process(L);
    bind_open_metric(L);
    bind_open_model(L);
    bind_open_optim(L);
    bind_open_plan(L);
    bind_open_later(L);
    bind_open_data(L);
    bind_open_file(L);
    bind_open_weights(L);
    bind_open_json(L);
    bind_open_image(L);
    bind_open_gif(L);
    bind_open_canvas(L);
    bind_open_system(L);
    bind_open_profile(L);
    bind_open_ffi(L);
    bind_open_define(L);
    bind_open_tokenizer(L);
    bind_open_devices(L);
    bind_open_doctor(L);
    bind_open_spawn(L);
    bind_open_line(L);
    bind_open_http(L);
    bind_open_terminal(L);
    bind_open_reload(L);
    return 1;
}

void bind_module(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, open_module);
    lua_setfield(L, -2, "drift.core");
    lua_pop(L, 1);
}
