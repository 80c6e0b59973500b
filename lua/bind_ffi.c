/* bind_ffi.c: libffi in its two uses. A C function that a plugin exports with a signature such as
 * "tensor(tensor,real)" becomes drift.export.NAME with no binding code; and a Lua function becomes a C function pointer
 * for a parameter of function type (a schedule, a view). The Lua function is called protected: an error in it is
 * recorded with dr_fail, and its C caller gets 0 or NULL. Both run on the thread of the script. */
#include "bind.h"

#include <ffi.h>
#include <string.h>

typedef struct signature {
    dr_signature as;
    ffi_type *type[DR_SIGNATURE_ARGUMENTS]; /* what cif points to */
    ffi_cif cif;
} signature;

typedef union value {
    double real;
    int64_t integer;
    _Bool boolean;
    const char *string;
    dr_tensor *tensor;
    ffi_arg raw; /* libffi widens small results to this */
} value;

static ffi_type *type_of(char c)
{
    switch (c) {
    case 'r': return &ffi_type_double;
    case 'i': return &ffi_type_sint64;
    case 'b': return &ffi_type_uint8;
    case 'v': return &ffi_type_void;
    default: return &ffi_type_pointer;
    }
}

static void prepare(lua_State *L, const char *text, signature *s)
{
    bool good = dr_signature_read(text, &s->as);
    for (int i = 0; good && i < s->as.n; i++) s->type[i] = type_of(s->as.argument[i]);
    good = good && ffi_prep_cif(&s->cif, FFI_DEFAULT_ABI, (unsigned)s->as.n, type_of(s->as.result), s->type) == FFI_OK;
    if (!good)
        bind_error(L, "signature \"%s\" is not RESULT(ARGUMENT,...) of real, int, bool, string, tensor and void",
                   text ? text : "");
}

/* ---- Lua calls C ------------------------------------------------------------------------------------------------- */
static void read_argument(lua_State *L, const dr_export *e, char type, int i, value *v)
{
    const int index = i + 1;
    int right = 1;
    switch (type) {
    case 'r': v->real = lua_tonumberx(L, index, &right); break;
    case 'i': v->integer = lua_tointegerx(L, index, &right); break;
    case 'b':
        v->boolean = lua_toboolean(L, index);
        right = lua_isboolean(L, index);
        break;
    case 's':
        right = lua_type(L, index) == LUA_TSTRING;
        v->string = lua_tostring(L, index);
        break;
    default: right = bind_test_handle(L, index) != NULL; v->tensor = right ? bind_check_tensor(L, index) : NULL;
    }
    if (!right)
        bind_error(L, "%s: argument %d must fit %s, got a %s", e->name, index, e->signature, bind_typename(L, index));
}

static int push_result(lua_State *L, const signature *s, const value *out)
{
    switch (s->as.result) {
    case 'r': lua_pushnumber(L, out->real); return 1;
    case 'i': lua_pushinteger(L, out->integer); return 1;
    case 'b': lua_pushboolean(L, (out->raw & 0xFF) != 0); return 1;
    case 's': lua_pushstring(L, out->string); return 1;
    case 'v': return 0;
    default: bind_push_owned(L, out->tensor); return 1;
    }
}

static int call_export(lua_State *L, const dr_export *e)
{
    signature s;
    prepare(L, e->signature, &s);
    if (lua_gettop(L) != s.as.n)
        return bind_error(L, "%s takes %d argument%s, %s; got %d", e->name, s.as.n, s.as.n == 1 ? "" : "s", e->signature,
                          lua_gettop(L));
    value in[DR_SIGNATURE_ARGUMENTS], out = { .raw = 0 };
    void *pointer[DR_SIGNATURE_ARGUMENTS];
    for (int i = 0; i < s.as.n; i++) {
        read_argument(L, e, s.as.argument[i], i, &in[i]);
        pointer[i] = &in[i];
    }
    dr_scope_open(); /* what it makes on the way dies here */
    ffi_call(&s.cif, FFI_FN(e->fn), &out, pointer);
    if (s.as.result == 't' && !dr_failed()) dr_retain(out.tensor);
    dr_scope_close();
    bind_check(L);
    return push_result(L, &s, &out);
}

