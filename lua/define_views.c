/* define_views.c: what a component's Lua functions see of the core: the builder of a block's create, the context of a
 * forward, random streams, the parts that a block has built, and components that are another's parameters (models are in
 * define_model.c). A view is good during the call that it was made for; used later it is an
 * error, never a dangling pointer. Names are those of the C API (drift/api.def) without dr_. */
#include "define.h"

#include <string.h>

enum { CALLS = 64 };
static uint64_t calls, alive[CALLS]; /* numbers of the calls that are under way, outermost first */
static int depth;

void define_enter_call(void)
{
    if (depth < CALLS) alive[depth] = ++calls;
    depth++;
}

void define_leave_call(void) { depth--; }

typedef struct view {
    const void *pointer;
    int depth;
    uint64_t call;
    definition *d; /* of a builder: whose create it is, */
    void *self;    /* and of which instance */
} view;

static view *push_view(lua_State *L, const char *type, const void *pointer)
{
    view *v = lua_newuserdatauv(L, sizeof *v, 0);
    *v = (view){ .pointer = pointer, .depth = depth - 1, .call = alive[depth - 1] };
    luaL_setmetatable(L, type);
    return v;
}

void define_push_view(lua_State *L, const char *type, const void *pointer)
{
    if (pointer) {
        push_view(L, type, pointer);
    } else {
        lua_pushnil(L);
    }
}

void define_push_builder(lua_State *L, dr_builder *b, definition *d, void *self)
{
    view *v = push_view(L, "drift.builder", b);
    v->d = d;
    v->self = self;
}

static const view *check_whole_view(lua_State *L, int index, const char *type)
{
    const view *v = luaL_checkudata(L, index, type);
    if (v->depth >= depth || alive[v->depth] != v->call)
        bind_error(L, "this %s belonged to a call that has ended: it cannot be kept", type + 6);
    return v;
}

const void *define_check_view(lua_State *L, int index, const char *type)
{
    return check_whole_view(L, index, type)->pointer;
}

/* ---- handles that end with an instance ----------------------------------------------------------------------------- */
typedef struct part {
    dr_module *module;
} part;

void define_push_borrowed(lua_State *L, dr_instance *i)
{
    if (!i) {
        lua_pushnil(L);
        return;
    }
    bind_instance *b = lua_newuserdatauv(L, sizeof *b, 1);
    *b = (bind_instance){ i, true };
    luaL_setmetatable(L, "drift.instance");
}

void define_forget(lua_State *L, int index)
{
    part *p = luaL_testudata(L, index, "drift.part");
    bind_instance *i = luaL_testudata(L, index, "drift.instance");
    dr_function *fn = luaL_testudata(L, index, "drift.function_pointer");
    if (p) p->module = NULL;
    if (fn) *fn = NULL;
    if (i && i->borrowed) i->instance = NULL;
}

static dr_module *check_part(lua_State *L, int index)
{
    const part *p = luaL_checkudata(L, index, "drift.part");
    if (!p->module) bind_error(L, "this part belonged to a network that is gone");
    return p->module;
}

static int part_call(lua_State *L) /* part(x, ...): further inputs may be nil */
{
    dr_module *m = check_part(L, 1);
    const int n = lua_gettop(L) - 1;
    dr_tensor *in[DR_OP_MAX_IN];
    if (n < 1 || n > DR_OP_MAX_IN) return bind_error(L, "a part takes 1 to %d tensors, got %d", DR_OP_MAX_IN, n);
    for (int i = 0; i < n; i++) in[i] = lua_isnil(L, i + 2) && i > 0 ? NULL : bind_check_tensor(L, i + 2);
    dr_scope_open();
    return bind_done(L, dr_call_with(m, in, n, NULL)); /* mode and streams are the network's */
}

static int part_weight(lua_State *L) /* weight(name): its own, or nil */
{
    dr_tensor *t = dr_child_weight(check_part(L, 1), luaL_checkstring(L, 2));
    bind_check(L);
    if (!t) return 0;
    bind_push_weight(L, t);
    return 1;
}

/* ---- builder -------------------------------------------------------------------------------------------------------- */
static dr_builder *check_builder(lua_State *L, const view **v)
{
    *v = check_whole_view(L, 1, "drift.builder");
    return (dr_builder *)(uintptr_t)(*v)->pointer;
}

/* A number, { uniform = bound } or { normal = deviation }; nothing: 0 */
static dr_init check_init(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index)) return DR_INIT_ZEROS;
    if (lua_type(L, index) == LUA_TNUMBER) return (dr_init){ DR_INIT_CONSTANT, lua_tonumber(L, index) };
    if (lua_istable(L, index)) {
        if (lua_getfield(L, index, "uniform") == LUA_TNUMBER) return (dr_init){ DR_INIT_UNIFORM, lua_tonumber(L, -1) };
        if (lua_getfield(L, index, "normal") == LUA_TNUMBER) return (dr_init){ DR_INIT_NORMAL, lua_tonumber(L, -1) };
    }
    bind_error(L, "a weight starts from a number, { uniform = bound } or { normal = deviation }");
    return DR_INIT_ZEROS;
}

