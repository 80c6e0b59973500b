/* define_kinds.c: what a component of each kind has that is defined in Lua: its functions, as rows, and the few numbers
 * and names beside them (a sampler's order, an optimizer's states). */
#include "define.h"

#include <string.h>

/* ---- numbers and names ------------------------------------------------------------------------------------------- */
static void block_constants(lua_State *L, int table, definition *d)
{
    d->iface.block.example = define_text(bind_option_string(L, table, "example", NULL));
    if (lua_getfield(L, table, "example_args") == LUA_TTABLE) {
        d->iface.block.example_args = bind_args(L, &d->component, lua_gettop(L));
        define_push(L, d, "data"); /* what they point to: dies with the state, and so does the registration */
        lua_insert(L, -2);
        lua_setfield(L, -2, "example_args");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void sampler_constants(lua_State *L, int table, definition *d)
{
    d->iface.sampler.order = (int32_t)bind_option_integer(L, table, "order", 0);
    if (bind_option_bool(L, table, "row_by_row", false)) d->iface.sampler.flags |= DR_SAMPLER_ROW_BY_ROW;
}

static void filter_constants(lua_State *L, int table, definition *d)
{
    if (bind_option_bool(L, table, "keeps_constants", false)) d->iface.filter.flags |= DR_FILTER_KEEPS_CONSTANTS;
}

static void optim_constants(lua_State *L, int table, definition *d)
{
    dr_optimizer *o = &d->iface.optim;
    d->as_written = !bind_option_bool(L, table, "replay", false);
    if (lua_getfield(L, table, "slots") == LUA_TTABLE) {
        const lua_Integer n = luaL_len(L, -1);
        if (n > 4) bind_error(L, "optim %s: %lld slots; at most 4", d->component.name, (long long)n);
        for (lua_Integer i = 0; i < n; i++) {
            if (lua_geti(L, -1, i + 1) != LUA_TSTRING)
                bind_error(L, "optim %s: slots is a list of names, such as { \"exp_avg\" }", d->component.name);
            o->slot_name[i] = define_text(lua_tostring(L, -1));
            lua_pop(L, 1);
        }
        o->slots = (int32_t)n;
    }
    lua_pop(L, 1);
}

static int choice(lua_State *L, definition *d, const char *key, const char *text, const char *const *names)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], text) == 0) return i;
    }
    return bind_error(L, "%s %s: %s = \"%s\" is none that there is", d->kind->name, d->component.name, key, text);
}

/* space = "logits" | "features" | "pixels", references = { "train", "test" },
 * values = { { "name", low, high, better = "higher" | "lower" } } */
static void metric_constants(lua_State *L, int table, definition *d)
{
    static const char *const spaces[] = { "logits", "features", "pixels", NULL }, *const splits[] = { "train", "test", NULL },
                             *const better[] = { "lower", "neither", "higher", NULL };
    dr_metric *m = &d->iface.metric;
    m->space = choice(L, d, "space", bind_option_string(L, table, "space", "logits"), spaces);
    if (lua_getfield(L, table, "references") == LUA_TTABLE) {
        for (lua_Integer i = 1, n = luaL_len(L, -1); i <= n; i++) {
            lua_geti(L, -1, i);
            m->references |= 1 << choice(L, d, "references", luaL_checkstring(L, -1), splits);
            lua_pop(L, 1);
        }
    }
    const lua_Integer n = lua_getfield(L, table, "values") == LUA_TTABLE ? luaL_len(L, -1) : 0;
    if (n < 1 || n > DR_METRIC_VALUES)
        bind_error(L, "metric %s: values names 1 to %d numbers, such as { { \"accuracy\", 0, 1 } }", d->component.name,
                   DR_METRIC_VALUES);
    for (lua_Integer i = 0; i < n; i++) {
        if (lua_geti(L, -1, i + 1) != LUA_TTABLE || lua_rawgeti(L, -1, 1) != LUA_TSTRING)
            bind_error(L, "metric %s: values[%lld] is { \"name\" } or { \"name\", low, high }", d->component.name,
                       (long long)i + 1);
        m->value_name[i] = define_text(lua_tostring(L, -1));
        lua_rawgeti(L, -2, 2);
        lua_rawgeti(L, -3, 3);
        m->range[i][0] = lua_tonumber(L, -2);
        m->range[i][1] = lua_tonumber(L, -1);
        m->better[i] = choice(L, d, "better", bind_option_string(L, lua_gettop(L) - 3, "better", "neither"), better) - 1;
        lua_pop(L, 4);
    }
    m->values = (int32_t)n;
    lua_pop(L, 2);
}

/* ---- the kinds --------------------------------------------------------------------------------------------------- */
#define AT(type, name) #name, offsetof(type, name)

