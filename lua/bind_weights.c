/* bind_weights.c: what lua/drift/weights.lua stands on: a list of tensors in files, by the names under which a network
 * will ask for them, and the building of a network from it. */
#include "bind.h"

typedef struct list {
    dr_weights *weights;
} list;

static dr_weights *check_list(lua_State *L, int index)
{
    const list *l = luaL_checkudata(L, index, "drift.weight_list");
    return l->weights;
}

static int core_weight_list(lua_State *L)
{
    list *l = lua_newuserdatauv(L, sizeof *l, 0);
    l->weights = NULL;
    luaL_setmetatable(L, "drift.weight_list");
    l->weights = dr_weights_new();
    bind_check(L);
    return 1;
}

static int list_gc(lua_State *L)
{
    list *l = luaL_checkudata(L, 1, "drift.weight_list");
    dr_weights_free(l->weights);
    l->weights = NULL;
    return 0;
}

/* add(name, file, name in the file, { shape = { ... }, every =, first =, rows = }): the table may be nil */
static int list_add(lua_State *L)
{
    dr_weights *w = check_list(L, 1);
    const char *name = luaL_checkstring(L, 2), *in_file = luaL_checkstring(L, 4);
    dr_file *f = bind_test_file(L, 3);
    dr_weight_part part = { .rank = -1 };
    luaL_argcheck(L, f, 3, "file expected");
    if (lua_istable(L, 5)) {
        part.every = bind_option_integer(L, 5, "every", 0);
        part.first = bind_option_integer(L, 5, "first", 0);
        part.rows = bind_option_integer(L, 5, "rows", 0);
        if (lua_getfield(L, 5, "shape") != LUA_TNIL) part.rank = bind_check_shape(L, lua_gettop(L), part.shape);
    }
    dr_weights_add(w, name, f, in_file, &part);
    bind_check(L);
    return 0;
}

static int list_tensor(lua_State *L) /* tensor(name [, dtype]): a copy */
{
    dr_weights *w = check_list(L, 1);
    const char *name = luaL_checkstring(L, 2), *dtype = luaL_optstring(L, 3, NULL);
    const int as = dtype ? (int)bind_check_dtype(L, dtype) : -1;
    dr_scope_open();
    return bind_done(L, dr_weights_tensor(w, name, as));
}

/* take_weights(root handle, list, trainable): before anything is built in it */
static int core_take_weights(lua_State *L)
{
    dr_module_take_weights(bind_check_handle(L, 1), check_list(L, 2), lua_toboolean(L, 3));
    return 0;
}

/* weights_taken(root handle, list) -> { missing = { text, ... }, misshapen = , mistyped = , extra = } */
static int core_weights_taken(lua_State *L)
{
    /* in the order of DR_MISFIT_... */
    static const char *const kinds[] = { "missing", "misshapen", "mistyped", "extra" };
    const dr_weights *w = check_list(L, 2);
    dr_module_weights_taken(bind_check_handle(L, 1));
    bind_check(L);
    lua_newtable(L);
    const int table = lua_gettop(L);
    for (int kind = 0; kind < 4; kind++) {
        lua_Integer count = 0;
        lua_newtable(L);
        for (int64_t i = 0; i < dr_weights_misfit_count(w); i++) {
            const dr_misfit *m = dr_weights_misfit_at(w, i);
            if ((int)m->kind != kind) continue;
            lua_pushstring(L, m->text);
            lua_rawseti(L, -2, ++count);
        }
        lua_setfield(L, table, kinds[kind]);
    }
    return 1;
}

static int core_is_frozen(lua_State *L)
{
    lua_pushboolean(L, dr_module_is_frozen(bind_check_handle(L, 1)));
    return 1;
}

void bind_open_weights(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "weight_list", core_weight_list },
        { "take_weights", core_take_weights },
        { "weights_taken", core_weights_taken },
        { "is_frozen", core_is_frozen },
        { NULL, NULL },
    };
    static const luaL_Reg methods[] = { { "add", list_add }, { "tensor", list_tensor }, { NULL, NULL } };
    luaL_setfuncs(L, functions, 0);
    bind_class(L, "drift.weight_list", methods, list_gc);
}
