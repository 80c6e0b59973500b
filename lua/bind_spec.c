/* bind_spec.c: from Lua tables to parameters. bind_args turns { order = 2, schedule = drift.schedule.linear {} } into
 * the dr_args that the core's schema checks and fills in; a spec is a userdata that holds kind, name and the table as
 * it was given (lua/drift/spec.lua gives it its behaviour). What C reads of a Lua value is decided by its parameter's
 * row. */
#include "bind.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const dr_component *bind_check_component(lua_State *L, const char *kind, const char *name)
{
    const dr_component *c = dr_component_find(kind, name);
    bind_check(L);
    return c;
}

static int kind_length(const dr_component *c) { return (int)strcspn(c->kind, "/"); }

bool bind_kind_is(const dr_component *c, const char *kind)
{
    return strlen(kind) == strcspn(c->kind, "/") && strncmp(c->kind, kind, strlen(kind)) == 0;
}

static int refuse(lua_State *L, const dr_component *c, const char *name, const char *wanted, int index)
{
    return bind_error(L, "%.*s %s: %s must be %s, not a %s", kind_length(c), c->kind, c->name, name, wanted,
                      bind_typename(L, index));
}

/* Memory that lives as long as the keeper (a Lua table). */
static void *kept(lua_State *L, int keeper, size_t bytes)
{
    void *p = lua_newuserdatauv(L, bytes, 0);
    memset(p, 0, bytes);
    lua_rawseti(L, keeper, (lua_Integer)lua_rawlen(L, keeper) + 1);
    return p;
}

/* ---- one value, at index `value` --------------------------------------------------------------------------------- */
static void read_list(lua_State *L, const dr_component *c, const dr_param *p, int value, int keeper, dr_arg *to)
{
    if (!lua_istable(L, value)) refuse(L, c, p->name, "a list of numbers", value);
    const int64_t n = luaL_len(L, value);
    if (n > DR_LIST_MAX)
        bind_error(L, "%.*s %s: %s has %lld entries; at most %d", kind_length(c), c->kind, c->name, p->name,
                   (long long)n, DR_LIST_MAX);
    dr_reals *reals = kept(L, keeper, sizeof *reals);
    dr_ints *ints = kept(L, keeper, sizeof *ints);
    reals->n = ints->n = n;
    for (int64_t i = 0; i < n; i++) {
        lua_geti(L, value, i + 1);
        int whole;
        if (lua_type(L, -1) != LUA_TNUMBER) refuse(L, c, p->name, "a list of numbers", -1);
        reals->v[i] = lua_tonumber(L, -1);
        ints->v[i] = lua_tointegerx(L, -1, &whole);
        if (!whole && p->type == DR_PARAM_INTS) {
            bind_error(L, "%.*s %s: %s takes whole numbers, got %g", kind_length(c), c->kind, c->name, p->name,
                       reals->v[i]);
        }
        lua_pop(L, 1);
    }
    to->type = p->type;
    to->list = p->type == DR_PARAM_INTS ? (const void *)ints : reals;
}

static dr_args args_of(lua_State *L, const dr_component *c, int index, int keeper);

/* place: the parameter's name, or "views[2]" for an item of a list */
static void read_component(lua_State *L, const dr_component *c, const dr_param *p, const char *place, int value, int keeper,
                           dr_arg *to)
{
    char kind[64];
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(p->choices, ":"), p->choices);
    to->type = DR_PARAM_COMPONENT;
    if (lua_type(L, value) == LUA_TSTRING) {
        to->text = lua_tostring(L, value);
        return;
    }
    if (!luaL_testudata(L, value, "drift.spec")) {
        char wanted[80];
        snprintf(wanted, sizeof wanted, "a %s", kind);
        refuse(L, c, place, wanted, value);
    }
    lua_getiuservalue(L, value, 1);
    lua_getfield(L, -1, "kind");
    lua_getfield(L, -2, "name");
    lua_getfield(L, -3, "given");
    const char *its_kind = lua_tostring(L, -3);
    to->text = lua_tostring(L, -2);
    if (strcmp(its_kind, kind) != 0) {
        bind_error(L, "%.*s %s: %s must be a %s, not %s %s", kind_length(c), c->kind, c->name, place, kind, its_kind,
                   to->text);
    }
    const dr_component *inner = bind_check_component(L, kind, to->text);
    dr_args *children = kept(L, keeper, sizeof *children);
    *children = args_of(L, inner, lua_gettop(L), keeper);
    to->children = children;
    lua_pop(L, 4); /* the spec keeps them */
}

