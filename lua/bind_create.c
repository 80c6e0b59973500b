/* bind_create.c: tensors made from Lua's numbers and from random streams. Random numbers are keyed by (seed, purpose,
 * step, sample), never by the order of calls: the same key gives the same numbers, so a key must be given. */
#include "bind.h"

#include <math.h>
#include <string.h>

uint64_t bind_seed;

/* ---- shapes and options ------------------------------------------------------------------------------------------ */
int bind_check_shape(lua_State *L, int index, int64_t shape[DR_MAX_RANK])
{
    index = lua_absindex(L, index);
    if (!lua_istable(L, index))
        return bind_error(L, "a shape is a list such as { 2, 3 }, not a %s", bind_typename(L, index));
    const int64_t rank = luaL_len(L, index);
    if (rank > DR_MAX_RANK) return bind_error(L, "a shape of %lld axes; at most %d", (long long)rank, DR_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        int whole;
        lua_geti(L, index, i + 1);
        shape[i] = lua_tointegerx(L, -1, &whole);
        if (!whole) bind_error(L, "axis %d of the shape must be a whole number", i + 1);
        lua_pop(L, 1);
    }
    return (int)rank;
}

/* zeros(2, 3) or zeros({ 2, 3 }, options): leaves *options at the index of the options. */
static int shape_arguments(lua_State *L, int64_t shape[DR_MAX_RANK], int *options)
{
    if (lua_istable(L, 1)) {
        *options = 2;
        return bind_check_shape(L, 1, shape);
    }
    int rank = 0;
    while (lua_type(L, rank + 1) == LUA_TNUMBER) {
        if (rank == DR_MAX_RANK) bind_error(L, "a shape of more than %d axes", DR_MAX_RANK);
        shape[rank] = luaL_checkinteger(L, rank + 1);
        rank++;
    }
    *options = rank + 1;
    return rank;
}

/* Options are { dtype = } or a dtype's name. */
static dr_dtype option_dtype(lua_State *L, int options, dr_dtype def)
{
    const char *name =
        lua_type(L, options) == LUA_TSTRING ? lua_tostring(L, options) : bind_option_string(L, options, "dtype", NULL);
    return name ? bind_check_dtype(L, name) : def;
}

static int push_full(lua_State *L, double value)
{
    int64_t shape[DR_MAX_RANK];
    int options;
    const int rank = shape_arguments(L, shape, &options);
    const dr_dtype dtype = option_dtype(L, options, DR_F32);
    dr_scope_open();
    return bind_done(L, dr_tensor_full(dtype, rank, shape, value));
}

static int core_zeros(lua_State *L) { return push_full(L, 0.0); }

static int core_ones(lua_State *L) { return push_full(L, 1.0); }

static int core_full(lua_State *L)
{
    int64_t shape[DR_MAX_RANK];
    const int rank = bind_check_shape(L, 1, shape);
    const dr_dtype dtype = option_dtype(L, 3, DR_F32);
    const double value = luaL_checknumber(L, 2);
    dr_scope_open();
    return bind_done(L, dr_tensor_full(dtype, rank, shape, value));
}

static int push_values(lua_State *L, dr_dtype dtype, int rank, const int64_t *shape, const double *value)
{
    dr_scope_open();
    dr_tensor *t = dr_tensor_new(dtype, rank, shape, DR_LAYOUT_ROW);
    if (t) dr_tensor_write(t, DR_F64, value);
    return bind_done(L, t);
}