static int push_declared(lua_State *L, dr_tensor *t)
{
    bind_check(L);
    bind_push_weight(L, t);
    return 1;
}

static int builder_weight(lua_State *L) /* weight(name, shape, init) */
{
    const view *v;
    dr_builder *b = check_builder(L, &v);
    int64_t shape[DR_MAX_RANK];
    const char *name = luaL_checkstring(L, 2);
    const int rank = bind_check_shape(L, 3, shape);
    return push_declared(L, dr_weight(b, name, rank, shape, check_init(L, 4)));
}

static int builder_buffer(lua_State *L) /* buffer(name, shape [, fill [, dtype]]) */
{
    const view *v;
    dr_builder *b = check_builder(L, &v);
    int64_t shape[DR_MAX_RANK];
    const char *name = luaL_checkstring(L, 2);
    const int rank = bind_check_shape(L, 3, shape);
    const double fill = luaL_optnumber(L, 4, 0.0);
    const dr_dtype dtype = bind_check_dtype(L, luaL_optstring(L, 5, "f32"));
    return push_declared(L, dr_buffer(b, name, dtype, rank, shape, fill));
}

static int builder_random_buffer(lua_State *L) /* random_buffer(name, shape, init) */
{
    const view *v;
    dr_builder *b = check_builder(L, &v);
    int64_t shape[DR_MAX_RANK];
    const char *name = luaL_checkstring(L, 2);
    const int rank = bind_check_shape(L, 3, shape);
    return push_declared(L, dr_random_buffer(b, name, rank, shape, check_init(L, 4)));
}

/* The block of a spec, drift.block.conv2d { ... }: its name, and its parameters, which `keeper` (pushed) owns. */
static const char *spec_block(lua_State *L, int spec, dr_args *args)
{
    lua_getiuservalue(L, spec, 1);
    lua_getfield(L, -1, "kind");
    if (strcmp(lua_tostring(L, -1), "block") != 0)
        bind_error(L, "only a block can be a child; this is a %s", lua_tostring(L, -1));
    lua_getfield(L, -2, "name");
    lua_getfield(L, -3, "given");
    const dr_component *c = bind_check_component(L, "block", lua_tostring(L, -2));
    *args = bind_args(L, c, lua_gettop(L));
    return c->name;
}

/* Another's would end before this network does, and with it what the child's parameters point to. */
static bool is_parameter_of(const definition *d, const void *self, const dr_instance *i)
{
    const dr_param *p;
    for (int k = 0; (p = dr_param_at(&d->component, k)); k++) {
        const void *at = (const char *)self + p->offset;
        if (p->type == DR_PARAM_COMPONENT && *(dr_instance *const *)at == i) return true;
        const dr_instances *list = p->type == DR_PARAM_COMPONENTS ? at : NULL;
        for (int64_t n = 0; list && n < list->n; n++) {
            if (list->v[n] == i) return true;
        }
    }
    return false;
}

static int
builder_child(lua_State *L) /* child(name, drift.block.NAME { ... }, or a component parameter of kind block) */
{
    const view *v;
    dr_builder *b = check_builder(L, &v);
    const char *name = luaL_checkstring(L, 2);
    dr_module *m = NULL;
    if (luaL_testudata(L, 3, "drift.spec")) {
        dr_args args;
        const char *block = spec_block(L, 3, &args);
        define_hold(L, v->d, v->self, lua_gettop(L)); /* functions of Lua among its parameters */
        dr_scope_open();
        m = dr_child(b, name, block, args);
        dr_scope_close();
    } else {
        dr_instance *i = bind_check_instance(L, 3, "block");
        if (!is_parameter_of(v->d, v->self, i))
            return bind_error(L, "child %s: a block that is built is a child of the one whose parameter it is", name);
        dr_scope_open();
        m = dr_child_from(b, name, i);
        dr_scope_close();
    }
    bind_check(L);
    part *p = lua_newuserdatauv(L, sizeof *p, 0);
    p->module = m;
    luaL_setmetatable(L, "drift.part");
    define_hold(L, v->d, v->self, lua_gettop(L));
    return 1;
}

/* ---- random streams ------------------------------------------------------------------------------------------------- */
void define_push_rng(lua_State *L, const dr_rng *rng)
{
    dr_rng *copy = lua_newuserdatauv(L, sizeof *copy, 0);
    *copy = *rng;
    luaL_setmetatable(L, "drift.stream");
}

