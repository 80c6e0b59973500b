/* bind_module.c: the core's modules, for lua/drift/net.lua, which makes of them the nets that scripts see. A handle
 * here is a node of the tree; the handle of the root owns all of it, and every other handle keeps the root alive. */
#include "bind.h"

#include <string.h>

typedef struct handle {
    dr_module *module;
    bool owner;
} handle;

dr_module *bind_check_handle(lua_State *L, int index)
{
    const handle *h = luaL_checkudata(L, index, "drift.module_handle");
    return h->module;
}

dr_module *bind_check_module(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    if (luaL_testudata(L, index, "drift.spec")) {
        lua_getfield(L, LUA_REGISTRYINDEX, "drift.spec_instance");
        lua_pushvalue(L, index);
        lua_call(L, 1, 1);
        lua_replace(L, index);
    }
    if (lua_istable(L, index)) {
        lua_pushliteral(L, "handle");
        lua_rawget(L, index);
        const handle *h = luaL_testudata(L, -1, "drift.module_handle");
        lua_pop(L, 1);
        if (h) return h->module;
    }
    bind_error(L, "expected a network, got a %s", lua_isnone(L, index) ? "missing argument" : bind_typename(L, index));
    return NULL;
}

static handle *push_handle(lua_State *L, int parent)
{
    handle *h = lua_newuserdatauv(L, sizeof *h, 2);
    *h = (handle){ NULL, false };
    luaL_setmetatable(L, "drift.module_handle");
    if (parent == 0) return h;
    if (lua_getiuservalue(L, parent, 1) == LUA_TNIL) { /* the parent is the root */
        lua_pop(L, 1);
        lua_pushvalue(L, parent);
    }
    lua_setiuservalue(L, -2, 1);
    return h;
}

static int handle_gc(lua_State *L)
{
    handle *h = lua_touserdata(L, 1);
    if (h->owner) dr_module_free(h->module);
    h->module = NULL;
    return 0;
}

/* root(name, seed) */
static int module_root(lua_State *L)
{
    handle *h = push_handle(L, 0);
    h->module = dr_module_group(NULL, luaL_checkstring(L, 1));
    bind_check(L);
    h->owner = true;
    dr_module_seed(h->module, (uint64_t)luaL_checkinteger(L, 2));
    return 1;
}

/* group(parent, name) */
static int module_group(lua_State *L)
{
    dr_module *parent = bind_check_handle(L, 1);
    handle *h = push_handle(L, 1);
    h->module = dr_module_group(parent, luaL_checkstring(L, 2));
    bind_check(L);
    return 1;
}

