/* bind_tensor.c: what a tensor can do in Lua beside the ops: its properties, operators, indices, gradient, and its way
 * to and from Lua's numbers. The ops themselves become methods in bind_op.c, from the registry.
 * dims count from 0 as in PyTorch; t[i] counts from 1 as in Lua. */
#include "bind.h"

#include <stdlib.h>
#include <string.h>

static const dr_view *check_view(lua_State *L, int index) { return dr_tensor_view(bind_check_tensor(L, index)); }

static int64_t numel(const dr_view *v)
{
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->shape[i];
    return n;
}

static bool is_integer(int32_t dtype)
{
    return dtype == DR_I32 || dtype == DR_I64 || dtype == DR_U8 || dtype == DR_BOOL;
}

/* ---- operators: with a number they are x -> scale x + shift or a power ------------------------------------------- */
static int call_op(lua_State *L, const char *op)
{
    bind_push_op(L, op);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
    return 1;
}

static int affine(lua_State *L, int tensor, double scale, double shift)
{
    dr_tensor *t = bind_check_tensor(L, tensor);
    dr_scope_open();
    return bind_done(L, dr_affine(scale, t, shift));
}

static int meta_add(lua_State *L)
{
    if (lua_isnumber(L, 2)) return affine(L, 1, 1.0, lua_tonumber(L, 2));
    if (lua_isnumber(L, 1)) return affine(L, 2, 1.0, lua_tonumber(L, 1));
    return call_op(L, "add");
}

static int meta_sub(lua_State *L)
{
    if (lua_isnumber(L, 2)) return affine(L, 1, 1.0, -lua_tonumber(L, 2));
    if (lua_isnumber(L, 1)) return affine(L, 2, -1.0, lua_tonumber(L, 1));
    return call_op(L, "sub");
}

static int meta_mul(lua_State *L)
{
    if (lua_isnumber(L, 2)) return affine(L, 1, lua_tonumber(L, 2), 0.0);
    if (lua_isnumber(L, 1)) return affine(L, 2, lua_tonumber(L, 1), 0.0);
    return call_op(L, "mul");
}

static int meta_div(lua_State *L)
{
    if (lua_isnumber(L, 2)) return affine(L, 1, 1.0 / lua_tonumber(L, 2), 0.0);
    if (lua_isnumber(L, 1)) {
        dr_tensor *t = bind_check_tensor(L, 2);
        dr_scope_open();
        return bind_done(L, dr_scale(lua_tonumber(L, 1), dr_pow(t, -1.0)));
    }
    return call_op(L, "div");
}

static int meta_pow(lua_State *L)
{
    if (!lua_isnumber(L, 2)) return bind_error(L, "the exponent of ^ must be a number, not a %s", bind_typename(L, 2));
    dr_tensor *t = bind_check_tensor(L, 1);
    dr_scope_open();
    return bind_done(L, dr_pow(t, lua_tonumber(L, 2)));
}

static int meta_unm(lua_State *L) { return affine(L, 1, -1.0, 0.0); }

static int meta_concat(lua_State *L) /* "loss " .. t */
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static int meta_len(lua_State *L)
{
    const dr_view *v = check_view(L, 1);
    if (v->rank == 0) return bind_error(L, "a tensor of rank 0 has no length");
    lua_pushinteger(L, v->shape[0]);
    return 1;
}

static int meta_eq(lua_State *L) /* the same tensor, not the same values */
{
    const bind_tensor *a = bind_test_handle(L, 1), *b = bind_test_handle(L, 2);
    lua_pushboolean(L, a && b && a->tensor && a->tensor == b->tensor);
    return 1;
}

/* ---- t[i], t.shape, t.conv2d ------------------------------------------------------------------------------------- */
static int index_number(lua_State *L)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    const dr_view *v = dr_tensor_view(t);
    if (v->rank == 0) return bind_error(L, "a tensor of rank 0 has no elements to index; use t:item()");
    int whole;
    const int64_t i = lua_tointegerx(L, 2, &whole);
    if (whole && i == v->shape[0] + 1) { /* where ipairs stops */
        lua_pushnil(L);
        return 1;
    }
    if (!whole || i < 1 || i > v->shape[0])
        return bind_error(L, "index %g is outside [1, %lld]", lua_tonumber(L, 2), (long long)v->shape[0]);
    dr_scope_open(); /* [N,...] -> [...] */
    return bind_done(L, dr_reshape(dr_slice(t, 0, i - 1, 1), v->rank - 1, v->shape + 1));
}