/* The stream's draw number `index` (from 1) within the step: draws are independent. */
static dr_rng drawn(lua_State *L, int index)
{
    dr_rng rng = *(const dr_rng *)luaL_checkudata(L, 1, "drift.stream");
    const lua_Integer draw = luaL_optinteger(L, index, 1);
    if (draw < 1 || draw > 256) bind_error(L, "draw %lld is outside [1, 256]", (long long)draw);
    rng.step += (uint32_t)(draw - 1) << 24;
    return rng;
}

static int stream_noise(lua_State *L) /* noise_like(x [, draw]): normal; row i has a stream of its own */
{
    const dr_rng rng = drawn(L, 3);
    dr_tensor *x = bind_check_tensor(L, 2);
    dr_scope_open();
    return bind_done(L, dr_noise_like(x, &rng));
}

static int stream_rand(lua_State *L) /* rand_like(x [, draw]): uniform in [0,1) */
{
    const dr_rng rng = drawn(L, 3);
    const dr_view *v = dr_tensor_view(bind_check_tensor(L, 2));
    dr_scope_open();
    return bind_done(L, dr_rand_uniform((dr_dtype)v->dtype, v->rank, v->shape, &rng));
}

static int stream_uniform(lua_State *L) /* uniform([element [, draw]]): one number in [0,1) */
{
    const dr_rng rng = drawn(L, 3);
    const lua_Integer element = luaL_optinteger(L, 2, 0);
    if (element < 0 || element > UINT32_MAX)
        return bind_error(L, "element %lld is outside [0, 2^32)", (long long)element);
    lua_pushnumber(L, dr_rng_uniform(&rng, (uint32_t)element));
    return 1;
}

/* ---- context -------------------------------------------------------------------------------------------------------- */
static dr_ctx *check_context(lua_State *L) { return (dr_ctx *)(uintptr_t)define_check_view(L, 1, "drift.context"); }

static int context_training(lua_State *L)
{
    lua_pushboolean(L, dr_training(check_context(L)));
    return 1;
}

static int
context_input(lua_State *L) /* input(i): i = 1 is the second tensor that the block was called with; nil: none */
{
    dr_ctx *ctx = check_context(L);
    const lua_Integer i = luaL_checkinteger(L, 2);
    if (i < 1 || i > DR_OP_MAX_IN)
        return bind_error(L, "input %lld: further inputs count from 1; x is forward's argument", (long long)i);
    bind_push_borrowed(L, dr_input(ctx, (int)i));
    return 1;
}

static int context_rng(lua_State *L) /* rng(purpose) */
{
    dr_ctx *ctx = check_context(L);
    const dr_rng rng = dr_ctx_rng(ctx, luaL_checkstring(L, 2));
    define_push_rng(L, &rng);
    return 1;
}

typedef dr_tensor *site_fn(dr_ctx *ctx, int site, dr_tensor *h);

static int at_site(lua_State *L, site_fn *fn) /* (site, h): the block's own sites count from 1 */
{
    dr_ctx *ctx = check_context(L);
    const lua_Integer site = luaL_checkinteger(L, 2);
    if (site < 1 || site > DR_MAX_SITES)
        return bind_error(L, "site %lld is outside [1, %d]", (long long)site, DR_MAX_SITES);
    dr_tensor *h = bind_check_tensor(L, 3);
    dr_scope_open();
    return bind_done(L, fn(ctx, (int)site - 1, h));
}

static int context_modulate(lua_State *L) { return at_site(L, dr_modulate); }
static int context_gate(lua_State *L) { return at_site(L, dr_gate); }

static void add_class(lua_State *L, const char *type, const luaL_Reg *methods, lua_CFunction call)
{
    bind_class(L, type, methods, NULL);
    if (!call) return;
    luaL_getmetatable(L, type);
    lua_pushcfunction(L, call);
    lua_setfield(L, -2, "__call");
    lua_pop(L, 1);
}

void define_open_views(lua_State *L)
{
    static const luaL_Reg part_methods[] = { { "weight", part_weight }, { NULL, NULL } };
    static const luaL_Reg builder[] = { { "weight", builder_weight },
                                        { "buffer", builder_buffer },
                                        { "random_buffer", builder_random_buffer },
                                        { "child", builder_child },
                                        { NULL, NULL } };
    static const luaL_Reg stream[] = {
        { "noise_like", stream_noise }, { "rand_like", stream_rand }, { "uniform", stream_uniform }, { NULL, NULL }
    };
    static const luaL_Reg context[] = { { "training", context_training }, { "input", context_input },
                                        { "rng", context_rng },           { "modulate", context_modulate },
                                        { "gate", context_gate },         { NULL, NULL } };
    add_class(L, "drift.part", part_methods, part_call);
    add_class(L, "drift.builder", builder, NULL);
    add_class(L, "drift.stream", stream, NULL);
    add_class(L, "drift.context", context, NULL);
    define_open_model(L);
}
