/* define_model.c: the model that a sampler, a guidance or timesteps written in Lua is lent: estimates, coefficients,
 * conditions, what it remembers; and the process of a distribution of times. Names as in the C API (drift/api.def). */
#include "define.h"

/* ---- model ---------------------------------------------------------------------------------------------------------- */
static dr_model *check_model(lua_State *L)
{
    return (dr_model *)(uintptr_t)define_check_view(L, 1, "drift.inner_model");
}

static const dr_cond *option_condition(lua_State *L, int index) /* NULL: the model's own */
{
    if (lua_isnoneornil(L, index)) return NULL;
    return define_check_view(L, index, "drift.condition");
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
    const struct {
        const char *name;
        double value;
    } field[] = {
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

static const dr_instance *check_process(lua_State *L) { return define_check_view(L, 1, "drift.inner_process"); }

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
static int check_int(lua_State *L, int index) /* a count or a number from 1; no model has so many of anything */
{
    const lua_Integer i = luaL_checkinteger(L, index);
    luaL_argcheck(L, i >= 0 && i < INT32_MAX, index, "it counts from 1");
    return (int)i;
}

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
    return push_condition(L, dr_cond_at(f, check_int(L, 2) - 1));
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
    return push_condition(L, dr_cond_part(f, c, check_int(L, 3) - 1, check_int(L, 4)));
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

typedef struct image_map {
    lua_State *L;
    int function;
    bool failed;
} image_map;

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
        lua_pushfstring(m->L, "cond_map_image: the function must return an image or nil, got a %s",
                        bind_typename(m->L, -1));
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

void define_open_model(lua_State *L)
{
    static const luaL_Reg model[] = {
        { "eval", model_eval },
        { "eval_x0", model_eval_x0 },
        { "eval_eps", model_eval_eps },
        { "predict", model_predict },
        { "predict_pair", model_predict_pair },
        { "predict_by", model_predict_by },
        { "x0_to_eps", model_x0_to_eps },
        { "singular", model_singular },
        { "coef", model_coef },
        { "range", model_range },
        { "process", model_process },
        { "recall", model_recall },
        { "remember", model_remember },
        { "variance", model_variance },
        { "set_variance", model_set_variance },
        { "step", model_step },
        { "cond_null", model_cond_null },
        { "cond_count", model_cond_count },
        { "cond_at", model_cond_at },
        { "cond_size", model_cond_size },
        { "cond_part", model_cond_part },
        { "cond_image", model_cond_image },
        { "cond_with_image", model_cond_with_image },
        { "cond_map_image", model_cond_map_image },
        { NULL, NULL },
    };
    static const luaL_Reg process[] = { { "coef", process_coef },
                                        { "range", process_range },
                                        { "time", process_time },
                                        { "draw_t", process_draw_t },
                                        { NULL, NULL } };
    bind_class(L, "drift.inner_model", model, NULL);
    bind_class(L, "drift.inner_process", process, NULL);
    bind_class(L, "drift.condition", NULL, NULL);
}