static void read_components(lua_State *L, const dr_component *c, const dr_param *p, int value, int keeper, dr_arg *to)
{
    if (!lua_istable(L, value)) {
        char wanted[128];
        snprintf(wanted, sizeof wanted, "a list of the kind %s", p->choices);
        refuse(L, c, p->name, wanted, value);
    }
    const int64_t n = luaL_len(L, value);
    if (n > DR_LIST_MAX)
        bind_error(L, "%.*s %s: %s has %lld entries; at most %d", kind_length(c), c->kind, c->name, p->name,
                   (long long)n, DR_LIST_MAX);
    lua_pushnil(L);
    for (int64_t fields = 0; lua_next(L, value); lua_pop(L, 1)) {
        if (++fields > n || !lua_isinteger(L, -2))
            bind_error(L, "%.*s %s: %s must be a list without holes or names, such as { %s.NAME { ... }, ... }", kind_length(c),
                       c->kind, c->name, p->name, p->choices);
    }
    dr_arg *items = kept(L, keeper, (size_t)(n > 0 ? n : 1) * sizeof *items);
    dr_args *children = kept(L, keeper, sizeof *children);
    *children = (dr_args){ items, n };
    for (int64_t i = 0; i < n; i++) {
        char place[128];
        snprintf(place, sizeof place, "%s[%lld]", p->name, (long long)i + 1);
        lua_geti(L, value, i + 1);
        read_component(L, c, p, place, lua_gettop(L), keeper, &items[i]);
        lua_pop(L, 1); /* the list keeps it, and the keeper the list */
    }
    to->type = DR_PARAM_COMPONENTS;
    to->children = children;
}

static void read_tensor(lua_State *L, const dr_component *c, const dr_param *p, int value, dr_arg *to)
{
    if (!bind_test_handle(L, value)) refuse(L, c, p->name, "a tensor", value);
    to->type = DR_PARAM_TENSOR;
    to->list = bind_check_tensor(L, value);
}

static void read_number(lua_State *L, const dr_component *c, const dr_param *p, int value, dr_arg *to)
{
    if (lua_type(L, value) != LUA_TNUMBER)
        refuse(L, c, p->name, p->type == DR_PARAM_INT ? "a whole number" : "a number", value);
    int whole;
    to->r = lua_tonumber(L, value);
    to->i = lua_tointegerx(L, value, &whole);
    to->type = p->type == DR_PARAM_INT && whole ? DR_PARAM_INT : DR_PARAM_REAL;
    if (p->type == DR_PARAM_INT && !whole) {
        bind_error(L, "%.*s %s: %s must be a whole number, not %g", kind_length(c), c->kind, c->name, p->name, to->r);
    }
}

static void read_value(lua_State *L, const dr_component *c, const dr_param *p, int value, int keeper, dr_arg *to)
{
    switch (p->type) {
    case DR_PARAM_INT:
    case DR_PARAM_REAL: read_number(L, c, p, value, to); return;
    case DR_PARAM_BOOL:
        if (!lua_isboolean(L, value)) refuse(L, c, p->name, "true or false", value);
        to->type = DR_PARAM_BOOL;
        to->i = lua_toboolean(L, value);
        return;
    case DR_PARAM_STRING:
    case DR_PARAM_ENUM:
        if (lua_type(L, value) != LUA_TSTRING) {
            char wanted[256];
            snprintf(wanted, sizeof wanted, "one of %s", p->choices ? p->choices : "");
            refuse(L, c, p->name, p->type == DR_PARAM_ENUM ? wanted : "a string", value);
        }
        to->type = DR_PARAM_STRING;
        to->text = lua_tostring(L, value);
        return;
    case DR_PARAM_INTS:
    case DR_PARAM_REALS: read_list(L, c, p, value, keeper, to); return;
    case DR_PARAM_FUNCTION:
        if (!lua_isfunction(L, value)) refuse(L, c, p->name, "a function", value);
        to->type = DR_PARAM_FUNCTION;
        to->fn = bind_closure(L, value, p->choices);
        lua_rawseti(L, keeper, (lua_Integer)lua_rawlen(L, keeper) + 1);
        return;
    case DR_PARAM_COMPONENT: read_component(L, c, p, p->name, value, keeper, to); return;
    case DR_PARAM_COMPONENTS: read_components(L, c, p, value, keeper, to); return;
    case DR_PARAM_TENSOR: read_tensor(L, c, p, value, to); return;
    default: bind_error(L, "%s: parameter %s has a type that this program does not know", c->name, p->name);
    }
}

