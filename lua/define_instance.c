/* define_instance.c: what an instance of a component written in Lua keeps there: a table `self`, found by a number behind the
 * parameters of its struct, with the parameters as Lua has them; and what ends with it. */
#include "define.h"

#include <string.h>

static const char TABLES = 0; /* registry key: { [definition] = its tables } */

/* ---- a definition's tables --------------------------------------------------------------------------------------- */
void define_push(lua_State *L, const definition *d, const char *what)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &TABLES);
    lua_rawgetp(L, -1, d);
    lua_getfield(L, -1, what);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

void define_set(lua_State *L, const definition *d, const char *what)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &TABLES);
    lua_rawgetp(L, -1, d);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, what);
    lua_pop(L, 3);
}

void define_open_tables(lua_State *L)
{
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &TABLES);
}

void define_make_tables(lua_State *L, const definition *d)
{
    static const char *const names[] = { "functions", "instances", "held", "data", "given" };
    lua_rawgetp(L, LUA_REGISTRYINDEX, &TABLES);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_newtable(L);
        lua_setfield(L, -2, names[i]);
    }
    lua_rawsetp(L, -2, d);
    lua_pop(L, 1);
}

/* ---- instances --------------------------------------------------------------------------------------------------- */
static define_tail *tail_of(const definition *d, const void *self)
{
    return (define_tail *)(uintptr_t)((const char *)self + d->tail);
}

static void push_enum(lua_State *L, const char *choices, int64_t index)
{
    for (; index > 0 && strchr(choices, '|'); index--) choices = strchr(choices, '|') + 1;
    lua_pushlstring(L, choices, strcspn(choices, "|"));
}

static void push_ints(lua_State *L, const dr_ints *list)
{
    lua_createtable(L, (int)list->n, 0);
    for (int64_t i = 0; i < list->n; i++) {
        lua_pushinteger(L, list->v[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

static void push_reals(lua_State *L, const dr_reals *list)
{
    lua_createtable(L, (int)list->n, 0);
    for (int64_t i = 0; i < list->n; i++) {
        lua_pushnumber(L, list->v[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

static void push_component(lua_State *L, definition *d, void *self, dr_instance *i)
{
    define_push_borrowed(L, i);
    if (i) define_hold(L, d, self, lua_gettop(L));
}

static void push_components(lua_State *L, definition *d, void *self, const dr_instances *list)
{
    lua_createtable(L, (int)list->n, 0);
    for (int64_t i = 0; i < list->n; i++) {
        push_component(L, d, self, list->v[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

static void push_param(lua_State *L, definition *d, const dr_param *p, const void *self)
{
    const void *at = (const char *)self + p->offset;
    switch (p->type) {
    case DR_PARAM_INT: lua_pushinteger(L, *(const int64_t *)at); return;
    case DR_PARAM_REAL: lua_pushnumber(L, *(const double *)at); return;
    case DR_PARAM_BOOL: lua_pushboolean(L, *(const _Bool *)at); return;
    case DR_PARAM_STRING: lua_pushstring(L, *(const char *const *)at); return;
    case DR_PARAM_ENUM: push_enum(L, p->choices, *(const int64_t *)at); return;
    case DR_PARAM_INTS: push_ints(L, at); return;
    case DR_PARAM_REALS: push_reals(L, at); return;
    case DR_PARAM_FUNCTION:
        if (*(const dr_function *)at) {
            bind_push_pointer(L, *(const dr_function *)at, p->choices);
            if (d->tail < d->component.self_size) define_hold(L, d, (void *)(uintptr_t)self, lua_gettop(L));
            lua_pop(L, 1);
        } else {
            lua_pushnil(L);
        }
        return;
    case DR_PARAM_COMPONENT: push_component(L, d, (void *)(uintptr_t)self, *(dr_instance *const *)at); return;
    case DR_PARAM_COMPONENTS: push_components(L, d, (void *)(uintptr_t)self, at); return;
    case DR_PARAM_TENSOR: {
        dr_tensor *t = *(dr_tensor *const *)at;
        if (t) {
            bind_push_weight(L, t);
        } else {
            lua_pushnil(L);
        }
        return;
    }
    default: lua_pushnil(L);
    }
}

void define_push_params(lua_State *L, definition *d, const void *self)
{
    const dr_param *p;
    lua_newtable(L);
    for (int i = 0; (p = dr_param_at(&d->component, i)); i++) {
        push_param(L, d, p, self);
        lua_setfield(L, -2, p->name);
    }
}

void define_push_self(lua_State *L, definition *d, void *self)
{
    define_tail *tail = tail_of(d, self);
    if (tail->at == self) {
        define_push(L, d, "instances");
        lua_rawgeti(L, -1, tail->number);
        lua_remove(L, -2);
        return;
    }
    *tail = (define_tail){ self, ++d->instances };
    define_push(L, d, "held");
    lua_newtable(L);
    lua_rawseti(L, -2, tail->number);
    lua_pop(L, 1);
    define_push_params(L, d, self);
    define_push(L, d, "instances");
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, tail->number);
    lua_pop(L, 1);
}

void define_hold(lua_State *L, definition *d, void *self, int index)
{
    define_push(L, d, "held");
    lua_rawgeti(L, -1, tail_of(d, self)->number);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 2);
}

/* Its struct is about to be freed: what Lua still has of it ends here. */
void define_self_goes(const dr_component *c, void *self)
{
    definition *d = define_of(c);
    if (!d || d->component.self_size == d->tail || tail_of(d, self)->at != self || !d->state->thread) return;
    lua_State *L = d->state->thread;
    const int64_t number = tail_of(d, self)->number;
    if (!lua_checkstack(L, 8)) return;
    define_push(L, d, "instances");
    lua_pushnil(L);
    lua_rawseti(L, -2, number);
    define_push(L, d, "held");
    lua_rawgeti(L, -1, number);
    for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(L, -1); i <= n; i++) {
        lua_rawgeti(L, -1, i);
        define_forget(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_rawseti(L, -2, number);
    lua_pop(L, 2);
}