static int core_arange(lua_State *L) /* arange(stop), (start, stop), (start, stop, step) */
{
    int numbers = 0;
    while (numbers < 3 && lua_type(L, numbers + 1) == LUA_TNUMBER) numbers++;
    if (numbers == 0) return bind_error(L, "arange takes [start,] stop [, step]");
    const double start = numbers > 1 ? lua_tonumber(L, 1) : 0.0, stop = lua_tonumber(L, numbers > 1 ? 2 : 1);
    const double step = numbers > 2 ? lua_tonumber(L, 3) : 1.0, length = ceil((stop - start) / step);
    if (!(fabs(length) < 0x1p48)) return bind_error(L, "arange: no end from %g to %g by %g", start, stop, step);
    const int64_t n = length > 0 ? (int64_t)length : 0;
    if (!dr_checked_size("arange", DR_F64, 1, &n, NULL, NULL)) bind_check(L);
    const dr_dtype dtype = option_dtype(L, numbers + 1, DR_F32);
    double *value = lua_newuserdatauv(L, (size_t)(n > 0 ? n : 1) * sizeof *value, 0);
    for (int64_t i = 0; i < n; i++) value[i] = start + step * (double)i;
    return push_values(L, dtype, 1, &n, value);
}

/* ---- tensor { { 1, 2 }, { 3, 4 } } ------------------------------------------------------------------------------- */
static int nested_shape(lua_State *L, int index, int64_t shape[DR_MAX_RANK])
{
    int rank = 0;
    lua_pushvalue(L, index);
    while (lua_istable(L, -1)) {
        if (rank == DR_MAX_RANK) bind_error(L, "a list nested more than %d deep", DR_MAX_RANK);
        shape[rank] = luaL_len(L, -1);
        if (shape[rank++] == 0) break;
        lua_geti(L, -1, 1);
        lua_remove(L, -2);
    }
    lua_pop(L, 1);
    return rank;
}

static double *flatten(lua_State *L, int index, int axis, int rank, const int64_t *shape, double *to)
{
    if (axis == rank) {
        if (lua_isboolean(L, index)) {
            *to = lua_toboolean(L, index);
        } else if (lua_type(L, index) == LUA_TNUMBER) {
            *to = lua_tonumber(L, index);
        } else {
            bind_error(L, "a tensor's elements are numbers; one of them is a %s", bind_typename(L, index));
        }
        return to + 1;
    }
    if (!lua_istable(L, index))
        bind_error(L, "a list of %lld is expected where there is a %s: the lists are not equally deep",
                   (long long)shape[axis], bind_typename(L, index));
    const int64_t n = luaL_len(L, index);
    if (n != shape[axis])
        bind_error(L, "lists of %lld and of %lld elements side by side", (long long)shape[axis], (long long)n);
    index = lua_absindex(L, index);
    for (int64_t i = 1; i <= n; i++) {
        lua_geti(L, index, i);
        to = flatten(L, -1, axis + 1, rank, shape, to);
        lua_pop(L, 1);
    }
    return to;
}

static int core_tensor(lua_State *L)
{
    luaL_checkany(L, 1);
    int64_t shape[DR_MAX_RANK] = { 0 }, n;
    const int rank = nested_shape(L, 1, shape);
    const dr_dtype dtype = option_dtype(L, 2, DR_F32);
    if (!dr_checked_size("tensor", dtype, rank, shape, &n, NULL)) bind_check(L);
    double *value = lua_newuserdatauv(L, (size_t)(n > 0 ? n : 1) * sizeof *value, 0);
    luaL_checkstack(L, DR_MAX_RANK + 2, "tensor");
    flatten(L, 1, 0, rank, shape, value);
    return push_values(L, dtype, rank, shape, value);
}

static int core_from_string(lua_State *L) /* from_string(bytes, shape, dtype): row-major */
{
    size_t length, bytes;
    const char *data = luaL_checklstring(L, 1, &length);
    int64_t shape[DR_MAX_RANK];
    const int rank = bind_check_shape(L, 2, shape);
    const dr_dtype dtype = option_dtype(L, 3, DR_F32);
    if (!dr_checked_size("from_string", dtype, rank, shape, NULL, &bytes)) bind_check(L);
    if (bytes != length)
        return bind_error(L, "from_string: the shape takes %zu bytes, the string has %zu", bytes, length);
    dr_scope_open();
    return bind_done(L, dr_tensor_from(dtype, rank, shape, data));
}

