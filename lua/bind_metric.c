/* bind_metric.c: metrics as scripts see them, and bootstrap intervals (core/metric.c). */
#include "bind.h"

#include <string.h>

static int metric_reset(lua_State *L)
{
    dr_metric_reset(bind_check_instance(L, 1, "metric"));
    bind_check(L);
    return 0;
}

static int metric_reference(lua_State *L) /* reference(real, "test" or "train") */
{
    static const char *const splits[] = { "train", "test", NULL };
    dr_instance *m = bind_check_instance(L, 1, "metric");
    dr_tensor *real = bind_check_tensor(L, 2);
    const int split = luaL_checkoption(L, 3, "test", splits);
    dr_scope_open();
    dr_metric_reference(m, real, split == 0 ? DR_TRAIN : DR_TEST);
    dr_scope_close();
    bind_check(L);
    return 0;
}

static int metric_update(lua_State *L) /* update(output, label) */
{
    dr_instance *m = bind_check_instance(L, 1, "metric");
    dr_tensor *label = lua_isnoneornil(L, 3) ? NULL : bind_check_tensor(L, 3);
    dr_tensor *output = bind_check_tensor(L, 2);
    dr_scope_open();
    dr_metric_update(m, output, label);
    dr_scope_close();
    bind_check(L);
    return 0;
}

static int metric_samples(lua_State *L)
{
    lua_pushinteger(L, dr_metric_samples(bind_check_instance(L, 1, "metric")));
    return 1;
}

static dr_resampling check_resampling(lua_State *L, int index) /* { resamples =, confidence =, seed = } or nothing */
{
    dr_resampling how = { .resamples = 200, .confidence = 0.95, .seed = bind_seed };
    if (lua_isnoneornil(L, index)) return how;
    luaL_checktype(L, index, LUA_TTABLE);
    how.resamples = bind_option_integer(L, index, "resamples", how.resamples);
    how.confidence = bind_option_number(L, index, "confidence", how.confidence);
    how.seed = (uint64_t)bind_option_integer(L, index, "seed", (int64_t)how.seed);
    return how;
}

static const char *direction(const dr_instance *m, int k) /* NULL: neither */
{
    const int better = dr_metric_better(m, k);
    return better > 0 ? "higher" : better < 0 ? "lower" : NULL;
}

static void push_value(lua_State *L, const dr_metric_value *v)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, v->name);
    lua_setfield(L, -2, "name");
    lua_pushnumber(L, v->value);
    lua_setfield(L, -2, "value");
    lua_pushnumber(L, v->low);
    lua_setfield(L, -2, "low");
    lua_pushnumber(L, v->high);
    lua_setfield(L, -2, "high");
}

static int metric_result(lua_State *L) /* result { resamples =, .. } -> { { name =, value =, better =, .. }, .. } */
{
    dr_instance *m = bind_check_instance(L, 1, "metric");
    const dr_resampling how = check_resampling(L, 2);
    dr_metric_value value[DR_METRIC_VALUES];
    dr_metric_result(m, &how, value);
    bind_check(L);
    lua_createtable(L, dr_metric_values(m), 0);
    for (int k = 0; k < dr_metric_values(m); k++) {
        push_value(L, &value[k]);
        lua_pushstring(L, direction(m, k)); /* nil: a lower value is as good as a higher one */
        lua_setfield(L, -2, "better");
        lua_rawseti(L, -2, k + 1);
    }
    return 1;
}

static int metric_needs(lua_State *L) /* needs() -> { space =, train =, test = } */
{
    static const char *const spaces[] = { "logits", "features", "pixels" };
    const dr_metric *api = bind_check_instance(L, 1, "metric")->iface;
    lua_createtable(L, 0, 3);
    lua_pushstring(L, spaces[api->space]);
    lua_setfield(L, -2, "space");
    lua_pushboolean(L, (api->references & DR_REFERENCE_TRAIN) != 0);
    lua_setfield(L, -2, "train");
    lua_pushboolean(L, (api->references & DR_REFERENCE_TEST) != 0);
    lua_setfield(L, -2, "test");
    return 1;
}

static int core_bootstrap(lua_State *L) /* bootstrap(list, { resamples =, confidence =, seed = }) -> { value =, .. } */
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const int64_t n = luaL_len(L, 1);
    const dr_resampling how = check_resampling(L, 2);
    double *x = lua_newuserdatauv(L, (size_t)(n > 0 ? n : 1) * sizeof *x, 0);
    for (int64_t i = 0; i < n; i++) {
        if (lua_geti(L, 1, i + 1) != LUA_TNUMBER)
            return bind_error(L, "bootstrap: element %lld is a %s", (long long)i + 1, bind_typename(L, -1));
        x[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    dr_metric_value v;
    dr_bootstrap_mean(x, n, &how, &v);
    bind_check(L);
    push_value(L, &v);
    return 1;
}

void bind_open_metric(lua_State *L)
{
    static const luaL_Reg metric[] = {
        { "reset", metric_reset },
        { "reference", metric_reference },
        { "update", metric_update },
        { "samples", metric_samples },
        { "result", metric_result },
        { "needs", metric_needs },
        { NULL, NULL },
    };
    bind_instance_methods(L, "metric", metric);
    lua_pushcfunction(L, core_bootstrap);
    lua_setfield(L, -2, "bootstrap");
}
