/* bind_data.c: data sets and their loaders. data.train and data.test are splits: #split samples, split[i] an image
 * [1,C,H,W] in [0,1], counted from 1. A loader's order is a function of (seed, epoch) alone. */
#include "bind.h"

#include <string.h>

enum { OWNER = 1 }; /* user value: the data set's instance */

typedef struct split {
    dr_instance *dataset;
    dr_split which;
    dr_dataset_info info;
} split;

static const dr_dataset *api_of(const dr_instance *dataset) { return dataset->iface; }

/* ---- splits ------------------------------------------------------------------------------------------------------ */
static int push_split(lua_State *L, dr_split which) /* data.train */
{
    dr_instance *dataset = bind_check_instance(L, 1, "dataset");
    split *s = lua_newuserdatauv(L, sizeof *s, 1);
    *s = (split){ .dataset = dataset, .which = which };
    luaL_setmetatable(L, "drift.split");
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, OWNER);
    dr_dataset_lock();
    const dr_status status = api_of(dataset)->info(dataset->self, which, &s->info);
    dr_dataset_unlock();
    if (status != DR_OK)
        dr_fail(DR_ENOTFOUND, "dataset %s has no such split", dataset->component->name);
    bind_check(L);
    return 1;
}

static int dataset_train(lua_State *L) { return push_split(L, DR_TRAIN); }

static int dataset_test(lua_State *L) { return push_split(L, DR_TEST); }

static split *check_split(lua_State *L) { return luaL_checkudata(L, 1, "drift.split"); }

static int64_t check_sample(lua_State *L, const split *s, int index)
{
    const lua_Integer i = luaL_checkinteger(L, index);
    if (i < 1 || i > s->info.n) bind_error(L, "sample %lld is outside [1, %lld]", (long long)i, (long long)s->info.n);
    return i - 1;
}

static void read_sample(lua_State *L, const split *s, int64_t i, float *image, int32_t *label)
{
    dr_dataset_lock();
    api_of(s->dataset)->read(s->dataset->self, s->which, i, image, label);
    dr_dataset_unlock();
    bind_check(L);
}

static float *image_room(lua_State *L, const split *s, int64_t n, int64_t shape[4])
{
    const int64_t wanted[4] = { n, s->info.channels, s->info.height, s->info.width };
    size_t bytes;
    memcpy(shape, wanted, sizeof wanted);
    if (!dr_checked_size("images", DR_F32, 4, shape, NULL, &bytes)) bind_check(L);
    return lua_newuserdatauv(L, bytes > 0 ? bytes : 1, 0);
}

static int push_images(lua_State *L, const int64_t shape[4], const float *image)
{
    dr_scope_open();
    dr_tensor *t = dr_tensor_from(DR_F32, 4, shape, image);
    return bind_done(L, dr_contiguous(t, DR_LAYOUT_CL));
}