static int property(lua_State *L, const char *key)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    const dr_view *v = dr_tensor_view(t);
    if (strcmp(key, "shape") == 0) {
        lua_createtable(L, v->rank, 0);
        for (int i = 0; i < v->rank; i++) {
            lua_pushinteger(L, v->shape[i]);
            lua_rawseti(L, -2, i + 1);
        }
    } else if (strcmp(key, "dtype") == 0) {
        lua_pushstring(L, dr_dtype_name((dr_dtype)v->dtype));
    } else if (strcmp(key, "rank") == 0) {
        lua_pushinteger(L, v->rank);
    } else if (strcmp(key, "device") == 0) {
        lua_pushstring(L, dr_device_name(dr_tensor_device(t)));
    } else if (strcmp(key, "grad") == 0) {
        bind_push_borrowed(L, dr_grad(t));
    } else {
        return 0;
    }
    return 1;
}

/* upvalue 1: the methods; ops are added to it when they are first called */
static int meta_index(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TNUMBER) return index_number(L);
    if (lua_type(L, 2) != LUA_TSTRING)
        return bind_error(L, "a tensor is indexed by a number or a name, not by a %s", bind_typename(L, 2));
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    const char *key = lua_tostring(L, 2);
    if (property(L, key)) return 1;
    if (!bind_push_op(L, key)) {
        bind_check(L);
        return bind_error(L, "a tensor has no \"%s\"", key);
    }
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, lua_upvalueindex(1));
    return 1;
}

static int meta_newindex(lua_State *L)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    const dr_view *v = dr_tensor_view(t);
    int whole;
    const int64_t i = lua_tointegerx(L, 2, &whole);
    if (!whole || v->rank == 0)
        return bind_error(L, "only elements of the first axis can be set: t[i] = tensor or number");
    if (i < 1 || i > v->shape[0])
        return bind_error(L, "index %lld is outside [1, %lld]", (long long)i, (long long)v->shape[0]);
    const bool number = lua_isnumber(L, 3);
    dr_tensor *value = number ? NULL : bind_check_tensor(L, 3);
    const bool recording = dr_grad_mode(false);
    dr_scope_open();
    dr_tensor *to = dr_slice(t, 0, i - 1, 1);
    if (number) {
        dr_tensor *source = dr_tensor_full((dr_dtype)v->dtype, 0, NULL, lua_tonumber(L, 3));
        if (to && source) dr_assign(to, dr_tensor_to(source, dr_tensor_device(t)));
    } else if (to) {
        dr_assign(to, value);
    }
    dr_scope_close();
    dr_grad_mode(recording);
    bind_check(L);
    return 0;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
static int tensor_item(lua_State *L)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    const double value = dr_tensor_item(t);
    bind_check(L);
    if (is_integer(dr_tensor_view(t)->dtype)) {
        lua_pushinteger(L, (lua_Integer)value);
    } else {
        lua_pushnumber(L, value);
    }
    return 1;
}

static size_t push_nested(lua_State *L, const dr_view *v, int axis, const double *value)
{
    if (axis == v->rank) {
        if (is_integer(v->dtype)) {
            lua_pushinteger(L, (lua_Integer)*value);
        } else {
            lua_pushnumber(L, *value);
        }
        return 1;
    }
    size_t used = 0;
    lua_createtable(L, (int)v->shape[axis], 0);
    for (int64_t i = 0; i < v->shape[axis]; i++) {
        used += push_nested(L, v, axis + 1, value + used);
        lua_rawseti(L, -2, i + 1);
    }
    return used;
}

static int tensor_totable(lua_State *L)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    const dr_view *v = dr_tensor_view(t);
    const int64_t n = numel(v);
    double *values = lua_newuserdatauv(L, (size_t)(n > 0 ? n : 1) * sizeof *values, 0);
    dr_tensor_read(t, DR_F64, values);
    bind_check(L);
    luaL_checkstack(L, DR_MAX_RANK + 2, "totable");
    push_nested(L, v, 0, values);
    return 1;
}

static int tensor_bytes(lua_State *L)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    const dr_view *v = dr_tensor_view(t);
    const size_t bytes = (size_t)numel(v) * dr_dtype_size((dr_dtype)v->dtype);
    luaL_Buffer buffer;
    char *to = luaL_buffinitsize(L, &buffer, bytes ? bytes : 1);
    dr_tensor_read(t, (dr_dtype)v->dtype, to);
    bind_check(L);
    luaL_pushresultsize(&buffer, bytes);
    return 1;
}