/* ---- a table ----------------------------------------------------------------------------------------------------- */
static int64_t count_fields(lua_State *L, const dr_component *c, int index)
{
    int64_t n = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            bind_error(L, "%.*s %s: parameters are given by name, such as { %s = ... }", kind_length(c), c->kind,
                       c->name, dr_param_at(c, 0) ? dr_param_at(c, 0)->name : "name");
        }
        n++;
    }
    return n;
}

static dr_args args_of(lua_State *L, const dr_component *c, int index, int keeper)
{
    luaL_checkstack(L, 12, "nested parameters");
    const int64_t n = count_fields(L, c, index);
    dr_arg *v = kept(L, keeper, (size_t)(n > 0 ? n : 1) * sizeof *v);
    int64_t i = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        const char *name = lua_tostring(L, -2);
        const dr_param *p = dr_param_find(c, name);
        bind_check(L);
        v[i].name = p->name;
        read_value(L, c, p, lua_gettop(L), keeper, &v[i]);
        i++;
        lua_pop(L, 1);
    }
    return (dr_args){ v, n };
}

dr_args bind_args(lua_State *L, const dr_component *c, int index)
{
    index = lua_absindex(L, index);
    lua_newtable(L);
    const int keeper = lua_gettop(L);
    lua_pushvalue(L, index); /* strings point into it */
    lua_rawseti(L, keeper, 1);
    const dr_args args = args_of(L, c, index, keeper);
    lua_settop(L, keeper);
    return args;
}

/* ---- what a component takes, as a Lua table ---------------------------------------------------------------------- */
static const char *type_name(int32_t type)
{
    static const char *const name[] = { "end",   "int",      "real",      "bool",       "string", "enum", "ints",
                                        "reals", "function", "component", "components", "tensor" };
    return (unsigned)type < sizeof name / sizeof *name ? name[type] : "unknown";
}

static void push_default(lua_State *L, const dr_param *p)
{
    const char *s = p->choices;
    switch (p->type) {
    case DR_PARAM_INT: lua_pushinteger(L, (lua_Integer)p->def); return;
    case DR_PARAM_REAL: lua_pushnumber(L, p->def); return;
    case DR_PARAM_BOOL: lua_pushboolean(L, p->def != 0); return;
    case DR_PARAM_STRING: lua_pushstring(L, p->def_text); return;
    case DR_PARAM_ENUM:
        for (int64_t i = 0; i < (int64_t)p->def && strchr(s, '|'); i++) s = strchr(s, '|') + 1;
        lua_pushlstring(L, s, strcspn(s, "|"));
        return;
    case DR_PARAM_INTS:
    case DR_PARAM_REALS:
    case DR_PARAM_COMPONENTS: lua_newtable(L); return;
    case DR_PARAM_COMPONENT:
        s = strchr(s, ':');
        lua_pushstring(L, s ? s + 1 : NULL);
        return;
    default: lua_pushnil(L);
    }
}

static void set_bound(lua_State *L, const char *key, int32_t type, double value)
{
    if ((type == DR_PARAM_INT || type == DR_PARAM_INTS) && fabs(value) < 0x1p53) {
        lua_pushinteger(L, (lua_Integer)value);
    } else {
        lua_pushnumber(L, value);
    }
    lua_setfield(L, -2, key);
}

static void push_param(lua_State *L, const dr_param *p)
{
    lua_newtable(L);
    lua_pushstring(L, p->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, type_name(p->type));
    lua_setfield(L, -2, "type");
    lua_pushboolean(L, p->required);
    lua_setfield(L, -2, "required");
    if (!p->required) {
        push_default(L, p);
        lua_setfield(L, -2, "default");
    }
    if (p->type == DR_PARAM_INT || p->type == DR_PARAM_REAL || p->type == DR_PARAM_INTS || p->type == DR_PARAM_REALS) {
        set_bound(L, "min", p->type, p->min);
        set_bound(L, "max", p->type, p->max);
    }
    lua_pushstring(L, p->choices);
    lua_setfield(L, -2, "choices");
    lua_pushstring(L, p->doc);
    lua_setfield(L, -2, "doc");
}

/* The lines of the opening comment without its marks; nil where there is none. Older components have no source. */
static void push_comment(lua_State *L, const dr_component *c)
{
    const char *source = c->source;
    const char *end = source && strncmp(source, "/*", 2) == 0 ? strstr(source, "*/") : NULL;
    luaL_Buffer b;
    if (!end) {
        lua_pushnil(L);
        return;
    }
    luaL_buffinit(L, &b);
    for (const char *at = source + 2, *next; at < end; at = next) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        next = newline ? newline + 1 : end;
        if (*at == ' ' && at[1] == '*') at += 2;
        if (*at == ' ') at++;
        if (at < next) luaL_addlstring(&b, at, (size_t)(next - at)); /* not of a last line that only ends the comment */
    }
    luaL_pushresult(&b);
}

