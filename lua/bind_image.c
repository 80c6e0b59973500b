/* bind_image.c: pictures from tensors and lists, and PNG files through stb_image_write. Values are in [0,1], clipped;
 * a channel is stored as round(255 v). */
#include "bind.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

enum { SIDE_MAX = 32768 };

static uint8_t byte_of(double v)
{
    return (uint8_t)(v >= 1.0 ? 255.0 : v > 0.0 ? v * 255.0 + 0.5 : 0.0); /* NaN is 0 */
}

static uint8_t *new_pixels(lua_State *L, int64_t width, int64_t height, int channels, bind_pixels *p)
{
    if (width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX) {
        bind_error(L, "a picture of %lld x %lld; each side is from 1 to %d", (long long)width, (long long)height,
                   SIDE_MAX);
    }
    uint8_t *data = lua_newuserdatauv(L, (size_t)width * (size_t)height * (size_t)channels, 0);
    *p = (bind_pixels){ (int)width, (int)height, channels, data };
    return data;
}

static bind_pixels from_tensor(lua_State *L, dr_tensor *t) /* [H,W], [C,H,W], [1,C,H,W] with C = 1 or 3 */
{
    const dr_view *v = dr_tensor_view(t);
    const int64_t C = v->rank >= 3 ? v->shape[v->rank - 3] : 1;
    if (v->rank < 2 || v->rank > 4 || (v->rank == 4 && v->shape[0] != 1) || (C != 1 && C != 3)) {
        char text[128];
        bind_error(L, "a picture is a tensor [H,W], [C,H,W] or [1,C,H,W] with C = 1 or 3, not %s",
                   dr_view_text(v, text, sizeof text));
    }
    const int64_t H = v->shape[v->rank - 2], W = v->shape[v->rank - 1];
    bind_pixels p;
    uint8_t *data = new_pixels(L, W, H, (int)C, &p);
    float *value = lua_newuserdatauv(L, (size_t)(C * H * W) * sizeof *value, 0); /* [C,H,W] */
    dr_scope_open();
    dr_tensor_read(t, DR_F32, value);
    dr_scope_close();
    bind_check(L);
    for (int64_t i = 0; i < H * W; i++) {
        for (int64_t c = 0; c < C; c++) data[i * C + c] = byte_of(value[c * H * W + i]);
    }
    lua_pop(L, 1);
    return p;
}

static bind_pixels from_rows(lua_State *L, int rows) /* { { 0, 0.5, 1 }, ... } */
{
    const int64_t H = luaL_len(L, rows);
    if (H < 1 || lua_geti(L, rows, 1) != LUA_TTABLE)
        bind_error(L, "a picture is a tensor, a canvas or a list of rows of numbers");
    const int64_t W = luaL_len(L, -1);
    lua_pop(L, 1);
    bind_pixels p;
    uint8_t *data = new_pixels(L, W, H, 1, &p);
    for (int64_t y = 0; y < H; y++) {
        if (lua_geti(L, rows, y + 1) != LUA_TTABLE || luaL_len(L, -1) != W)
            bind_error(L, "row %lld of the picture is no list of %lld numbers", (long long)y + 1, (long long)W);
        for (int64_t x = 0; x < W; x++) {
            if (lua_geti(L, -1, x + 1) != LUA_TNUMBER)
                bind_error(L, "row %lld, column %lld of the picture is a %s", (long long)y + 1, (long long)x + 1,
                           bind_typename(L, -1));
            data[y * W + x] = byte_of(lua_tonumber(L, -1));
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    return p;
}

bind_pixels bind_check_pixels(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    const bind_pixels *canvas = bind_test_canvas(L, index);
    if (canvas) {
        lua_pushvalue(L, index);
        return *canvas;
    }
    if (bind_test_handle(L, index)) return from_tensor(L, bind_check_tensor(L, index));
    if (!lua_istable(L, index))
        bind_error(L, "a picture is a tensor, a canvas or a list of rows, not a %s",
                   lua_isnone(L, index) ? "missing argument" : bind_typename(L, index));
    return from_rows(L, index);
}

static int core_png(lua_State *L) /* png(image) -> bytes; png(image, path) writes a file, whole or not at all */
{
    const char *path = luaL_optstring(L, 2, NULL);
    lua_settop(L, 2);
    const bind_pixels p = bind_check_pixels(L, 1);
    int n = 0;
    unsigned char *png = stbi_write_png_to_mem(p.data, p.width * p.channels, p.width, p.height, p.channels, &n);
    if (!png) return bind_error(L, "out of memory for a PNG of %d x %d", p.width, p.height);
    if (path) {
        dr_write_file(path, png, (size_t)n);
    } else {
        lua_pushlstring(L, (const char *)png, (size_t)n);
    }
    STBIW_FREE(png);
    bind_check(L);
    return path ? 0 : 1;
}

void bind_open_image(lua_State *L)
{
    lua_pushcfunction(L, core_png);
    lua_setfield(L, -2, "png");
}