static int split_batch(lua_State *L) /* batch { 1, 2, 5 } -> images, labels (nil where there are none) */
{
    const split *s = check_split(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    const int64_t n = luaL_len(L, 2);
    int64_t shape[4];
    float *image = image_room(L, s, n, shape);
    int32_t *label = lua_newuserdatauv(L, (size_t)(n > 0 ? n : 1) * sizeof *label, 0);
    const int64_t pixels = shape[1] * shape[2] * shape[3];
    for (int64_t i = 0; i < n; i++) {
        lua_geti(L, 2, i + 1);
        read_sample(L, s, check_sample(L, s, lua_gettop(L)), image + i * pixels, &label[i]);
        lua_pop(L, 1);
    }
    push_images(L, shape, image);
    if (s->info.classes == 0) return 1;
    dr_scope_open();
    return 1 + bind_done(L, dr_tensor_from(DR_I32, 1, &n, label));
}

static int split_image(lua_State *L)
{
    const split *s = check_split(L);
    const lua_Integer i = luaL_checkinteger(L, 2);
    if (i == s->info.n + 1) { /* where ipairs stops */
        lua_pushnil(L);
        return 1;
    }
    int64_t shape[4];
    int32_t label = 0;
    const int64_t index = check_sample(L, s, 2);
    float *image = image_room(L, s, 1, shape);
    read_sample(L, s, index, image, &label);
    return push_images(L, shape, image);
}

static int split_label(lua_State *L)
{
    const split *s = check_split(L);
    int64_t shape[4];
    int32_t label = 0;
    const int64_t index = check_sample(L, s, 2);
    if (s->info.classes == 0) return 0;
    read_sample(L, s, index, image_room(L, s, 1, shape), &label);
    lua_pushinteger(L, label);
    return 1;
}

static int split_noise(lua_State *L) /* noise(i) -> [1,C,H,W]: what image i was made from; nil where there is none */
{
    const split *s = check_split(L);
    const dr_dataset *api = api_of(s->dataset);
    const int64_t index = check_sample(L, s, 2);
    if (!api->noise) return 0;
    int64_t shape[4];
    float *noise = image_room(L, s, 1, shape);
    dr_dataset_lock();
    api->noise(s->dataset->self, s->which, index, noise);
    dr_dataset_unlock();
    bind_check(L);
    return push_images(L, shape, noise);
}

static int split_class_name(lua_State *L) /* class_name(label): label from 0 */
{
    const split *s = check_split(L);
    const lua_Integer label = luaL_checkinteger(L, 2);
    if (label < 0 || label >= s->info.classes)
        return bind_error(L, "label %lld is outside [0, %lld)", (long long)label, (long long)s->info.classes);
    const dr_dataset *api = api_of(s->dataset);
    const char *name = api->class_name ? api->class_name(s->dataset->self, label) : NULL;
    bind_check(L);
    if (name) {
        lua_pushstring(L, name);
    } else {
        lua_pushfstring(L, "%I", label);
    }
    return 1;
}

/* Asked for each time: the text of its source is the data set's, whose plugin may have been reloaded. */
static int push_info(lua_State *L, split *s)
{
    dr_dataset_lock();
    const dr_status status = api_of(s->dataset)->info(s->dataset->self, s->which, &s->info);
    dr_dataset_unlock();
    if (status != DR_OK) dr_fail(DR_ENOTFOUND, "dataset %s has no such split", s->dataset->component->name);
    bind_check(L);
    const struct {
        const char *name;
        int64_t value;
    } number[] = {
        { "n", s->info.n },         { "channels", s->info.channels }, { "height", s->info.height },
        { "width", s->info.width }, { "classes", s->info.classes },
    };
    lua_createtable(L, 0, 7);
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        lua_pushinteger(L, number[i].value);
        lua_setfield(L, -2, number[i].name);
    }
    lua_pushstring(L, s->info.source);
    lua_setfield(L, -2, "source");
    char hex[65] = "";
    bool known = false;
    for (int i = 0; i < 32; i++) {
        snprintf(hex + 2 * i, 3, "%02x", s->info.sha256[i]);
        known = known || s->info.sha256[i] != 0;
    }
    lua_pushstring(L, known ? hex : NULL);
    lua_setfield(L, -2, "sha256");
    return 1;
}

/* upvalue 1: the methods */
static int split_index(lua_State *L)
{
    split *s = check_split(L);
    if (lua_type(L, 2) == LUA_TNUMBER) return split_image(L);
    if (strcmp(luaL_checkstring(L, 2), "info") == 0) return push_info(L, s);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL)
        return bind_error(L, "a split of a data set has no \"%s\"", lua_tostring(L, 2));
    return 1;
}

static int split_len(lua_State *L)
{
    lua_pushinteger(L, check_split(L)->info.n);
    return 1;
}

