/* bind_condition.c: what a model is conditioned on, as scripts give it:
 *   { label =, tokens =, tokens_mask =, image =, image_level =, null = { tokens =, tokens_mask = } }
 * in the options of drift.model and of model:condition themselves, or several such tables under `conditions`. */
#include "bind.h"

#include <string.h>

enum { MOST_CONDITIONS = 64 }; /* the core's own limit, which it also checks */

static void check_names(lua_State *L, int table, const char *where, const char *const *known)
{
    luaL_checktype(L, table, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        int i = 0;
        while (known[i] && strcmp(known[i], name) != 0) i++;
        if (!known[i]) bind_error(L, "%s has no '%s'", where, name);
    }
}

static dr_cond_values values_of(lua_State *L, int table)
{
    static const char *const known[] = { "tokens", "tokens_mask", NULL };
    dr_cond_values v = { .label = bind_option_tensor(L, table, "label"),
                         .tokens = bind_option_tensor(L, table, "tokens"),
                         .tokens_mask = bind_option_tensor(L, table, "tokens_mask"),
                         .image = bind_option_tensor(L, table, "image"),
                         .image_level = bind_option_tensor(L, table, "image_level") };
    if (lua_getfield(L, table, "null") != LUA_TNIL) {
        const int null = lua_gettop(L);
        check_names(L, null, "a condition's null", known);
        v.null_tokens = bind_option_tensor(L, null, "tokens");
        v.null_tokens_mask = bind_option_tensor(L, null, "tokens_mask");
    }
    lua_pop(L, 1);
    return v;
}

static void several(lua_State *L, dr_model *m, int list)
{
    static const char *const known[] = { "label", "tokens", "tokens_mask", "image", "image_level", "null", NULL };
    dr_cond_values v[MOST_CONDITIONS];
    luaL_checktype(L, list, LUA_TTABLE);
    const lua_Integer n = luaL_len(L, list);
    if (n < 1 || n > MOST_CONDITIONS)
        bind_error(L, "conditions lists %d; a model has 1 to %d", (int)n, MOST_CONDITIONS);
    for (int i = 0; i < n; i++) {
        char where[32];
        snprintf(where, sizeof where, "condition %d", i + 1);
        lua_geti(L, list, i + 1);
        check_names(L, lua_gettop(L), where, known);
        v[i] = values_of(L, lua_gettop(L));
        lua_pop(L, 1); /* the list keeps it */
    }
    dr_model_conditions(m, v, (int)n);
}

void bind_model_conditions(lua_State *L, dr_model *m, int table)
{
    if (lua_getfield(L, table, "conditions") != LUA_TNIL) {
        several(L, m, lua_gettop(L));
    } else {
        const dr_cond_values v = values_of(L, table);
        dr_model_conditions(m, &v, 1);
    }
    lua_pop(L, 1);
    bind_check(L);
}
