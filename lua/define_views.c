/* define_views.c: what a component's Lua functions see of the core: the builder of a block's create, the context of a
 * forward, a sampler's or guidance's model and conditions, random streams, the parts that a block has built, and
 * components that are another's parameters. A view is good during the call that it was made for; used later it is an
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

static const view *check_view(lua_State *L, int index, const char *type)
{
    const view *v = luaL_checkudata(L, index, type);
    if (v->depth >= depth || alive[v->depth] != v->call)
        bind_error(L, "this %s belonged to a call that has ended: it cannot be kept", type + 6);
    return v;
}

/* ---- handles that end with an instance ----------------------------------------------------------------------------- */
typedef struct part { dr_module *module; } part;

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
    if (p) p->module = NULL;
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
    *v = check_view(L, 1, "drift.builder");
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

static int builder_child(lua_State *L) /* child(name, drift.block.NAME { ... }, or a component parameter of kind block) */
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
    if (element < 0 || element > UINT32_MAX) return bind_error(L, "element %lld is outside [0, 2^32)", (long long)element);
    lua_pushnumber(L, dr_rng_uniform(&rng, (uint32_t)element));
    return 1;
}

/* ---- context -------------------------------------------------------------------------------------------------------- */
static dr_ctx *check_context(lua_State *L)
{
    return (dr_ctx *)(uintptr_t)check_view(L, 1, "drift.context")->pointer;
}

static int context_training(lua_State *L)
{
    lua_pushboolean(L, dr_training(check_context(L)));
    return 1;
}

static int context_input(lua_State *L) /* input(i): i = 1 is the second tensor that the block was called with; nil: none */
{
    dr_ctx *ctx = check_context(L);
    const lua_Integer i = luaL_checkinteger(L, 2);
    if (i < 1 || i > DR_OP_MAX_IN) return bind_error(L, "input %lld: further inputs count from 1; x is forward's argument", (long long)i);
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
    if (site < 1 || site > DR_MAX_SITES) return bind_error(L, "site %lld is outside [1, %d]", (long long)site, DR_MAX_SITES);
    dr_tensor *h = bind_check_tensor(L, 3);
    dr_scope_open();
    return bind_done(L, fn(ctx, (int)site - 1, h));
}

static int context_modulate(lua_State *L) { return at_site(L, dr_modulate); }
static int context_gate(lua_State *L) { return at_site(L, dr_gate); }

/* ---- model ---------------------------------------------------------------------------------------------------------- */
static dr_model *check_model(lua_State *L)
{
    return (dr_model *)(uintptr_t)check_view(L, 1, "drift.inner_model")->pointer;
}

static const dr_cond *option_condition(lua_State *L, int index) /* NULL: the model's own */
{
    if (lua_isnoneornil(L, index)) return NULL;
    return check_view(L, index, "drift.condition")->pointer;
}

static int push_condition(lua_State *L, const dr_cond *c)
{
    bind_check(L);
    define_push_view(L, "drift.condition", c);
    return 1;
}

typedef dr_tensor *estimate_fn(dr_model *f, dr_tensor *x, double t);

static int push_estimate(lua_State *L, estimate_fn *fn)
{
    dr_model *f = check_model(L);
    dr_tensor *x = bind_check_tensor(L, 2);
    const double t = luaL_checknumber(L, 3);
    dr_scope_open();
    return bind_done(L, fn(f, x, t));
}

static int model_eval(lua_State *L) { return push_estimate(L, dr_eval); }
static int model_eval_x0(lua_State *L) { return push_estimate(L, dr_eval_x0); }
static int model_eval_eps(lua_State *L) { return push_estimate(L, dr_eval_eps); }

static int model_predict(lua_State *L) /* predict(x, t [, cond]) */
{
    dr_model *f = check_model(L);
    dr_tensor *x = bind_check_tensor(L, 2);
    const double t = luaL_checknumber(L, 3);
    const dr_cond *c = option_condition(L, 4);
    dr_scope_open();
    return bind_done(L, dr_predict(f, x, t, c));
}

static int model_predict_pair(lua_State *L) /* predict_pair(x, t [, cond]) -> conditional, unconditional */
{
    dr_model *f = check_model(L);
    dr_tensor *x = bind_check_tensor(L, 2), *without = NULL;
    const double t = luaL_checknumber(L, 3);
    const dr_cond *c = option_condition(L, 4);
    dr_scope_open();
    dr_tensor *with = dr_predict_pair(f, x, t, c, &without);
    const bool good = !dr_failed();
    if (good) dr_retain(with), dr_retain(without);
    dr_scope_close();
    bind_check(L);
    bind_push_owned(L, with);
    bind_push_owned(L, without);
    return 2;
}