/* create(parent, name, kind, component, given) */
static int module_create(lua_State *L)
{
    dr_module *parent = bind_check_handle(L, 1);
    const char *name = luaL_checkstring(L, 2), *kind = luaL_checkstring(L, 3);
    const dr_component *c = bind_check_component(L, kind, luaL_checkstring(L, 4));
    luaL_checktype(L, 5, LUA_TTABLE);
    handle *h = push_handle(L, 1);
    const dr_args args = bind_args(L, c, 5);
    lua_setiuservalue(L, -2, 2); /* closures */
    dr_scope_open();
    h->module = dr_module_create(parent, name, kind, c->name, args);
    dr_scope_close();
    bind_check(L);
    return 1;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */
/* call(place, fn, ...): a forward written in Lua, in a scope of its own, with the net's place before errors */
static int module_call(lua_State *L)
{
    const char *place = luaL_checkstring(L, 1);
    bind_scope_enter(L);
    dr_error_push(place);
    dr_reload_bar("a forward");
    const int status = bind_call(L, lua_gettop(L) - 2);
    dr_reload_unbar();
    dr_error_pop();
    const int results = lua_gettop(L) - 1;
    bind_scope_leave(L, status == LUA_OK ? results : 0);
    if (status == LUA_OK) return results;
    const char *message = lua_type(L, -1) == LUA_TSTRING && !bind_is_core_error(L, -1) ? lua_tostring(L, -1) : NULL;
    if (message && !strstr(message, " (in net ")) lua_pushfstring(L, "%s (in net %s)", message, place);
    return lua_error(L);
}

/* ---- conditioning: e is a table of the embedding's tensors ------------------------------------------------------- */
static void set_tensor(lua_State *L, int table, const char *key, dr_tensor *t)
{
    bind_push_owned(L, t);
    lua_setfield(L, table, key);
}

static void set_sites(lua_State *L, int table, const char *key, dr_tensor *const *t)
{
    lua_newtable(L);
    for (int i = 0; i < DR_MAX_SITES; i++) {
        if (!t[i]) continue;
        bind_push_owned(L, t[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, table, key);
}

void bind_retain_embedding(const dr_embedding *e)
{
    for (int i = 0; i < DR_MAX_SITES; i++) {
        dr_retain(e->scale[i]);
        dr_retain(e->shift[i]);
        dr_retain(e->gate[i]);
    }
    dr_retain(e->vec);
    dr_retain(e->tokens);
    dr_retain(e->mask);
}

static void push_embedding(lua_State *L, const dr_embedding *e) /* takes over the references */
{
    lua_newtable(L);
    const int table = lua_gettop(L);
    set_sites(L, table, "scale", e->scale);
    set_sites(L, table, "shift", e->shift);
    set_sites(L, table, "gate", e->gate);
    set_tensor(L, table, "vec", e->vec);
    set_tensor(L, table, "tokens", e->tokens);
    set_tensor(L, table, "mask", e->mask);
}

void bind_push_embedding(lua_State *L, const dr_embedding *e)
{
    bind_retain_embedding(e);
    push_embedding(L, e);
}

static int module_embed(lua_State *L) /* embed(handle, { time =, label =, mask =, tokens =, tokens_mask = }) */
{
    dr_module *m = bind_check_handle(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    const dr_batch_cond c = {
        .time = bind_option_tensor(L, 2, "time"),
        .label = bind_option_tensor(L, 2, "label"),
        .mask = bind_option_tensor(L, 2, "mask"),
        .tokens = bind_option_tensor(L, 2, "tokens"),
        .tokens_mask = bind_option_tensor(L, 2, "tokens_mask"),
        .image = bind_option_tensor(L, 2, "image"),
        .image_level = bind_option_tensor(L, 2, "image_level"),
    };
    dr_embedding e;
    dr_scope_open();
    dr_module_embed(m, &c, &e);
    bind_retain_embedding(&e);
    dr_scope_close();
    bind_check(L);
    push_embedding(L, &e);
    return 1;
}

static void get_sites(lua_State *L, int table, const char *key, dr_tensor **t)
{
    if (lua_getfield(L, table, key) != LUA_TTABLE) {
        lua_pop(L, 1);
        return;
    }
    for (int i = 0; i < DR_MAX_SITES; i++) {
        if (lua_rawgeti(L, -1, i + 1) != LUA_TNIL) t[i] = bind_check_tensor(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

dr_embedding bind_check_embedding(lua_State *L, int table)
{
    luaL_checktype(L, table, LUA_TTABLE);
    dr_embedding e = { .vec = bind_option_tensor(L, table, "vec"),
                       .tokens = bind_option_tensor(L, table, "tokens"),
                       .mask = bind_option_tensor(L, table, "mask") };
    get_sites(L, table, "scale", e.scale);
    get_sites(L, table, "shift", e.shift);
    get_sites(L, table, "gate", e.gate);
    return e;
}

static int check_site(lua_State *L, const char *what, int index)
{
    const lua_Integer site = luaL_checkinteger(L, index);
    if (site < 1 || site > DR_MAX_SITES)
        return bind_error(L, "%s: site %lld is outside [1, %d]", what, (long long)site, DR_MAX_SITES);
    return (int)site - 1;
}

static int module_modulate(lua_State *L) /* modulate(handle, site, h, e): site from 1 */
{
    dr_module *m = bind_check_handle(L, 1);
    const int site = check_site(L, "modulate", 2);
    dr_tensor *h = bind_check_tensor(L, 3);
    const dr_embedding e = bind_check_embedding(L, 4);
    dr_scope_open();
    return bind_done(L, dr_module_modulate(m, site, h, &e));
}

static int module_gate(lua_State *L) /* gate(handle, site, h, e): site from 1 */
{
    dr_module *m = bind_check_handle(L, 1);
    const int site = check_site(L, "gate", 2);
    dr_tensor *h = bind_check_tensor(L, 3);
    const dr_embedding e = bind_check_embedding(L, 4);
    dr_scope_open();
    dr_tensor *y = dr_module_gate(m, site, h, &e);
    if (y == h) { /* a scheme without gates */
        dr_scope_close();
        lua_settop(L, 3);
        return 1;
    }
    return bind_done(L, y);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */
/* forward(handle, x, ..., [{ handle of a conditioning, site, embedding }]): further inputs may be nil */
static int module_forward(lua_State *L)
{
    dr_module *m = bind_check_handle(L, 1);
    const bool sited = lua_gettop(L) > 1 && lua_istable(L, -1);
    const int n = lua_gettop(L) - 1 - sited, table = lua_gettop(L);
    dr_tensor *in[DR_OP_MAX_IN];
    dr_embedding e;
    dr_site site = { .e = &e };
    if (n < 1 || n > DR_OP_MAX_IN) return bind_error(L, "a forward takes 1 to %d tensors, got %d", DR_OP_MAX_IN, n);
    for (int i = 0; i < n; i++) in[i] = lua_isnil(L, i + 2) && i > 0 ? NULL : bind_check_tensor(L, i + 2);
    if (sited) {
        lua_rawgeti(L, table, 1);
        lua_rawgeti(L, table, 2);
        lua_rawgeti(L, table, 3);
        site.conditioning = bind_check_handle(L, table + 1);
        site.first = check_site(L, "at", table + 2);
        e = bind_check_embedding(L, table + 3);
    }
    dr_scope_open();
    return bind_done(L, dr_module_forward_at(m, in, n, sited ? &site : NULL));
}

/* ---- weights and modes ------------------------------------------------------------------------------------------- */
static int module_named(lua_State *L) /* named(handle): list of { path =, tensor =, buffer = } */
{
    dr_module *m = bind_check_handle(L, 1);
    const int64_t n = dr_module_named_count(m);
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        const dr_named *w = dr_module_named_at(m, i);
        if (!w) return bind_error(L, "out of memory for the list of weights");
        lua_createtable(L, 0, 3);
        lua_pushstring(L, w->path);
        lua_setfield(L, -2, "path");
        bind_push_weight(L, w->tensor);
        lua_setfield(L, -2, "tensor");
        lua_pushboolean(L, w->is_buffer);
        lua_setfield(L, -2, "buffer");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* weight(handle, name, shape, init, value): init "constant", "uniform" (within +-value) or "normal" (value: deviation) */
static int module_weight(lua_State *L)
{
    static const char *const inits[] = { "constant", "uniform", "normal", NULL }; /* in the order of DR_INIT_... */
    dr_module *m = bind_check_handle(L, 1);
    int64_t shape[DR_MAX_RANK];
    const int rank = bind_check_shape(L, 3, shape);
    const dr_init init = { luaL_checkoption(L, 4, NULL, inits), luaL_checknumber(L, 5) };
    dr_tensor *t = dr_module_weight(m, luaL_checkstring(L, 2), rank, shape, init);
    bind_check(L);
    bind_push_weight(L, t);
    return 1;
}

static int module_mode(lua_State *L)
{
    dr_module_mode(bind_check_handle(L, 1), lua_toboolean(L, 2));
    return 0;
}

static int module_training(lua_State *L)
{
    lua_pushboolean(L, dr_module_training(bind_check_handle(L, 1)));
    return 1;
}

static int module_stream(lua_State *L) /* stream(handle, seed, step, sample) */
{
    dr_module_stream(bind_check_handle(L, 1), (uint64_t)luaL_checkinteger(L, 2), (uint32_t)luaL_optinteger(L, 3, 0),
                     (uint64_t)luaL_optinteger(L, 4, 0));
    return 0;
}

static int module_path(lua_State *L)
{
    lua_pushstring(L, dr_module_path(bind_check_handle(L, 1)));
    return 1;
}

static int module_zero_grad(lua_State *L)
{
    dr_module *m = bind_check_handle(L, 1);
    for (int64_t i = 0; i < dr_module_named_count(m); i++) dr_zero_grad(dr_module_named_at(m, i)->tensor);
    return 0;
}

static int module_requires_grad(lua_State *L)
{
    dr_module *m = bind_check_handle(L, 1);
    for (int64_t i = 0; i < dr_module_named_count(m); i++) {
        const dr_named *w = dr_module_named_at(m, i);
        if (!w->is_buffer) dr_requires_grad(w->tensor, lua_toboolean(L, 2));
    }
    bind_check(L);
    return 0;
}

void bind_open_module(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "root", module_root },
        { "group", module_group },
        { "create", module_create },
        { "forward", module_forward },
        { "call", module_call },
        { "embed", module_embed },
        { "modulate", module_modulate },
        { "gate", module_gate },
        { "named", module_named },
        { "weight", module_weight },
        { "mode", module_mode },
        { "training", module_training },
        { "stream", module_stream },
        { "path", module_path },
        { "zero_grad", module_zero_grad },
        { "requires_grad", module_requires_grad },
        { NULL, NULL },
    };
    bind_class(L, "drift.module_handle", NULL, handle_gc);
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "module");
}