const define_kind define_kinds[] = {
    { "op", "op/1", sizeof(dr_op), 0,
      { { AT(dr_op, infer), NULL, false }, { AT(dr_op, compose), NULL, true }, { AT(dr_op, backward), NULL, false } },
      define_op_constants },
    { "block", "block/1", sizeof(dr_block), 0,
      { { AT(dr_block, create), "S(sB)", false }, { AT(dr_block, forward), "T(sxC)", true } }, block_constants },
    { "conditioning", "conditioning/1", sizeof(dr_conditioning), 0,
      { { AT(dr_conditioning, create), "S(sB)", false }, { AT(dr_conditioning, embed), "S(sCbE)", true },
        { AT(dr_conditioning, modulate), "T(sCnxe)", true }, { AT(dr_conditioning, gate), "T(sCnxe)", false } }, NULL },
    { "schedule", "schedule/1", sizeof(dr_schedule), 0, { { AT(dr_schedule, beta), "D(sii)", true } }, NULL },
    { "process", "process/1", sizeof(dr_process), 0,
      { { AT(dr_process, create), "S(s)", false }, { AT(dr_process, destroy), "v(s)", false },
        { AT(dr_process, draw_t), "D(sd)", true }, { AT(dr_process, coef), "v(sdk)", true },
        { AT(dr_process, range), "v(sr)", true }, { AT(dr_process, time), "D(sd)", false } }, NULL },
    { "time_sampling", "time_sampling/1", sizeof(dr_time_sampling), 0,
      { { AT(dr_time_sampling, draw), "D(sPd)", true } }, NULL },
    { "weighting", "weighting/1", sizeof(dr_weighting), 0, { { AT(dr_weighting, weight), "D(sK)", true } }, NULL },
    { "coupling", "coupling/1", sizeof(dr_coupling), DEFINE_AS_WRITTEN, { { AT(dr_coupling, pair), "S(sxxxo)", true } }, NULL },
    { "timesteps", "timesteps/1", sizeof(dr_timesteps), DEFINE_AS_WRITTEN, { { AT(dr_timesteps, lay), "S(sMig)", true } }, NULL },
    { "sampler", "sampler/1", sizeof(dr_sampler), DEFINE_AS_WRITTEN,
      { { AT(dr_sampler, grid), "S(sMig)", false }, { AT(dr_sampler, step), "T(sMxddR)", true } }, sampler_constants },
    { "guidance", "guidance/1", sizeof(dr_guidance), DEFINE_AS_WRITTEN, { { AT(dr_guidance, eval), "T(sMxdc)", true } }, NULL },
    { "clip", "clip/1", sizeof(dr_clip), 0,
      { { AT(dr_clip, create), "S(s)", false }, { AT(dr_clip, apply), "T(sx)", true } }, NULL },
    { "view", "view/1", sizeof(dr_image_view), 0,
      { { AT(dr_image_view, apply), "T(sx)", true }, { AT(dr_image_view, invert), "T(sx)", true },
        { AT(dr_image_view, invert_variance), "T(sx)", false }, { AT(dr_image_view, constant), "D(s)", false },
        { AT(dr_image_view, create), "S(s)", false }, { AT(dr_image_view, destroy), "v(s)", false } }, NULL },
    { "filter", "filter/1", sizeof(dr_filter), 0,
      { { AT(dr_filter, apply), "T(sx)", true }, { AT(dr_filter, create), "S(s)", false } }, filter_constants },
    { "optim", "optim/1", sizeof(dr_optimizer), 0, { { AT(dr_optimizer, step), "S(sO)", true } }, optim_constants },
    { "decay", "decay/1", sizeof(dr_decay), 0, { { AT(dr_decay, factor), "D(sdi)", true } }, NULL },
    { "ema", "ema/1", sizeof(dr_ema), 0, { { AT(dr_ema, decay), "D(si)", true } }, NULL },
    { "dataset", "dataset/1", sizeof(dr_dataset), DEFINE_AS_WRITTEN,
      { { AT(dr_dataset, open), "S(s)", false }, { AT(dr_dataset, close), "v(s)", false },
        { AT(dr_dataset, info), "S(sNf)", true }, { AT(dr_dataset, read), "S(sNim)", true },
        { AT(dr_dataset, class_name), "W(si)", false }, { AT(dr_dataset, noise), "S(sNiz)", false } }, NULL },
    { "metric", "metric/1", sizeof(dr_metric), DEFINE_AS_WRITTEN,
      { { AT(dr_metric, reset), "S(s)", true }, { AT(dr_metric, reference), "S(sxN)", false },
        { AT(dr_metric, update), "S(sxx)", true }, { AT(dr_metric, samples), "I(s)", true },
        { AT(dr_metric, evaluate), "S(sjV)", true }, { AT(dr_metric, destroy), "v(s)", false } }, metric_constants },
    { "tokenizer", "tokenizer/1", sizeof(dr_tokenizer), DEFINE_AS_WRITTEN,
      { { AT(dr_tokenizer, open), "S(s)", false }, { AT(dr_tokenizer, close), "v(s)", false },
        { AT(dr_tokenizer, info), "S(su)", true }, { AT(dr_tokenizer, encode), "A(stL)", true },
        { AT(dr_tokenizer, decode), "W(sJw)", true }, { AT(dr_tokenizer, normalize), "W(stw)", true } }, NULL },
};
const int define_kind_count = sizeof define_kinds / sizeof *define_kinds;
