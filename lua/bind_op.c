/* bind_op.c: every op of the registry as a Lua function, from its inputs and its attributes' schema:
 *   drift.op.conv2d(x, w, b, { stride = 2 })   x:clamp(0, 1)   x:permute { 0, 2, 1 }   drift.op.concat({ a, b }, 1)
 * Inputs come first; a number stands for a tensor of rank 0. What follows are attributes: by position, in the schema's
 * order (several numbers in a row fill a list), and by name in a last table. A new op needs nothing here. */
#include "bind.h"

#include <string.h>

enum { INPUTS_MAX = 2048, ATTR_MAX = 1024 };

typedef struct op_call {
    const dr_component *component;
    const dr_op *op;
    dr_tensor **in;
    int n_in;
    int next; /* stack index of the first argument that is not an input */
    int last; /* of the last argument */
} op_call;

static void add_input(lua_State *L, op_call *c, dr_tensor *t)
{
    if (c->n_in >= INPUTS_MAX) bind_error(L, "%s: more than %d inputs", c->component->name, INPUTS_MAX);
    c->in[c->n_in++] = t;
}

static void variadic_inputs(lua_State *L, op_call *c)
{
    if (lua_istable(L, 1)) {
        const int64_t n = luaL_len(L, 1);
        for (int64_t i = 1; i <= n; i++) {
            lua_geti(L, 1, i);
            add_input(L, c, bind_check_tensor(L, -1));
            lua_pop(L, 1); /* the list keeps it alive */
        }
        c->next = 2;
        return;
    }
    while (c->next <= c->last && bind_test_handle(L, c->next)) add_input(L, c, bind_check_tensor(L, c->next++));
}

/* A number becomes a tensor of the dtype and on the device of the first tensor among the arguments. */
static int push_number(lua_State *L, const op_call *c, double value)
{
    for (int i = 1; i <= c->last; i++) {
        if (!bind_test_handle(L, i)) continue;
        dr_tensor *like = bind_check_tensor(L, i);
        dr_device *here = dr_device_current();
        dr_device_use(dr_tensor_device(like));
        dr_scope_open();
        dr_tensor *t = dr_tensor_full((dr_dtype)dr_tensor_view(like)->dtype, 0, NULL, value);
        dr_device_use(here);
        return bind_done(L, t);
    }
    return bind_error(L, "%s: one of its inputs must be a tensor", c->component->name);
}

static void fixed_inputs(lua_State *L, op_call *c)
{
    const int required = c->op->n_in - c->op->n_optional;
    while (c->n_in < c->op->n_in && c->next <= c->last) {
        const int type = lua_type(L, c->next);
        if (bind_test_handle(L, c->next)) {
            add_input(L, c, bind_check_tensor(L, c->next++));
        } else if (type == LUA_TNIL) {
            add_input(L, c, NULL);
            c->next++;
        } else if (type == LUA_TNUMBER && c->n_in < required) {
            push_number(L, c, lua_tonumber(L, c->next++)); /* stays above the arguments: alive until the call returns */
            add_input(L, c, bind_check_tensor(L, -1));
        } else {
            break;
        }
    }
    if (c->n_in < required) {
        bind_error(L, "%s takes %d tensor%s first; argument %d is %s", c->component->name, required,
                   required == 1 ? "" : "s", c->n_in + 1, c->next <= c->last ? bind_typename(L, c->next) : "missing");
    }
    while (c->n_in < c->op->n_in) add_input(L, c, NULL);
}

/* ---- attributes -------------------------------------------------------------------------------------------------- */
static bool is_named(lua_State *L, int index) /* a table with a string key, or an empty one */
{
    if (!lua_istable(L, index)) return false;
    lua_pushnil(L);
    if (!lua_next(L, index)) return true;
    const bool named = lua_type(L, -2) == LUA_TSTRING;
    lua_pop(L, 2);
    return named;
}

static void copy_named(lua_State *L, const op_call *c, int from, int to)
{
    lua_pushnil(L);
    while (lua_next(L, from)) {
        lua_pushvalue(L, -2);
        if (lua_rawget(L, to) != LUA_TNIL)
            bind_error(L, "%s: %s is given twice", c->component->name, luaL_tolstring(L, -3, NULL));
        lua_pop(L, 1);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, to);
    }
}

