/* define_op.c: ops written in Lua: what they give for which shapes (infer), their parts (compose, in terms of other ops),
 * and their gradient where it is not that of the parts (backward). In Lua
 *   infer(a, b, ..., attr) -> { shape =, dtype = }, ...     a = { shape = { ... }, dtype = "f32" }, nil where absent
 *   compose(x, y, ..., attr) -> tensor, ...
 *   backward { input = { x, y }, output = { z }, grad = { dz }, need = { true, false }, attr = {} } -> dx, dy   (nil: none) */
#include "define.h"
#include "tensor.h"

#include <string.h>

typedef struct op_call {
    definition *d;
    const define_field *field;
    const dr_view *view_in;
    dr_tensor *const *in;
    int n_in;
    const void *attr;
    dr_view *view_out;
    dr_tensor *made[DR_OP_MAX_IN];
    const dr_backward_args *b;
} op_call;

static const char *wanted_views = "one table { shape =, dtype = } for each output";

static void push_view(lua_State *T, const dr_view *v)
{
    if (v->rank < 0) {
        lua_pushnil(T);
        return;
    }
    lua_createtable(T, 0, 2);
    lua_createtable(T, v->rank, 0);
    for (int i = 0; i < v->rank; i++) {
        lua_pushinteger(T, v->shape[i]);
        lua_rawseti(T, -2, i + 1);
    }
    lua_setfield(T, -2, "shape");
    lua_pushstring(T, dr_dtype_name((dr_dtype)v->dtype));
    lua_setfield(T, -2, "dtype");
}

static void push_function(lua_State *T, const op_call *c)
{
    luaL_checkstack(T, 2 * DR_OP_MAX_IN + 12, c->d->component.name);
    define_push(T, c->d, "functions");
    lua_getfield(T, -1, c->field->name);
    lua_remove(T, -2);
}

static int infer_body(lua_State *T)
{
    op_call *c = lua_touserdata(T, 1);
    const int n_out = c->d->iface.op.n_out;
    push_function(T, c);
    for (int i = 0; i < c->n_in; i++) push_view(T, &c->view_in[i]);
    define_push_params(T, c->d, c->attr);
    lua_call(T, c->n_in + 1, n_out);
    for (int j = 0; j < n_out; j++) {
        const int index = j - n_out;
        if (!lua_istable(T, index))
            bind_error(T, "infer must return %s, got a %s", wanted_views, bind_typename(T, index));
        dr_view *v = &c->view_out[j];
        const int table = lua_absindex(T, index);
        v->dtype = (int32_t)bind_check_dtype(T, bind_option_string(T, table, "dtype", "f32"));
        lua_getfield(T, table, "shape");
        v->rank = bind_check_shape(T, -1, v->shape);
        lua_pop(T, 1);
        if (!dr_checked_size(c->d->component.name, (dr_dtype)v->dtype, v->rank, v->shape, NULL, NULL)) bind_check(T);
    }
    return 0;
}

/* The n results on top, each a tensor, or nil where that may be. */
static void take(lua_State *T, op_call *c, int n, const uint8_t *need)
{
    for (int j = 0; j < n; j++) {
        if (lua_isnil(T, j - n) && c->b && !need[j]) continue;
        if (lua_isnil(T, j - n) && c->b) bind_error(T, "backward gave no gradient of input %d, which needs one", j + 1);
        if (!bind_test_handle(T, j - n))
            bind_error(T, "%s must return a tensor for each %s; result %d is a %s", c->field->name,
                       c->b ? "input" : "output", j + 1, bind_typename(T, j - n));
        bind_check_tensor(T, j - n);
    }
    for (int j = 0; j < n; j++) {
        const bind_tensor *h = bind_test_handle(T, j - n);
        c->made[j] = h ? dr_retain(h->tensor) : NULL;
    }
}

static int compose_body(lua_State *T)
{
    op_call *c = lua_touserdata(T, 1);
    const int n_out = c->d->iface.op.n_out;
    push_function(T, c);
    for (int i = 0; i < c->n_in; i++) bind_push_borrowed(T, c->in[i]);
    define_push_params(T, c->d, c->attr);
    lua_call(T, c->n_in + 1, n_out);
    take(T, c, n_out, NULL);
    return 0;
}

static void set_list(lua_State *T, const char *key, dr_tensor *const *t, int n)
{
    lua_createtable(T, n, 0);
    for (int i = 0; i < n; i++) {
        bind_push_borrowed(T, t[i]);
        lua_rawseti(T, -2, i + 1);
    }
    lua_setfield(T, -2, key);
}

static int backward_body(lua_State *T)
{
    op_call *c = lua_touserdata(T, 1);
    const dr_backward_args *b = c->b;
    push_function(T, c);
    lua_createtable(T, 0, 6);
    set_list(T, "input", b->in, b->n_in);
    set_list(T, "output", b->out, b->n_out);
    set_list(T, "grad", b->dout, b->n_out);
    lua_createtable(T, b->n_in, 0);
    for (int i = 0; i < b->n_in; i++) {
        lua_pushboolean(T, b->need[i]);
        lua_rawseti(T, -2, i + 1);
    }
    lua_setfield(T, -2, "need");
    define_push_params(T, c->d, b->attr);
    lua_setfield(T, -2, "attr");
    lua_call(T, 1, b->n_in);
    take(T, c, b->n_in, b->need);
    for (int i = 0; i < b->n_in; i++) {
        const dr_view *v = dr_tensor_view(c->made[i]), *w = &b->in_view[i];
        if (!v || (v->rank == w->rank && memcmp(v->shape, w->shape, (size_t)v->rank * sizeof *v->shape) == 0)) continue;
        char is[128], wanted[128];
        dr_view_text(v, is, sizeof is);
        dr_view_text(w, wanted, sizeof wanted);
        for (int k = 0; k < b->n_in; k++) dr_release(c->made[k]);
        memset(c->made, 0, sizeof c->made);
        bind_error(T, "backward: the gradient of input %d is %s, expected the input's shape, %s", i + 1, is, wanted);
    }
    return 0;
}