static int model_predict_by(lua_State *L) /* predict_by(network, x, t [, cond]) */
{
    dr_model *f = check_model(L);
    const char *network = luaL_checkstring(L, 2);
    dr_tensor *x = bind_check_tensor(L, 3);
    const double t = luaL_checknumber(L, 4);
    const dr_cond *c = option_condition(L, 5);
    dr_scope_open();
    return bind_done(L, dr_predict_by(f, network, x, t, c));
}

static int model_x0_to_eps(lua_State *L) /* x0_to_eps(x, x0, t) */
{
    dr_model *f = check_model(L);
    dr_tensor *x = bind_check_tensor(L, 2), *x0 = bind_check_tensor(L, 3);
    const double t = luaL_checknumber(L, 4);
    dr_scope_open();
    return bind_done(L, dr_x0_to_eps(f, x, x0, t));
}

static int model_singular(lua_State *L)
{
    const bool singular = dr_singular(check_model(L), luaL_checknumber(L, 2));
    bind_check(L);
    lua_pushboolean(L, singular);
    return 1;
}

void define_push_coef(lua_State *L, const dr_coef *c)
{
    const struct { const char *name; double value; } field[] = {
        { "alpha", c->alpha }, { "sigma", c->sigma }, { "dalpha", c->dalpha }, { "dsigma", c->dsigma }, { "p", c->p },
        { "q", c->q },         { "c_in", c->c_in },   { "time", c->time },     { "weight", c->weight },
    };
    lua_createtable(L, 0, 9);
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        lua_pushnumber(L, field[i].value);
        lua_setfield(L, -2, field[i].name);
    }
}

static int model_coef(lua_State *L)
{
    dr_coef c;
    dr_model_coef(check_model(L), luaL_checknumber(L, 2), &c);
    bind_check(L);
    define_push_coef(L, &c);
    return 1;
}

static int model_range(lua_State *L) /* t_noise, t_data, steps */
{
    double t_noise, t_data;
    int64_t steps;
    dr_model_range(check_model(L), &t_noise, &t_data, &steps);
    bind_check(L);
    lua_pushnumber(L, t_noise);
    lua_pushnumber(L, t_data);
    lua_pushinteger(L, steps);
    return 3;
}

static int model_process(lua_State *L)
{
    define_push_view(L, "drift.inner_process", dr_model_process(check_model(L)));
    return 1;
}

static const dr_instance *check_process(lua_State *L) { return check_view(L, 1, "drift.inner_process")->pointer; }

static int process_coef(lua_State *L)
{
    dr_coef c;
    dr_process_coef(check_process(L), luaL_checknumber(L, 2), &c);
    bind_check(L);
    define_push_coef(L, &c);
    return 1;
}

static int process_range(lua_State *L) /* t_noise, t_data, steps */
{
    double t_noise, t_data;
    int64_t steps;
    dr_process_range(check_process(L), &t_noise, &t_data, &steps);
    bind_check(L);
    lua_pushnumber(L, t_noise);
    lua_pushnumber(L, t_data);
    lua_pushinteger(L, steps);
    return 3;
}

static int process_time(lua_State *L) /* time(noise_to_signal): the t where sigma/alpha is that */
{
    const double t = dr_process_time(check_process(L), luaL_checknumber(L, 2));
    bind_check(L);
    lua_pushnumber(L, t);
    return 1;
}

static int process_draw_t(lua_State *L) /* draw_t(u): the process's own training time */
{
    const double t = dr_process_draw_t(check_process(L), luaL_checknumber(L, 2));
    bind_check(L);
    lua_pushnumber(L, t);
    return 1;
}

static int model_recall(lua_State *L)
{
    bind_push_borrowed(L, dr_recall(check_model(L), luaL_checkstring(L, 2)));
    return 1;
}

static int model_remember(lua_State *L) /* remember(name, t) */
{
    dr_remember(check_model(L), luaL_checkstring(L, 2), bind_check_tensor(L, 3));
    bind_check(L);
    return 0;
}

static int model_variance(lua_State *L)
{
    dr_model *f = check_model(L);
    dr_scope_open();
    bind_push_borrowed(L, dr_variance(f));
    dr_scope_close();
    return 1;
}

static int model_set_variance(lua_State *L) /* set_variance(v or nil) */
{
    dr_set_variance(check_model(L), lua_isnoneornil(L, 2) ? NULL : bind_check_tensor(L, 2));
    bind_check(L);
    return 0;
}

static int model_step(lua_State *L)
{
    lua_pushinteger(L, dr_step(check_model(L)));
    return 1;
}

/* ---- conditions ----------------------------------------------------------------------------------------------------- */
static int model_cond_null(lua_State *L) /* cond_null([cond]) */
{
    dr_model *f = check_model(L);
    const dr_cond *c = option_condition(L, 2);
    return push_condition(L, c ? dr_cond_null_of(f, c) : dr_cond_null(f));
}

