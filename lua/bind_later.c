/* bind_later.c: a tensor's one number, asked for now and read when it is needed: loss:later() goes on at once where the
 * device has a queue of its own, and item() of what it gives waits for that number alone. */
#include "bind.h"

static const char class[] = "drift.later";

static dr_reading *check_later(lua_State *L) { return *(dr_reading **)luaL_checkudata(L, 1, class); }

static int tensor_later(lua_State *L)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    dr_reading **r = lua_newuserdatauv(L, sizeof *r, 0);
    *r = NULL;
    luaL_setmetatable(L, class);
    *r = dr_read_later(t);
    bind_check(L);
    return 1;
}

static int later_item(lua_State *L)
{
    const double value = dr_read_now(check_later(L));
    bind_check(L);
    lua_pushnumber(L, value);
    return 1;
}

static int later_ready(lua_State *L) /* item() does not wait: it has been read */
{
    lua_pushboolean(L, dr_read_is_there(check_later(L)));
    return 1;
}

static int later_gc(lua_State *L)
{
    dr_reading **r = luaL_checkudata(L, 1, class);
    dr_reading_free(*r);
    *r = NULL;
    return 0;
}

void bind_open_later(lua_State *L)
{
    static const luaL_Reg of_tensor[] = { { "later", tensor_later }, { NULL, NULL } };
    static const luaL_Reg methods[] = { { "item", later_item }, { "ready", later_ready }, { NULL, NULL } };
    bind_tensor_methods(L, of_tensor);
    bind_class(L, class, methods, later_gc);
}
