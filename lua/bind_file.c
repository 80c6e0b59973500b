/* bind_file.c: safetensors files: drift.open(path) reads one, drift.writer() puts one together, which appears whole or
 * not at all. Whole networks and optimizers go in and out by the names of their weights. */
#include "bind.h"

#include <string.h>

typedef struct file {
    dr_file *file;
} file;

typedef struct writer {
    dr_save *save; /* NULL: committed or abandoned */
} writer;

enum { PATH = 1 }; /* user value of a file */

/* ---- reading ----------------------------------------------------------------------------------------------------- */
static file *check_file(lua_State *L) { return luaL_checkudata(L, 1, "drift.file"); }

dr_file *bind_test_file(lua_State *L, int index)
{
    const file *f = luaL_testudata(L, index, "drift.file");
    return f ? f->file : NULL;
}

static int core_open(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    file *f = lua_newuserdatauv(L, sizeof *f, 1);
    f->file = NULL;
    luaL_setmetatable(L, "drift.file");
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, PATH);
    f->file = dr_file_open(path);
    bind_check(L);
    return 1;
}

static int file_gc(lua_State *L)
{
    file *f = check_file(L);
    if (f->file) dr_file_close(f->file);
    f->file = NULL;
    return 0;
}

static int file_names(lua_State *L)
{
    const dr_file *f = check_file(L)->file;
    const int64_t n = dr_file_count(f);
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushstring(L, dr_file_at(f, i)->name);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int file_has(lua_State *L)
{
    lua_pushboolean(L, dr_file_find(check_file(L)->file, luaL_checkstring(L, 2)) != NULL);
    return 1;
}

static const dr_file_entry *check_entry(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);
    const dr_file_entry *e = dr_file_find(check_file(L)->file, name);
    lua_getiuservalue(L, 1, PATH);
    if (!e) bind_error(L, "%s has no tensor \"%s\"", lua_tostring(L, -1), name);
    return e;
}