static int meta_tostring(lua_State *L)
{
    enum { SHOWN = 6 };
    const bind_tensor *h = bind_test_handle(L, 1);
    if (!h->tensor) {
        lua_pushliteral(L, "tensor of a scope that has ended");
        return 1;
    }
    const dr_view *v = dr_tensor_view(h->tensor);
    char shape[128];
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    luaL_addstring(&text, dr_view_text(v, shape, sizeof shape));
    const int64_t n = numel(v);
    double *values = malloc((size_t)(n > 0 ? n : 1) * sizeof *values);
    if (values && n > 0 && dr_tensor_read(h->tensor, DR_F64, values) == DR_OK) {
        for (int64_t i = 0; i < n && i < SHOWN; i++) {
            char number[40];
            snprintf(number, sizeof number, "%s%.5g", i == 0 ? " {" : ", ", values[i]);
            luaL_addstring(&text, number);
        }
        luaL_addstring(&text, n > SHOWN ? ", ...}" : "}");
    }
    dr_error_clear(); /* a device without values still has a shape to show */
    free(values);
    luaL_pushresult(&text);
    return 1;
}

static int tensor_numel(lua_State *L)
{
    lua_pushinteger(L, numel(check_view(L, 1)));
    return 1;
}

/* ---- gradients and memory ---------------------------------------------------------------------------------------- */
static int tensor_backward(lua_State *L)
{
    dr_tensor *y = bind_check_tensor(L, 1);
    dr_tensor *dy = lua_isnoneornil(L, 2) ? NULL : bind_check_tensor(L, 2);
    dr_scope_open();
    dr_backward(y, dy);
    dr_scope_close();
    bind_check(L);
    return 0;
}

static int tensor_requires_grad(lua_State *L)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    if (lua_isnoneornil(L, 2)) {
        lua_pushboolean(L, dr_has_requires_grad(t));
        return 1;
    }
    luaL_checktype(L, 2, LUA_TBOOLEAN);
    dr_requires_grad(t, lua_toboolean(L, 2));
    bind_check(L);
    bind_check(L);
    lua_settop(L, 1);
    return 1;
}

static int tensor_zero_grad(lua_State *L)
{
    dr_zero_grad(bind_check_tensor(L, 1));
    return 0;
}

static int tensor_detach(lua_State *L)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    dr_scope_open();
    return bind_done(L, dr_detach(t));
}

static int tensor_swap(lua_State *L)
{
    dr_tensor *a = bind_check_tensor(L, 1), *b = bind_check_tensor(L, 2);
    const dr_view *v = dr_tensor_view(a), *w = dr_tensor_view(b);
    if (v->dtype != w->dtype || v->rank != w->rank ||
        memcmp(v->shape, w->shape, (size_t)v->rank * sizeof *v->shape) != 0) {
        char s[128], u[128];
        return bind_error(L, "swap: %s and %s are not alike", dr_view_text(v, s, sizeof s),
                          dr_view_text(w, u, sizeof u));
    }
    dr_tensor_swap(a, b);
    lua_settop(L, 1);
    return 1;
}

static int tensor_contiguous(lua_State *L)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    dr_scope_open();
    return bind_done(L, dr_contiguous(t, DR_LAYOUT_ROW));
}

static const luaL_Reg methods[] = {
    { "item", tensor_item },
    { "totable", tensor_totable },
    { "tostring_bytes", tensor_bytes },
    { "numel", tensor_numel },
    { "backward", tensor_backward },
    { "requires_grad", tensor_requires_grad },
    { "zero_grad", tensor_zero_grad },
    { "detach", tensor_detach },
    { "swap", tensor_swap },
    { "contiguous", tensor_contiguous },
    { NULL, NULL },
};

static const luaL_Reg meta[] = {
    { "__add", meta_add }, { "__sub", meta_sub },           { "__mul", meta_mul },           { "__div", meta_div },
    { "__pow", meta_pow }, { "__unm", meta_unm },           { "__concat", meta_concat },     { "__len", meta_len },
    { "__eq", meta_eq },   { "__newindex", meta_newindex }, { "__tostring", meta_tostring }, { NULL, NULL },
};

void bind_tensor_methods(lua_State *L, const luaL_Reg *more)
{
    luaL_getmetatable(L, "drift.tensor");
    lua_getfield(L, -1, "__index");
    lua_getupvalue(L, -1, 1);
    luaL_setfuncs(L, more, 0);
    lua_pop(L, 3);
}

void bind_open_tensor(lua_State *L)
{
    luaL_getmetatable(L, "drift.tensor"); /* made in bind_scope.c */
    luaL_setfuncs(L, meta, 0);
    lua_getfield(L, -1, "__index");
    luaL_setfuncs(L, methods, 0);
    lua_pushcclosure(L, meta_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
