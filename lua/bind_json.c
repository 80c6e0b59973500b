/* bind_json.c: JSON through jansson. Keys are sorted, so the same value gives the same text. A table with elements is a
 * list if it has no string keys; an empty one is an object unless drift.json.array marks it. NaN and infinities, which
 * JSON has no word for, become null. A key that stands twice in an object is an error. */
#include "bind.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64 };
static const char NULL_VALUE = 0; /* its address is drift.json.null */

/* ---- Lua to JSON: on an error the message is pushed and NULL returned, since json_t must be freed on the way ----- */
static json_t *from_lua(lua_State *L, int index, int depth);

static bool is_list(lua_State *L, int index)
{
    if (luaL_getmetafield(L, index, "__name") != LUA_TNIL) {
        const bool marked = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "json array") == 0;
        lua_pop(L, 1);
        if (marked) return true;
    }
    return lua_rawlen(L, index) > 0;
}

static json_t *list_from(lua_State *L, int index, int depth)
{
    json_t *list = json_array();
    const int64_t n = (int64_t)lua_rawlen(L, index);
    for (int64_t i = 1; list && i <= n; i++) {
        lua_rawgeti(L, index, i);
        json_t *value = from_lua(L, lua_gettop(L), depth + 1);
        if (!value) {
            json_decref(list);
            return NULL;
        }
        lua_pop(L, 1);
        json_array_append_new(list, value);
    }
    return list;
}

static json_t *object_from(lua_State *L, int index, int depth)
{
    json_t *object = json_object();
    lua_pushnil(L);
    while (object && lua_next(L, index)) {
        json_t *value = NULL;
        if (lua_type(L, -2) != LUA_TSTRING) {
            lua_pushliteral(L, "a JSON object's keys are strings, and a list has no string keys");
        } else {
            value = from_lua(L, lua_gettop(L), depth + 1);
        }
        if (!value) {
            json_decref(object);
            return NULL;
        }
        lua_pop(L, 1);
        if (json_object_set_new(object, lua_tostring(L, -1), value) != 0) {
            json_decref(object);
            lua_pushliteral(L, "a JSON key is not UTF-8");
            return NULL;
        }
    }
    return object;
}

static json_t *from_lua(lua_State *L, int index, int depth)
{
    json_t *value = NULL;
    if (depth > DEPTH_MAX || !lua_checkstack(L, 8)) {
        lua_pushliteral(L, "tables nested too deep for JSON (or in a circle)");
        return NULL;
    }
    switch (lua_type(L, index)) {
    case LUA_TNIL: return json_null();
    case LUA_TBOOLEAN: return json_boolean(lua_toboolean(L, index));
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) return json_integer(lua_tointeger(L, index));
        return isfinite(lua_tonumber(L, index)) ? json_real(lua_tonumber(L, index)) : json_null();
    case LUA_TSTRING: {
        size_t n;
        const char *text = lua_tolstring(L, index, &n);
        if (!(value = json_stringn(text, n))) lua_pushliteral(L, "a string that is not UTF-8 cannot be JSON");
        return value;
    }
    case LUA_TTABLE: return is_list(L, index) ? list_from(L, index, depth) : object_from(L, index, depth);
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == (void *)(uintptr_t)&NULL_VALUE) return json_null();
    /* fall through */
    default: lua_pushfstring(L, "a %s cannot be JSON", bind_typename(L, index)); return NULL;
    }
}

/* With the fewest digits, of 15, 16 and 17, that give every number back: 0.0003 and not 0.00029999999999999997. */
static char *dumped(const json_t *value, size_t flags)
{
    for (size_t digits = 15; digits < 17; digits++) {
        char *text = json_dumps(value, flags | JSON_REAL_PRECISION(digits));
        json_t *back = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
        const bool same = back && json_equal(value, back);
        json_decref(back);
        if (same) return text;
        free(text);
    }
    return json_dumps(value, flags | JSON_REAL_PRECISION(17));
}

static int json_encode(lua_State *L) /* encode(value [, { indent = 2 }]) */
{
    luaL_checkany(L, 1);
    const int64_t indent = bind_option_integer(L, 2, "indent", 0);
    if (indent < 0 || indent > 31) return bind_error(L, "indent = %lld is outside [0, 31]", (long long)indent);
    json_t *value = from_lua(L, 1, 0);
    if (!value) return bind_error(L, "json.encode: %s", lua_tostring(L, -1));
    char *text = dumped(value, JSON_SORT_KEYS | JSON_ENCODE_ANY | (indent > 0 ? JSON_INDENT((size_t)indent) : 0));
    json_decref(value);
    if (!text) return bind_error(L, "json.encode: out of memory");
    lua_pushstring(L, text);
    free(text);
    return 1;
}

/* ---- JSON to Lua ------------------------------------------------------------------------------------------------- */
static void to_lua(lua_State *L, const json_t *value)
{
    luaL_checkstack(L, 8, "JSON");
    switch (json_typeof(value)) {
    case JSON_OBJECT: {
        const char *key;
        json_t *item;
        lua_newtable(L);
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            to_lua(L, item);
            lua_setfield(L, -2, key);
        }
        return;
    }
    case JSON_ARRAY:
        lua_newtable(L);
        luaL_setmetatable(L, "json array");
        for (size_t i = 0; i < json_array_size(value); i++) {
            to_lua(L, json_array_get(value, i));
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        return;
    case JSON_STRING: lua_pushlstring(L, json_string_value(value), json_string_length(value)); return;
    case JSON_INTEGER: lua_pushinteger(L, json_integer_value(value)); return;
    case JSON_REAL: lua_pushnumber(L, json_real_value(value)); return;
    case JSON_TRUE:
    case JSON_FALSE: lua_pushboolean(L, json_is_true(value)); return;
    default: lua_pushlightuserdata(L, (void *)(uintptr_t)&NULL_VALUE);
    }
}

static int protected_to_lua(lua_State *L) /* light userdata: json_t */
{
    const json_t *value = lua_touserdata(L, 1);
    to_lua(L, value);
    return 1;
}

static int json_decode(lua_State *L) /* decode(text) */
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    json_error_t error;
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value) return bind_error(L, "json.decode: line %d, column %d: %s", error.line, error.column, error.text);
    lua_pushcfunction(L, protected_to_lua); /* out of memory must not lose the value */
    lua_pushlightuserdata(L, value);
    const int status = lua_pcall(L, 1, 1, 0);
    json_decref(value);
    return status == LUA_OK ? 1 : lua_error(L);
}

static int json_array_mark(lua_State *L) /* array(table): marks and returns it */
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    luaL_setmetatable(L, "json array");
    return 1;
}

void bind_open_json(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "encode", json_encode }, { "decode", json_decode }, { "array", json_array_mark }, { NULL, NULL }
    };
    luaL_newmetatable(L, "json array");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&NULL_VALUE);
    lua_setfield(L, -2, "null");
    lua_setfield(L, -2, "json");
}