static int file_shape(lua_State *L)
{
    const dr_file_entry *e = check_entry(L);
    lua_createtable(L, (int)e->rank, 0);
    for (int64_t i = 0; i < e->rank; i++) {
        lua_pushinteger(L, e->shape[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int file_dtype(lua_State *L) /* nil: a type that Drift has no tensor of */
{
    const dr_file_entry *e = check_entry(L);
    lua_pushstring(L, e->dtype >= 0 ? dr_dtype_name((dr_dtype)e->dtype) : NULL);
    return 1;
}

static int file_type(lua_State *L) /* as the file names it: "F8_E4M3" */
{
    lua_pushstring(L, check_entry(L)->type);
    return 1;
}

static int file_tensor(lua_State *L) /* tensor(name [, dtype]) */
{
    const dr_file *f = check_file(L)->file;
    const char *name = luaL_checkstring(L, 2), *dtype = luaL_optstring(L, 3, NULL);
    const int as = dtype ? (int)bind_check_dtype(L, dtype) : -1;
    dr_scope_open();
    return bind_done(L, dr_file_tensor(f, name, as));
}

static int push_metadata(lua_State *L, const dr_file *f)
{
    lua_newtable(L);
    for (int64_t i = 0; i < dr_file_metadata_count(f); i++) {
        const char *key = dr_file_metadata_key(f, i);
        lua_pushstring(L, dr_file_metadata(f, key));
        lua_setfield(L, -2, key);
    }
    return 1;
}

/* upvalue 1: the methods */
static int file_index(lua_State *L)
{
    const file *f = check_file(L);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "metadata") == 0) return push_metadata(L, f->file);
    if (strcmp(key, "path") == 0) return lua_getiuservalue(L, 1, PATH), 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL) return bind_error(L, "a file has no \"%s\"", key);
    return 1;
}

/* load_weights(net, file, prefix): all values; net.lua has checked names and shapes of all of them before */
static int core_load_weights(lua_State *L)
{
    dr_module *m = bind_check_module(L, 1);
    const dr_file *f = bind_test_file(L, 2);
    const char *prefix = luaL_checkstring(L, 3);
    luaL_argcheck(L, f, 2, "file expected");
    const bool recording = dr_grad_mode(false);
    for (int64_t i = 0; i < dr_module_named_count(m) && !dr_failed(); i++) {
        const dr_named *w = dr_module_named_at(m, i);
        char name[1024];
        snprintf(name, sizeof name, "%s%s", prefix, w->path);
        if (!dr_file_find(f, name)) continue; /* allowed where loading is not strict */
        dr_device *here = dr_device_current();
        dr_scope_open();
        dr_device_use(dr_tensor_device(w->tensor));
        dr_tensor *from = dr_file_tensor(f, name, dr_tensor_view(w->tensor)->dtype);
        if (from) dr_assign(w->tensor, from);
        dr_device_use(here);
        dr_scope_close();
    }
    dr_grad_mode(recording);
    bind_check(L);
    return 0;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */
static dr_save *check_writer(lua_State *L)
{
    const writer *w = luaL_checkudata(L, 1, "drift.writer");
    if (!w->save) bind_error(L, "this writer was committed");
    return w->save;
}

static int core_writer(lua_State *L)
{
    writer *w = lua_newuserdatauv(L, sizeof *w, 0);
    w->save = NULL;
    luaL_setmetatable(L, "drift.writer");
    w->save = dr_save_begin();
    bind_check(L);
    return 1;
}

static int writer_gc(lua_State *L)
{
    writer *w = luaL_checkudata(L, 1, "drift.writer");
    if (w->save) dr_save_abandon(w->save);
    w->save = NULL;
    return 0;
}

static int done(lua_State *L) /* returns the writer */
{
    bind_check(L);
    lua_settop(L, 1);
    return 1;
}

static int writer_tensor(lua_State *L) /* tensor(name, t) */
{
    dr_save_tensor(check_writer(L), luaL_checkstring(L, 2), bind_check_tensor(L, 3));
    return done(L);
}

static int writer_net(lua_State *L) /* net(net [, prefix]): weights and buffers */
{
    dr_save *s = check_writer(L);
    dr_module *m = bind_check_module(L, 2);
    const char *prefix = luaL_optstring(L, 3, "");
    for (int64_t i = 0; i < dr_module_named_count(m) && !dr_failed(); i++) {
        const dr_named *w = dr_module_named_at(m, i);
        char name[1024];
        snprintf(name, sizeof name, "%s%s", prefix, w->path);
        dr_save_tensor(s, name, w->tensor);
    }
    return done(L);
}

static int writer_optimizer(lua_State *L) /* optimizer(opt [, prefix]) */
{
    dr_save *s = check_writer(L);
    dr_optim_save(bind_check_optim(L, 2), s, luaL_optstring(L, 3, "optim."));
    return done(L);
}

static int writer_metadata(lua_State *L) /* metadata(key, text) */
{
    dr_save_metadata(check_writer(L), luaL_checkstring(L, 2), luaL_checkstring(L, 3));
    return done(L);
}

static int writer_commit(lua_State *L) /* commit(path) */
{
    writer *w = luaL_checkudata(L, 1, "drift.writer");
    dr_save *s = check_writer(L);
    const char *path = luaL_checkstring(L, 2);
    w->save = NULL; /* the commit frees it either way */
    dr_save_commit(s, path);
    bind_check(L);
    return 0;
}

/* ---- in one go --------------------------------------------------------------------------------------------------- */
static int core_load_tensors(lua_State *L) /* load_tensors(path [, dtype]) -> tensors, metadata */
{
    const char *dtype = luaL_optstring(L, 2, NULL);
    const int as = dtype ? (int)bind_check_dtype(L, dtype) : -1;
    lua_settop(L, 1);
    core_open(L);
    const dr_file *f = bind_test_file(L, -1);
    lua_newtable(L);
    for (int64_t i = 0; i < dr_file_count(f); i++) {
        const char *name = dr_file_at(f, i)->name;
        dr_scope_open();
        bind_done(L, dr_file_tensor(f, name, as));
        lua_setfield(L, -2, name);
    }
    push_metadata(L, f);
    return 2;
}

static int core_save_tensors(lua_State *L) /* save_tensors(path, { name = tensor } [, { key = text }]) */
{
    const char *path = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    core_writer(L);
    writer *w = lua_touserdata(L, 4);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        if (lua_type(L, -2) != LUA_TSTRING) return bind_error(L, "tensors are saved by name: { name = tensor }");
        dr_save_tensor(w->save, lua_tostring(L, -2), bind_check_tensor(L, -1));
        bind_check(L);
        lua_pop(L, 1);
    }
    if (!lua_isnil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        lua_pushnil(L);
        while (lua_next(L, 3)) {
            if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
                return bind_error(L, "metadata are texts by name: { name = \"text\" }");
            dr_save_metadata(w->save, lua_tostring(L, -2), lua_tostring(L, -1));
            bind_check(L);
            lua_pop(L, 1);
        }
    }
    dr_save *s = w->save;
    w->save = NULL;
    dr_save_commit(s, path);
    bind_check(L);
    return 0;
}

void bind_open_file(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "open", core_open },
        { "writer", core_writer },
        { "load_weights", core_load_weights },
        { "load_tensors", core_load_tensors },
        { "save_tensors", core_save_tensors },
        { NULL, NULL },
    };
    static const luaL_Reg methods[] = {
        { "names", file_names }, { "has", file_has },       { "shape", file_shape },
        { "dtype", file_dtype }, { "type", file_type },     { "tensor", file_tensor },
        { NULL, NULL },
    };
    static const luaL_Reg writers[] = {
        { "tensor", writer_tensor },     { "net", writer_net },       { "optimizer", writer_optimizer },
        { "metadata", writer_metadata }, { "commit", writer_commit }, { NULL, NULL },
    };
    luaL_setfuncs(L, functions, 0);
    bind_class(L, "drift.writer", writers, writer_gc);
    bind_class(L, "drift.file", methods, file_gc);
    luaL_getmetatable(L, "drift.file");
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, file_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