static int model_cond_count(lua_State *L)
{
    lua_pushinteger(L, dr_cond_count(check_model(L)));
    return 1;
}

static int model_cond_at(lua_State *L) /* cond_at(i): i from 1 */
{
    dr_model *f = check_model(L);
    return push_condition(L, dr_cond_at(f, (int)luaL_checkinteger(L, 2) - 1));
}

static int model_cond_size(lua_State *L) /* cond_size(cond): the conditions that it stands for */
{
    check_model(L);
    lua_pushinteger(L, dr_cond_size(option_condition(L, 2)));
    return 1;
}

static int model_cond_part(lua_State *L) /* cond_part(cond, i, n): i from 1 */
{
    dr_model *f = check_model(L);
    const dr_cond *c = option_condition(L, 2);
    return push_condition(L, dr_cond_part(f, c, (int)luaL_checkinteger(L, 3) - 1, (int)luaL_checkinteger(L, 4)));
}

static int model_cond_image(lua_State *L) /* cond_image(cond) -> tensor or nil */
{
    dr_model *f = check_model(L);
    const dr_cond *c = option_condition(L, 2);
    bind_push_borrowed(L, dr_cond_image(c ? c : dr_cond_at(f, 0)));
    bind_check(L);
    return 1;
}

static int model_cond_with_image(lua_State *L) /* cond_with_image(cond, image) */
{
    dr_model *f = check_model(L);
    const dr_cond *c = option_condition(L, 2);
    dr_tensor *image = bind_check_tensor(L, 3);
    return push_condition(L, dr_cond_with_image(f, c ? c : dr_cond_at(f, 0), image));
}

typedef struct image_map { lua_State *L; int function; bool failed; } image_map;

/* The core calls this within dr_cond_map_image. An error stays on Lua's stack. */
static dr_tensor *map_image(void *ctx, dr_tensor *image)
{
    image_map *m = ctx;
    if (m->failed || dr_failed() || !lua_checkstack(m->L, 8)) return NULL;
    lua_pushvalue(m->L, m->function);
    bind_push_borrowed(m->L, image);
    if (lua_pcall(m->L, 1, 1, 0) == LUA_OK) {
        const bind_tensor *h = bind_test_handle(m->L, -1);
        dr_tensor *t = h && h->tensor ? define_for_caller(dr_retain(h->tensor)) : NULL;
        const bool good = t || lua_isnil(m->L, -1);
        if (good) {
            lua_pop(m->L, 1);
            return t;
        }
        lua_pushfstring(m->L, "cond_map_image: the function must return an image or nil, got a %s", bind_typename(m->L, -1));
    }
    m->failed = true;
    dr_fail(DR_EINVAL, "the script's function failed");
    return NULL;
}

static int model_cond_map_image(lua_State *L) /* cond_map_image(cond, function(image or nil) return image or nil end) */
{
    dr_model *f = check_model(L);
    const dr_cond *c = option_condition(L, 2);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    image_map m = { L, 3, false };
    const dr_cond *mapped = dr_cond_map_image(f, c, map_image, &m);
    if (!m.failed) return push_condition(L, mapped);
    dr_error_clear();
    return lua_error(L);
}

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
    static const luaL_Reg model[] = {
        { "eval", model_eval },           { "eval_x0", model_eval_x0 },         { "eval_eps", model_eval_eps },
        { "predict", model_predict },     { "predict_pair", model_predict_pair }, { "predict_by", model_predict_by },
        { "x0_to_eps", model_x0_to_eps }, { "singular", model_singular },       { "coef", model_coef },
        { "range", model_range },         { "process", model_process },         { "recall", model_recall },
        { "remember", model_remember },   { "variance", model_variance },       { "set_variance", model_set_variance },
        { "step", model_step },           { "cond_null", model_cond_null },     { "cond_count", model_cond_count },
        { "cond_at", model_cond_at },     { "cond_size", model_cond_size },     { "cond_part", model_cond_part },
        { "cond_image", model_cond_image }, { "cond_with_image", model_cond_with_image },
        { "cond_map_image", model_cond_map_image }, { NULL, NULL },
    };
    static const luaL_Reg process[] = { { "coef", process_coef }, { "range", process_range }, { "time", process_time },
                                        { "draw_t", process_draw_t }, { NULL, NULL } };
    add_class(L, "drift.inner_process", process, NULL);
    add_class(L, "drift.part", part_methods, part_call);
    add_class(L, "drift.builder", builder, NULL);
    add_class(L, "drift.stream", stream, NULL);
    add_class(L, "drift.context", context, NULL);
    add_class(L, "drift.inner_model", model, NULL);
    add_class(L, "drift.condition", NULL, NULL);
}