/* ---- copies ------------------------------------------------------------------------------------------------------ */
static int tensor_to(lua_State *L)
{
    dr_tensor *t = bind_check_tensor(L, 1);
    dr_device **d = luaL_testudata(L, 2, "drift.device");
    dr_device *device = d ? *d : dr_device_open(luaL_checkstring(L, 2), DR_NO_ARGS);
    bind_check(L);
    dr_scope_open();
    return bind_done(L, dr_tensor_to(t, device));
}

static int tensor_clone(lua_State *L) /* for numbers that have a gradient, the copy has one too */
{
    dr_tensor *t = bind_check_tensor(L, 1);
    const dr_view *v = dr_tensor_view(t);
    dr_tensor *copy = NULL;
    dr_scope_open();
    if (v->dtype == DR_F32 || v->dtype == DR_F64 || v->dtype == DR_BF16 || v->dtype == DR_F16) {
        copy = dr_affine(1.0, t, 0.0);
    } else {
        dr_device *here = dr_device_current();
        dr_device_use(dr_tensor_device(t));
        copy = dr_tensor_new((dr_dtype)v->dtype, v->rank, v->shape, DR_LAYOUT_ROW);
        dr_device_use(here);
        if (copy) dr_assign(copy, t);
    }
    return bind_done(L, copy);
}

/* ---- random ------------------------------------------------------------------------------------------------------ */
dr_rng bind_check_rng(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    const char *purpose = lua_istable(L, index) ? bind_option_string(L, index, "purpose", NULL) : NULL;
    if (!purpose) {
        bind_error(L, "random numbers are keyed by (seed, purpose, step, sample), never by the order of calls: "
                      "give a purpose at least, such as { purpose = \"noise\" }");
    }
    const int64_t step = bind_option_integer(L, index, "step", 0);
    if (step < 0 || step > 0xFFFFFF) bind_error(L, "step = %lld is outside [0, %d]", (long long)step, 0xFFFFFF);
    return (dr_rng){ .seed = (uint64_t)bind_option_integer(L, index, "seed", (int64_t)bind_seed),
                     .purpose = dr_purpose(purpose),
                     .step = (uint32_t)step,
                     .sample = (uint64_t)bind_option_integer(L, index, "sample", 0) };
}

typedef dr_tensor *random_fn(dr_dtype dtype, int rank, const int64_t *shape, const dr_rng *rng);

static int push_random(lua_State *L, random_fn *make, const char *name)
{
    if (!lua_istable(L, 1))
        return bind_error(L, "%s takes one table: drift.%s { 2, 3, purpose = \"noise\" }", name, name);
    int64_t shape[DR_MAX_RANK];
    const int rank = bind_check_shape(L, 1, shape);
    const dr_rng rng = bind_check_rng(L, 1);
    const dr_dtype dtype = option_dtype(L, 1, DR_F32);
    dr_scope_open();
    return bind_done(L, make(dtype, rank, shape, &rng));
}

static int core_randn(lua_State *L) { return push_random(L, dr_rand_normal, "randn"); }

static int core_rand(lua_State *L) { return push_random(L, dr_rand_uniform, "rand"); }

static int core_uniform(lua_State *L) /* uniform(rng, element): one number in [0,1) */
{
    const dr_rng rng = bind_check_rng(L, 1);
    const lua_Integer element = luaL_optinteger(L, 2, 0);
    if (element < 0 || element > UINT32_MAX)
        return bind_error(L, "element = %lld is outside [0, 2^32)", (long long)element);
    lua_pushnumber(L, dr_rng_uniform(&rng, (uint32_t)element));
    return 1;
}

void bind_open_create(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "tensor", core_tensor },   { "from_string", core_from_string },
        { "zeros", core_zeros },     { "ones", core_ones },
        { "full", core_full },       { "arange", core_arange },
        { "randn", core_randn },     { "rand", core_rand },
        { "uniform", core_uniform }, { NULL, NULL },
    };
    static const luaL_Reg methods[] = { { "to", tensor_to }, { "clone", tensor_clone }, { NULL, NULL } };
    luaL_setfuncs(L, functions, 0);
    bind_tensor_methods(L, methods);
}