/* ---- loaders ----------------------------------------------------------------------------------------------------- */
static int dataset_loader(lua_State *L) /* loader { split =, batch =, seed =, shuffle =, drop_last =, limit = } */
{
    dr_instance *dataset = bind_check_instance(L, 1, "dataset");
    lua_settop(L, 2);
    const char *which = bind_option_string(L, 2, "split", "train");
    if (strcmp(which, "train") != 0 && strcmp(which, "test") != 0)
        return bind_error(L, "split = \"%s\" is not \"train\" or \"test\"", which);
    const int64_t batch = bind_option_integer(L, 2, "batch", 0);
    if (batch < 1) return bind_error(L, "a loader needs batch = the number of images in a batch");
    const bool shuffle = bind_option_bool(L, 2, "shuffle", true), drop_last = bind_option_bool(L, 2, "drop_last", true);
    const uint64_t seed = (uint64_t)bind_option_integer(L, 2, "seed", (int64_t)bind_seed);
    const int64_t limit = bind_option_integer(L, 2, "limit", 0);
    dr_loader **l = lua_newuserdatauv(L, sizeof(dr_loader *), 1);
    *l = NULL;
    luaL_setmetatable(L, "drift.loader");
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, OWNER);
    *l =
        dr_loader_new(dataset, strcmp(which, "test") == 0 ? DR_TEST : DR_TRAIN, batch, shuffle, drop_last, seed, limit);
    bind_check(L);
    return 1;
}

static dr_loader *check_loader(lua_State *L, int index)
{
    dr_loader **l = luaL_checkudata(L, index, "drift.loader");
    return *l;
}

static int loader_gc(lua_State *L)
{
    dr_loader **l = luaL_checkudata(L, 1, "drift.loader");
    dr_loader_free(*l);
    *l = NULL;
    return 0;
}

static int loader_batches(lua_State *L)
{
    lua_pushinteger(L, dr_loader_batches(check_loader(L, 1)));
    return 1;
}

static int loader_samples(lua_State *L)
{
    lua_pushinteger(L, dr_loader_samples(check_loader(L, 1)));
    return 1;
}

static int push_batch(lua_State *L, dr_loader *l, int64_t epoch, int64_t i) /* both from 1 */
{
    dr_batch b;
    dr_scope_open();
    dr_loader_read(l, epoch - 1, i - 1, &b);
    if (!dr_failed()) {
        dr_retain(b.image);
        dr_retain(b.label);
        dr_retain(b.noise);
    }
    dr_scope_close();
    bind_check(L);
    lua_createtable(L, 0, 5);
    bind_push_owned(L, b.image);
    lua_setfield(L, -2, "image");
    bind_push_owned(L, b.label);
    lua_setfield(L, -2, "label");
    bind_push_owned(L, b.noise);
    lua_setfield(L, -2, "noise");
    lua_pushinteger(L, b.size);
    lua_setfield(L, -2, "size");
    lua_pushinteger(L, b.first);
    lua_setfield(L, -2, "first");
    return 1;
}

static int loader_read(lua_State *L) /* read(epoch, i) */
{
    return push_batch(L, check_loader(L, 1), luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
}

static int next_batch(lua_State *L) /* upvalues: loader, epoch; (state, i) -> i + 1, batch */
{
    dr_loader *l = check_loader(L, lua_upvalueindex(1));
    const lua_Integer i = luaL_checkinteger(L, 2) + 1;
    if (i > dr_loader_batches(l)) return 0;
    lua_pushinteger(L, i);
    return 1 + push_batch(L, l, lua_tointeger(L, lua_upvalueindex(2)), i);
}

static int loader_epoch(lua_State *L) /* for i, batch in loader:epoch(e) do */
{
    check_loader(L, 1);
    luaL_checkinteger(L, 2);
    lua_settop(L, 2);
    lua_pushcclosure(L, next_batch, 2);
    lua_pushnil(L);
    lua_pushinteger(L, 0);
    return 3;
}

void bind_open_data(lua_State *L)
{
    static const luaL_Reg dataset[] = {
        { "train", dataset_train }, { "test", dataset_test }, { "loader", dataset_loader }, { NULL, NULL }
    };
    static const luaL_Reg split_methods[] = {
        { "batch", split_batch }, { "label", split_label }, { "noise", split_noise },
        { "class_name", split_class_name }, { NULL, NULL }
    };
    static const luaL_Reg loader[] = {
        { "batches", loader_batches },
        { "samples", loader_samples },
        { "read", loader_read },
        { "epoch", loader_epoch },
        { NULL, NULL },
    };
    bind_instance_methods(L, "dataset", dataset);
    bind_class(L, "drift.loader", loader, loader_gc);
    bind_class(L, "drift.split", split_methods, NULL);
    luaL_getmetatable(L, "drift.split");
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, split_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, split_len);
    lua_setfield(L, -2, "__len");
    lua_pop(L, 1);
}
