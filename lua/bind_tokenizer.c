/* bind_tokenizer.c: tokenizers as scripts see them: text -> ids, alone or as a text encoder wants them (cut, eos,
 * padded), and back. */
#include "bind.h"

#include <string.h>

typedef struct vocabulary {
    const dr_tokenizer *api;
    void *self;
    dr_tokenizer_info info;
} vocabulary;

static vocabulary check_vocabulary(lua_State *L)
{
    const dr_instance *i = bind_check_instance(L, 1, "tokenizer");
    vocabulary v = { .api = i->iface, .self = i->self, .info = { .pad = -1, .eos = -1, .unk = -1 } };
    v.api->info(v.self, &v.info);
    bind_check(L);
    return v;
}

/* n ids, then `eos` where it is not -1, then as many `pad` as make it `length` */
static void push_ids(lua_State *L, const int32_t *ids, int64_t n, int64_t eos, int64_t pad, int64_t length)
{
    const int64_t end = eos < 0 ? n : n + 1;
    lua_createtable(L, (int)(length > end ? length : end), 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushinteger(L, ids[i]);
        lua_rawseti(L, -2, i + 1);
    }
    for (int64_t i = n; i < end || i < length; i++) {
        lua_pushinteger(L, i < end ? eos : pad);
        lua_rawseti(L, -2, i + 1);
    }
}

static void push_mask(lua_State *L, int64_t ones, int64_t length)
{
    lua_createtable(L, (int)length, 0);
    for (int64_t i = 0; i < length; i++) {
        lua_pushinteger(L, i < ones);
        lua_rawseti(L, -2, i + 1);
    }
}

static int tokenizer_encode(lua_State *L) /* encode(text [, { length = }]): ids, or ids and mask of that length */
{
    const vocabulary v = check_vocabulary(L);
    size_t bytes;
    const char *text = luaL_checklstring(L, 2, &bytes);
    const int64_t length = bind_option_integer(L, 3, "length", 0);
    int64_t n = 0;
    if (length < 0 || length > 1 << 20)
        return bind_error(L, "length = %lld is outside [1, %d]", (long long)length, 1 << 20);
    if (length > 0 && (v.info.eos < 0 || v.info.pad < 0))
        return bind_error(L, "this vocabulary has no piece for %s, so that a text cannot be of a given length",
                          v.info.eos < 0 ? "the end (eos)" : "padding (pad)");
    const int32_t *ids = v.api->encode(v.self, text, bytes, &n);
    bind_check(L);
    if (length == 0) {
        push_ids(L, ids, n, -1, -1, 0);
        return 1;
    }
    if (n > length - 1) n = length - 1;
    push_ids(L, ids, n, v.info.eos, v.info.pad, length);
    push_mask(L, n + 1, length);
    return 2;
}

static int tokenizer_decode(lua_State *L) /* decode(ids) -> text */
{
    const vocabulary v = check_vocabulary(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    const int64_t n = luaL_len(L, 2);
    int32_t *ids = lua_newuserdatauv(L, (size_t)(n > 0 ? n : 1) * sizeof *ids, 0);
    for (int64_t i = 0; i < n; i++) {
        int whole;
        lua_geti(L, 2, i + 1);
        const int64_t id = lua_tointegerx(L, -1, &whole);
        lua_pop(L, 1);
        if (!whole || id < 0 || id >= v.info.pieces)
            return bind_error(L, "id %lld of the list is no whole number in [0, %lld]", (long long)i + 1,
                              (long long)v.info.pieces - 1);
        ids[i] = (int32_t)id;
    }
    size_t bytes = 0;
    const char *text = v.api->decode(v.self, ids, n, &bytes);
    bind_check(L);
    lua_pushlstring(L, text, bytes);
    return 1;
}

static int tokenizer_normalize(lua_State *L) /* normalize(text) -> the text that is cut into pieces */
{
    const vocabulary v = check_vocabulary(L);
    size_t bytes, length = 0;
    const char *text = luaL_checklstring(L, 2, &bytes), *normal = v.api->normalize(v.self, text, bytes, &length);
    bind_check(L);
    lua_pushlstring(L, normal, length);
    return 1;
}

static int tokenizer_size(lua_State *L)
{
    lua_pushinteger(L, check_vocabulary(L).info.pieces);
    return 1;
}

static int tokenizer_special(lua_State *L) /* special() -> { pad =, eos =, unk = }, nil where there is none */
{
    const dr_tokenizer_info info = check_vocabulary(L).info;
    const struct {
        const char *name;
        int64_t id;
    } special[] = { { "pad", info.pad }, { "eos", info.eos }, { "unk", info.unk } };
    lua_createtable(L, 0, 3);
    for (int i = 0; i < 3; i++) {
        if (special[i].id < 0) continue;
        lua_pushinteger(L, special[i].id);
        lua_setfield(L, -2, special[i].name);
    }
    return 1;
}

void bind_open_tokenizer(lua_State *L)
{
    static const luaL_Reg methods[] = { { "encode", tokenizer_encode },       { "decode", tokenizer_decode },
                                        { "normalize", tokenizer_normalize }, { "size", tokenizer_size },
                                        { "special", tokenizer_special },     { NULL, NULL } };
    bind_instance_methods(L, "tokenizer", methods);
}