static void push_component(lua_State *L, const dr_component *c)
{
    lua_newtable(L);
    lua_pushlstring(L, c->kind, (size_t)kind_length(c));
    lua_setfield(L, -2, "kind");
    const char *revision = strchr(c->kind, '/');
    lua_pushinteger(L, revision ? atoi(revision + 1) : 0);
    lua_setfield(L, -2, "revision");
    lua_pushstring(L, c->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, c->doc);
    lua_setfield(L, -2, "doc");
    push_comment(L, c);
    lua_setfield(L, -2, "comment");
    const dr_plugin_info *plugin = dr_component_plugin(c);
    lua_pushstring(L, plugin ? plugin->id : "");
    lua_setfield(L, -2, "plugin");
    lua_newtable(L);
    const dr_param *p;
    for (int i = 0; (p = dr_param_at(c, i)); i++) {
        push_param(L, p);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "params");
}

static int core_component(lua_State *L) /* component(kind, name) */
{
    push_component(L, bind_check_component(L, luaL_checkstring(L, 1), luaL_checkstring(L, 2)));
    return 1;
}

static int core_components(lua_State *L) /* components([kind]) */
{
    const char *kind = luaL_optstring(L, 1, NULL);
    lua_newtable(L);
    lua_Integer n = 0;
    for (int64_t i = 0; i < dr_component_count(); i++) {
        if (kind && !bind_kind_is(dr_component_at(i), kind)) continue;
        push_component(L, dr_component_at(i));
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

static int core_kinds(lua_State *L) /* { sampler = true, ... } */
{
    lua_newtable(L);
    for (int64_t i = 0; i < dr_component_count(); i++) {
        const dr_component *c = dr_component_at(i);
        lua_pushlstring(L, c->kind, (size_t)kind_length(c));
        lua_pushboolean(L, true);
        lua_rawset(L, -3);
    }
    return 1;
}

static int core_plugins(lua_State *L)
{
    lua_newtable(L);
    for (int64_t i = 0; i < dr_plugin_count(); i++) {
        const dr_plugin_info *p = dr_plugin_at(i);
        char sha256[65];
        dr_plugin_sha256(i, sha256);
        bind_check(L);
        const char *const field[][2] = {
            { "id", p->id }, { "version", p->version }, { "doc", p->doc }, { "path", p->path }, { "sha256", sha256 },
            { "origin", dr_plugin_origin(p->path) }
        };
        lua_newtable(L);
        for (size_t k = 0; k < sizeof field / sizeof *field; k++) {
            lua_pushstring(L, field[k][1]);
            lua_setfield(L, -2, field[k][0]);
        }
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int core_check_spec(lua_State *L) /* check_spec(kind, name, given): raises what the schema has against it */
{
    const dr_component *c = bind_check_component(L, luaL_checkstring(L, 1), luaL_checkstring(L, 2));
    if (!lua_istable(L, 3)) {
        return bind_error(L, "%s %s takes one table of parameters: drift.%s.%s { %s }, not a %s", lua_tostring(L, 1),
                          c->name, lua_tostring(L, 1), c->name, dr_param_at(c, 0) ? dr_param_at(c, 0)->name : "",
                          bind_typename(L, 3));
    }
    const dr_args args = bind_args(L, c, 3);
    void *self = lua_newuserdatauv(L, c->self_size > 0 ? c->self_size : 1, 0);
    memset(self, 0, c->self_size);
    dr_keeper *keeper;
    dr_schema_fill(c, args, self, &keeper);
    bind_check(L);
    dr_keeper_free(keeper);
    return 0;
}

static int core_new_spec(lua_State *L) /* new_spec(data): its behaviour is in the metatable that spec.lua fills in */
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_newuserdatauv(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, "drift.spec");
    return 1;
}

static int core_spec_data(lua_State *L) /* spec_data(v): the table, or nil where v is no spec */
{
    if (luaL_testudata(L, 1, "drift.spec")) return lua_getiuservalue(L, 1, 1), 1;
    return 0;
}

void bind_open_spec(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "component", core_component },   { "components", core_components },
        { "kinds", core_kinds },           { "plugins", core_plugins },
        { "check_spec", core_check_spec }, { "new_spec", core_new_spec },
        { "spec_data", core_spec_data },   { NULL, NULL },
    };
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, "drift.spec");
    lua_setfield(L, -2, "spec_metatable");
}