/* Pushes a table of all attributes by name. */
static int collect_attributes(lua_State *L, const op_call *c)
{
    lua_newtable(L);
    const int named = lua_gettop(L);
    int row = 0;
    for (int i = c->next; i <= c->last; row++) {
        if (i == c->last && is_named(L, i)) {
            copy_named(L, c, i, named);
            break;
        }
        const dr_param *p = dr_param_at(c->component, row);
        if (!p) bind_error(L, "%s: too many arguments, the %dth is %s", c->component->name, i, bind_typename(L, i));
        const bool list = p->type == DR_PARAM_INTS || p->type == DR_PARAM_REALS;
        if (lua_isnil(L, i)) { /* the default */
            i++;
            continue;
        }
        if (list && lua_type(L, i) == LUA_TNUMBER) {
            lua_newtable(L);
            for (int k = 1; i <= c->last && lua_type(L, i) == LUA_TNUMBER; k++, i++) {
                lua_pushvalue(L, i);
                lua_rawseti(L, -2, k);
            }
        } else {
            lua_pushvalue(L, i++);
        }
        lua_setfield(L, named, p->name);
    }
    return named;
}

static void fill_attributes(lua_State *L, const op_call *c, void *attr)
{
    dr_args args = DR_NO_ARGS;
    if (c->next <= c->last) args = bind_args(L, c->component, collect_attributes(L, c));
    dr_keeper *keeper;
    dr_schema_fill(c->component, args, attr, &keeper);
    bind_check(L);
    dr_keeper_free(keeper); /* an op's attributes are numbers and lists, held in the struct */
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */
static int apply(lua_State *L, const op_call *c, const void *attr)
{
    dr_tensor *out[DR_OP_MAX_OUT] = { NULL };
    luaL_checkstack(L, DR_OP_MAX_OUT, c->component->name);
    dr_scope_open();
    dr_apply(c->component->name, c->in, c->n_in, attr, out);
    for (int j = 0; j < c->op->n_out && !dr_failed(); j++) dr_retain(out[j]); /* new ones, or inputs given back */
    dr_scope_close();
    bind_check(L);
    for (int j = 0; j < c->op->n_out; j++) bind_push_owned(L, out[j]);
    if (c->op->n_out == 0) lua_pushvalue(L, 1); /* wrote to its first input */
    return c->op->n_out == 0 ? 1 : c->op->n_out;
}

static int op_function(lua_State *L) /* upvalue 1: the op's name */
{
    op_call c = { .component = dr_component_find("op", lua_tostring(L, lua_upvalueindex(1))),
                  .next = 1,
                  .last = lua_gettop(L) };
    bind_check(L);
    c.op = c.component->iface;
    dr_tensor *few[DR_OP_MAX_IN];
    const bool variadic = (c.op->flags & DR_OP_VARIADIC) != 0;
    c.in = variadic ? lua_newuserdatauv(L, INPUTS_MAX * sizeof *c.in, 0) : few;
    if (variadic) {
        variadic_inputs(L, &c);
    } else {
        fixed_inputs(L, &c);
    }
    _Alignas(16) unsigned char attr[ATTR_MAX] = { 0 };
    if (c.component->self_size > sizeof attr)
        return bind_error(L, "%s: its attributes take more than %d bytes", c.component->name, ATTR_MAX);
    fill_attributes(L, &c, attr);
    return apply(L, &c, attr);
}

int bind_push_op(lua_State *L, const char *name)
{
    if (!dr_component_find("op", name)) return 0; /* the error stays pending: it says what was meant */
    lua_pushstring(L, name);
    lua_pushcclosure(L, op_function, 1);
    return 1;
}

static int op_index(lua_State *L) /* drift.op.NAME; found once */
{
    if (!bind_push_op(L, luaL_checkstring(L, 2))) bind_check(L);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

/* ---- views by PyTorch's names ------------------------------------------------------------------------------------ */
static const dr_view *check_view(lua_State *L, int index) { return dr_tensor_view(bind_check_tensor(L, index)); }

static int check_dim(lua_State *L, int index, int rank, int def)
{
    const int64_t dim = luaL_optinteger(L, index, def);
    if (dim < -rank || dim >= rank) bind_error(L, "dim %lld is outside [%d, %d]", (long long)dim, -rank, rank - 1);
    return (int)(dim < 0 ? dim + rank : dim);
}

static int push_reshaped(lua_State *L, int rank, const int64_t *shape)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    dr_scope_open();
    return bind_done(L, dr_reshape(t, rank, shape));
}

static int tensor_view(lua_State *L)
{
    bind_push_op(L, "reshape");
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int tensor_flatten(lua_State *L) /* flatten(from): axes from `from` on become one */
{
    const dr_view *v = check_view(L, 1);
    if (v->rank == 0) return push_reshaped(L, 1, (const int64_t[]){ 1 });
    const int from = check_dim(L, 2, v->rank, 0);
    int64_t shape[DR_MAX_RANK];
    memcpy(shape, v->shape, sizeof shape);
    for (int i = from + 1; i < v->rank; i++) shape[from] *= v->shape[i];
    return push_reshaped(L, from + 1, shape);
}

static int tensor_squeeze(lua_State *L) /* squeeze(dim), or all axes of size 1 */
{
    const dr_view *v = check_view(L, 1);
    const int only = lua_isnoneornil(L, 2) ? -1 : check_dim(L, 2, v->rank, 0);
    int64_t shape[DR_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < v->rank; i++) {
        if (v->shape[i] != 1 || (only >= 0 && i != only)) shape[rank++] = v->shape[i];
    }
    return push_reshaped(L, rank, shape);
}

static int tensor_unsqueeze(lua_State *L)
{
    const dr_view *v = check_view(L, 1);
    if (v->rank == DR_MAX_RANK) return bind_error(L, "unsqueeze: rank %d is the highest", DR_MAX_RANK);
    const int dim = check_dim(L, 2, v->rank + 1, 0);
    int64_t shape[DR_MAX_RANK];
    for (int i = 0, from = 0; i <= v->rank; i++) shape[i] = i == dim ? 1 : v->shape[from++];
    return push_reshaped(L, v->rank + 1, shape);
}

static int tensor_transpose(lua_State *L)
{
    const dr_view *v = check_view(L, 1);
    const int a = check_dim(L, 2, v->rank, -2), b = check_dim(L, 3, v->rank, -1);
    int64_t dims[DR_MAX_RANK];
    for (int i = 0; i < v->rank; i++) dims[i] = i == a ? b : i == b ? a : i;
    dr_tensor *t = bind_check_tensor(L, 1);
    dr_scope_open();
    return bind_done(L, dr_permute(t, v->rank, dims));
}

static int tensor_narrow(lua_State *L)
{
    const dr_view *v = check_view(L, 1);
    const int dim = check_dim(L, 2, v->rank, 0);
    const int64_t start = luaL_checkinteger(L, 3), length = luaL_checkinteger(L, 4);
    dr_tensor *t = bind_check_tensor(L, 1);
    dr_scope_open();
    return bind_done(L, dr_slice(t, dim, start, length));
}

static int core_stack(lua_State *L) /* stack(list): a new first axis */
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const int64_t n = luaL_len(L, 1);
    if (n < 1 || n > INPUTS_MAX)
        return bind_error(L, "stack: takes 1 to %d tensors, got %lld", INPUTS_MAX, (long long)n);
    dr_tensor **part = lua_newuserdatauv(L, (size_t)n * sizeof *part, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_geti(L, 1, i + 1);
        part[i] = bind_check_tensor(L, -1);
        if (dr_tensor_view(part[i])->rank == DR_MAX_RANK)
            return bind_error(L, "stack: rank %d is the highest", DR_MAX_RANK);
        lua_pop(L, 1); /* the list keeps it alive */
    }
    dr_scope_open();
    for (int64_t i = 0; i < n; i++) {
        const dr_view *v = dr_tensor_view(part[i]);
        int64_t shape[DR_MAX_RANK + 1] = { 1 };
        memcpy(shape + 1, v->shape, (size_t)v->rank * sizeof *shape);
        if (!(part[i] = dr_reshape(part[i], v->rank + 1, shape))) break;
    }
    return bind_done(L, dr_failed() ? NULL : dr_concat(part, (int)n, 0));
}

void bind_open_op(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "view", tensor_view },
        { "flatten", tensor_flatten },
        { "squeeze", tensor_squeeze },
        { "unsqueeze", tensor_unsqueeze },
        { "transpose", tensor_transpose },
        { "narrow", tensor_narrow },
        { NULL, NULL },
    };
    bind_tensor_methods(L, methods);

    lua_newtable(L);
    lua_newtable(L);
    lua_pushcfunction(L, op_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_getfield(L, -1, "concat");
    lua_setfield(L, -3, "concat");
    lua_setfield(L, -2, "op");
    lua_pushcfunction(L, core_stack);
    lua_setfield(L, -2, "stack");
}