static int export_function(lua_State *L) /* upvalue 1: its name */
{
    const dr_export *e = dr_export_find(lua_tostring(L, lua_upvalueindex(1)));
    bind_check(L);
    if (!e) return bind_error(L, "no plugin exports \"%s\"", lua_tostring(L, lua_upvalueindex(1)));
    return call_export(L, e);
}

static int pointer_function(lua_State *L) /* upvalues: the pointer, its signature */
{
    const dr_function *fn = lua_touserdata(L, lua_upvalueindex(1));
    if (!*fn) return bind_error(L, "this function belonged to a component that is gone");
    const dr_export e = { .name = "the function", .signature = lua_tostring(L, lua_upvalueindex(2)), .fn = *fn };
    return call_export(L, &e);
}

void bind_push_pointer(lua_State *L, dr_function fn, const char *text)
{
    dr_function *kept = lua_newuserdatauv(L, sizeof *kept, 0);
    *kept = fn;
    luaL_setmetatable(L, "drift.function_pointer");
    lua_pushvalue(L, -1);
    lua_pushstring(L, text);
    lua_pushcclosure(L, pointer_function, 2);
    lua_insert(L, -2);
}

static int export_index(lua_State *L) /* drift.export.NAME */
{
    const char *name = luaL_checkstring(L, 2);
    const dr_export *e = dr_export_find(name);
    if (!e) {
        bind_check(L);
        return bind_error(L, "no plugin exports \"%s\"", name);
    }
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, export_function, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

static int core_exports(lua_State *L)
{
    lua_newtable(L);
    for (int64_t i = 0; i < dr_export_count(); i++) {
        const dr_export *e = dr_export_at(i);
        lua_newtable(L);
        lua_pushstring(L, e->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, e->signature);
        lua_setfield(L, -2, "signature");
        lua_pushstring(L, e->doc);
        lua_setfield(L, -2, "doc");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* ---- C calls Lua ------------------------------------------------------------------------------------------------- */
typedef struct closure {
    signature s;
    ffi_closure *code;
    lua_State *thread; /* its own: the script's may be in the middle of anything. User value 1 */
} closure;

enum { THREAD = 1, FUNCTION, CLOSURE_VALUES = 2 }; /* user values of a closure */

static void push_argument(lua_State *T, char type, void *at)
{
    switch (type) {
    case 'r': lua_pushnumber(T, *(double *)at); return;
    case 'i': lua_pushinteger(T, *(int64_t *)at); return;
    case 'b': lua_pushboolean(T, *(_Bool *)at); return;
    case 's': lua_pushstring(T, *(const char **)at); return;
    default: bind_push_borrowed(T, *(dr_tensor **)at);
    }
}

/* The C caller expects a tensor of its own scope: a view of the one that Lua made, which Lua may then forget. */
static dr_tensor *for_caller(dr_tensor *t)
{
    const dr_view *v = dr_tensor_view(t);
    return v->rank > 0 ? dr_slice(t, 0, 0, v->shape[0]) : dr_reshape(t, 0, NULL);
}

static bool take_result(lua_State *T, char type, value *out)
{
    int right = 1;
    switch (type) {
    case 'r': out->real = lua_tonumberx(T, -1, &right); return right;
    case 'i': out->integer = lua_tointegerx(T, -1, &right); return right;
    case 'b': out->raw = (ffi_arg)lua_toboolean(T, -1); return lua_isboolean(T, -1);
    case 'v': return true;
    default: break;
    }
    const bind_tensor *h = type == 't' ? bind_test_handle(T, -1) : NULL; /* a string would not outlive the call */
    if (h && h->tensor) out->tensor = for_caller(h->tensor);
    return h && h->tensor;
}

static int call_protected(lua_State *T) /* closure, pointers to the arguments */
{
    const closure *c = lua_touserdata(T, 1);
    void **argument = lua_touserdata(T, 2);
    bind_recall(T, c);
    if (lua_isnil(T, -1)) return bind_error(T, "the function is called after its end");
    lua_getiuservalue(T, -1, FUNCTION);
    for (int i = 0; i < c->s.as.n; i++) push_argument(T, c->s.as.argument[i], argument[i]);
    lua_call(T, c->s.as.n, c->s.as.result == 'v' ? 0 : 1);
    return c->s.as.result == 'v' ? 0 : 1;
}

static void trampoline(ffi_cif *cif, void *result, void **argument, void *user)
{
    (void)cif;
    closure *c = user;
    lua_State *T = c->thread;
    value out = { .raw = 0 };
    if (!bind_is_script_thread()) { /* its stack is in use there */
        dr_fail(DR_EUNSUPPORTED, "a function written in Lua was called from another thread than the script's");
        if (c->s.as.result != 'v') memset(result, 0, c->s.as.result == 'b' ? sizeof out.raw : 8);
        return;
    }
    const int top = lua_gettop(T);
    if (dr_failed() == DR_OK && lua_checkstack(T, DR_SIGNATURE_ARGUMENTS + 8)) {
        lua_pushcfunction(T, call_protected);
        lua_pushlightuserdata(T, c);
        lua_pushlightuserdata(T, argument);
        dr_reload_bar("a function that a plugin calls");
        const int status = lua_pcall(T, 2, c->s.as.result == 'v' ? 0 : 1, 0);
        dr_reload_unbar();
        if (status != LUA_OK) {
            const char *message = lua_tostring(T, -1);
            dr_fail(DR_EINVAL, "%s", message ? message : "a Lua function raised something that is not a message");
        } else if (!take_result(T, c->s.as.result, &out)) {
            const char *type = bind_typename(T, -1);
            lua_Debug where = { 0 };
            bind_recall(T, c);
            lua_getiuservalue(T, -1, FUNCTION);
            lua_getinfo(T, ">S", &where);
            dr_fail(DR_EINVAL, "the function of %s:%d returned a %s; its C caller wants %s", where.short_src,
                    where.linedefined, type,
                    c->s.as.result == 'r'   ? "a number"
                    : c->s.as.result == 'i' ? "a whole number"
                    : c->s.as.result == 'b' ? "true or false"
                                         : "a tensor");
            out.raw = 0;
        }
    }
    lua_settop(T, top);
    if (c->s.as.result != 'v') memcpy(result, &out, c->s.as.result == 'b' ? sizeof out.raw : 8);
}

static int closure_gc(lua_State *L)
{
    closure *c = lua_touserdata(L, 1);
    if (c->code) ffi_closure_free(c->code);
    c->code = NULL;
    return 0;
}

dr_function bind_closure(lua_State *L, int index, const char *text)
{
    index = lua_absindex(L, index);
    closure *c = lua_newuserdatauv(L, sizeof *c, CLOSURE_VALUES);
    memset(c, 0, sizeof *c);
    luaL_setmetatable(L, "drift.closure");
    prepare(L, text, &c->s);
    if (c->s.as.result == 's')
        bind_error(L, "a Lua function cannot stand for %s: a string would not outlive the call", text);
    c->thread = lua_newthread(L);
    lua_setiuservalue(L, -2, THREAD);
    lua_pushvalue(L, index);
    lua_setiuservalue(L, -2, FUNCTION);
    bind_remember(L, -1);
    void *entry = NULL;
    c->code = ffi_closure_alloc(sizeof *c->code, &entry);
    if (!c->code || ffi_prep_closure_loc(c->code, &c->s.cif, trampoline, c, entry) != FFI_OK)
        bind_error(L, "this system allows no C function to be made of a Lua function");
    dr_function fn;
    memcpy(&fn, &entry, sizeof fn); /* ISO C has no conversion from data to function pointers */
    return fn;
}

void bind_open_ffi(lua_State *L)
{
    bind_class(L, "drift.closure", NULL, closure_gc);
    bind_class(L, "drift.function_pointer", NULL, NULL);
    lua_pushcfunction(L, core_exports);
    lua_setfield(L, -2, "exports");
    lua_newtable(L);
    lua_newtable(L);
    lua_pushcfunction(L, export_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "export");
}