/* An op whose gradient is its own, or none, gives tensors that nobody has yet: the tape writes on them who made them. compose
 * may still return its input, or another op's result. */
static dr_tensor *of_nobody(const op_call *c, dr_tensor *t)
{
    const dr_op *op = &c->d->iface.op;
    const bool parts_count = c->b || !(op->backward || (op->flags & DR_OP_NONDIFF));
    bool anybody = t->node || t->requires_grad;
    for (int i = 0; i < c->n_in && !parts_count; i++) anybody |= c->in[i] == t;
    return anybody && !parts_count ? dr_detach(t) : t;
}

static dr_status give(op_call *c, bool good, dr_tensor **out, int n)
{
    for (int j = 0; j < n; j++) {
        if (good) {
            dr_tensor *t = define_for_caller(c->made[j]);
            out[j] = t ? of_nobody(c, t) : NULL;
        } else {
            dr_release(c->made[j]);
        }
    }
    return good ? DR_OK : dr_failed();
}

void define_op_trampoline(ffi_cif *cif, void *result, void **argument, void *user)
{
    (void)cif;
    const define_closure *closure = user;
    op_call c = { .d = closure->definition, .field = closure->field };
    const char *name = c.field->name;
    dr_status status;
    if (strcmp(name, "backward") == 0) {
        c.b = *(const dr_backward_args **)argument[0];
        const bool good = define_protected(c.d, backward_body, &c);
        status = give(&c, good, c.b->din, c.b->n_in);
    } else {
        c.n_in = *(int *)argument[1];
        c.attr = *(const void **)argument[2];
        if (strcmp(name, "infer") == 0) {
            c.view_in = *(const dr_view **)argument[0];
            c.view_out = *(dr_view **)argument[3];
            status = define_protected(c.d, infer_body, &c) ? DR_OK : dr_failed();
        } else {
            c.in = *(dr_tensor *const **)argument[0];
            const bool good = define_protected(c.d, compose_body, &c);
            status = give(&c, good, *(dr_tensor ***)argument[3], c.d->iface.op.n_out);
        }
    }
    *(ffi_sarg *)result = status;
}

bool define_op_prepare(define_closure *c)
{
    static ffi_type *const infer[] = { &ffi_type_pointer, &ffi_type_sint32, &ffi_type_pointer, &ffi_type_pointer,
                                       &ffi_type_pointer };
    const char *name = c->field->name;
    const unsigned n = strcmp(name, "infer") == 0 ? 5 : strcmp(name, "compose") == 0 ? 4 : 1;
    memcpy(c->type, infer, sizeof infer);
    return ffi_prep_cif(&c->cif, FFI_DEFAULT_ABI, n, &ffi_type_sint32, c->type) == FFI_OK;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
static uint64_t saved(lua_State *L, int table, const char *key, int32_t n)
{
    uint64_t bits = 0;
    if (lua_getfield(L, table, key) != LUA_TTABLE) {
        lua_pop(L, 1);
        return ((uint64_t)1 << n) - 1;
    }
    for (lua_Integer i = 1, count = luaL_len(L, -1); i <= count; i++) {
        lua_geti(L, -1, i);
        const lua_Integer which = luaL_checkinteger(L, -1);
        if (which < 1 || which > n) bind_error(L, "%s names number %lld of %d", key, (long long)which, n);
        bits |= (uint64_t)1 << (which - 1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return bits;
}

void define_op_constants(lua_State *L, int table, definition *d)
{
    dr_op *op = &d->iface.op;
    op->n_in = (int32_t)bind_option_integer(L, table, "inputs", 1);
    op->n_optional = (int32_t)bind_option_integer(L, table, "optional", 0);
    op->n_out = (int32_t)bind_option_integer(L, table, "outputs", 1);
    if (op->n_in < 1 || op->n_in > DR_OP_MAX_IN || op->n_optional < 0 || op->n_optional >= op->n_in || op->n_out < 1 ||
        op->n_out > DR_OP_MAX_OUT)
        bind_error(L,
                   "op %s: inputs = %d (of which optional = %d), outputs = %d; 1 to %d inputs, one of them required, "
                   "and 1 to %d outputs",
                   d->component.name, op->n_in, op->n_optional, op->n_out, DR_OP_MAX_IN, DR_OP_MAX_OUT);
    for (int i = 0; i < op->n_in; i++) op->in_layout[i] = DR_LAYOUT_ANY;
    op->example = define_text(bind_option_string(L, table, "example", NULL));
    if (bind_option_bool(L, table, "nondiff", false)) op->flags |= DR_OP_NONDIFF;
    if (op->backward) {
        op->save_in = saved(L, table, "save_inputs", op->n_in);
        op->save_out = saved(L, table, "save_outputs", op->n_out);
    }
}
