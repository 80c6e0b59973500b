/* bind_canvas.c: a picture to draw on, for grids and strips with labels: other pictures enlarged by whole factors,
 * rectangles, lines, and text in the small font of stb_easy_font (ASCII). Pixels count from 0, from the top left; what
 * lies outside is clipped. Colours are 0..1 gray or { r, g, b }. */
#include "bind.h"

#include <math.h>
#include <string.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_easy_font.h>
#pragma GCC diagnostic pop

enum { SIDE_MAX = 32768, TEXT_MAX = 1024, SCALE_MAX = 256 };

typedef struct color {
    uint8_t v[3];
} color;

const bind_pixels *bind_test_canvas(lua_State *L, int index) { return luaL_testudata(L, index, "drift.canvas"); }

static bind_pixels *check_canvas(lua_State *L) { return luaL_checkudata(L, 1, "drift.canvas"); }

static uint8_t *pixels_of(const bind_pixels *c)
{
    return (uint8_t *)(uintptr_t)(c + 1); /* they follow the struct in the userdata */
}

static uint8_t byte_of(double v) { return (uint8_t)(v >= 1.0 ? 255.0 : v > 0.0 ? v * 255.0 + 0.5 : 0.0); }

static color check_color(lua_State *L, int index, double def)
{
    color c;
    if (lua_istable(L, index)) {
        for (int i = 0; i < 3; i++) {
            if (lua_geti(L, index, i + 1) != LUA_TNUMBER)
                bind_error(L, "a color is a number or { r, g, b }, each in [0, 1]");
            c.v[i] = byte_of(lua_tonumber(L, -1));
            lua_pop(L, 1);
        }
        return c;
    }
    memset(c.v, byte_of(luaL_optnumber(L, index, def)), sizeof c.v);
    return c;
}

static int check_pixel(lua_State *L, int index) /* a coordinate; far outside is as good as outside */
{
    const double v = floor(luaL_checknumber(L, index));
    return v > 1e6 ? 1000000 : v > -1e6 ? (int)v : -1000000;
}

static void fill(const bind_pixels *c, int x, int y, int width, int height, color with)
{
    uint8_t *data = pixels_of(c);
    const int x0 = x > 0 ? x : 0, y0 = y > 0 ? y : 0;
    const int x1 = x + width < c->width ? x + width : c->width, y1 = y + height < c->height ? y + height : c->height;
    for (int i = y0; i < y1; i++) {
        for (int k = x0; k < x1; k++) memcpy(data + ((size_t)i * (size_t)c->width + (size_t)k) * 3, with.v, 3);
    }
}

static int core_canvas(lua_State *L) /* canvas(width, height [, color]) */
{
    const lua_Integer width = luaL_checkinteger(L, 1), height = luaL_checkinteger(L, 2);
    if (width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX) {
        return bind_error(L, "a canvas of %lld x %lld; each side is from 1 to %d", (long long)width, (long long)height,
                          SIDE_MAX);
    }
    const color background = check_color(L, 3, 1.0);
    bind_pixels *c = lua_newuserdatauv(L, sizeof *c + (size_t)width * (size_t)height * 3, 0);
    *c = (bind_pixels){ (int)width, (int)height, 3, pixels_of(c) };
    luaL_setmetatable(L, "drift.canvas");
    fill(c, 0, 0, c->width, c->height, background);
    return 1;
}

/* blit(image, x, y [, scale]) */
static int canvas_blit(lua_State *L)
{
    const bind_pixels *c = check_canvas(L);
    const int x0 = check_pixel(L, 3), y0 = check_pixel(L, 4);
    const lua_Integer scale = luaL_optinteger(L, 5, 1);
    if (scale < 1 || scale > SCALE_MAX)
        return bind_error(L, "scale = %lld is outside [1, %d]", (long long)scale, SCALE_MAX);
    const bind_pixels p = bind_check_pixels(L, 2);
    for (int y = 0; y < p.height; y++) {
        for (int x = 0; x < p.width; x++) {
            const uint8_t *v = p.data + ((size_t)y * (size_t)p.width + (size_t)x) * (size_t)p.channels;
            const color with = { { v[0], v[p.channels == 3 ? 1 : 0], v[p.channels == 3 ? 2 : 0] } };
            fill(c, x0 + x * (int)scale, y0 + y * (int)scale, (int)scale, (int)scale, with);
        }
    }
    lua_settop(L, 1);
    return 1;
}

static int canvas_rect(lua_State *L) /* rect(x, y, width, height, color) */
{
    const bind_pixels *c = check_canvas(L);
    fill(c, check_pixel(L, 2), check_pixel(L, 3), check_pixel(L, 4), check_pixel(L, 5), check_color(L, 6, 0.0));
    lua_settop(L, 1);
    return 1;
}

static int canvas_line(lua_State *L) /* line(x0, y0, x1, y1, color [, width]) */
{
    const bind_pixels *c = check_canvas(L);
    const int x0 = check_pixel(L, 2), y0 = check_pixel(L, 3), x1 = check_pixel(L, 4), y1 = check_pixel(L, 5);
    const color with = check_color(L, 6, 0.0);
    const lua_Integer width = luaL_optinteger(L, 7, 1);
    if (width < 1 || width > SCALE_MAX)
        return bind_error(L, "width = %lld is outside [1, %d]", (long long)width, SCALE_MAX);
    const int dx = x1 - x0, dy = y1 - y0, steps = abs(dx) > abs(dy) ? abs(dx) : abs(dy);
    for (int i = 0; i <= steps; i++) {
        const double at = steps > 0 ? (double)i / steps : 0.0;
        fill(c, (int)lround(x0 + at * dx) - (int)(width / 2), (int)lround(y0 + at * dy) - (int)(width / 2), (int)width,
             (int)width, with);
    }
    lua_settop(L, 1);
    return 1;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */
/* The font knows ASCII; any other character (a UTF-8 sequence) becomes one '?'. */
static void to_ascii(const char *from, char to[TEXT_MAX])
{
    int n = 0;
    for (; *from && n < TEXT_MAX - 1; from++) {
        const unsigned char c = (unsigned char)*from;
        if ((c & 0xC0) == 0x80) continue; /* the rest of a sequence */
        to[n++] = (c >= 32 && c < 127) || c == '\n' ? (char)c : '?';
    }
    to[n] = '\0';
}

static int core_text_size(lua_State *L) /* text_size(text [, scale]) -> width, height */
{
    char text[TEXT_MAX];
    to_ascii(luaL_checkstring(L, 1), text);
    const lua_Integer scale = luaL_optinteger(L, 2, 1);
    lua_pushinteger(L, stb_easy_font_width(text) * scale);
    lua_pushinteger(L, stb_easy_font_height(text) * scale);
    return 2;
}

static int canvas_text(lua_State *L) /* text(x, y, text [, { scale =, color =, background = }]) */
{
    struct quad {
        struct {
            float x, y, z;
            uint8_t color[4];
        } corner[4];
    };
    enum { QUADS = TEXT_MAX * 6 };
    static struct quad quad[QUADS];
    const bind_pixels *c = check_canvas(L);
    const int x = check_pixel(L, 2), y = check_pixel(L, 3);
    char text[TEXT_MAX];
    to_ascii(luaL_checkstring(L, 4), text);
    lua_settop(L, 5);
    const int scale = (int)bind_option_integer(L, 5, "scale", 1);
    if (scale < 1 || scale > SCALE_MAX) return bind_error(L, "scale = %d is outside [1, %d]", scale, SCALE_MAX);
    color ink = { { 0, 0, 0 } };
    if (!lua_isnil(L, 5)) {
        lua_getfield(L, 5, "color");
        ink = check_color(L, 6, 0.0);
        if (lua_getfield(L, 5, "background") != LUA_TNIL) {
            fill(c, x - scale, y - scale, (stb_easy_font_width(text) + 2) * scale,
                 (stb_easy_font_height(text) + 1) * scale, check_color(L, 7, 1.0));
        }
    }
    const int n = stb_easy_font_print(0.0f, 0.0f, text, NULL, quad, sizeof quad);
    for (int i = 0; i < n && i < QUADS; i++) {
        const float x0 = quad[i].corner[0].x, y0 = quad[i].corner[0].y, x1 = quad[i].corner[2].x,
                    y1 = quad[i].corner[2].y;
        fill(c, x + (int)x0 * scale, y + (int)y0 * scale, (int)(x1 - x0) * scale, (int)(y1 - y0) * scale, ink);
    }
    lua_settop(L, 1);
    return 1;
}

static int canvas_pixel(lua_State *L) /* pixel(x, y) -> r, g, b in [0, 1] */
{
    const bind_pixels *c = check_canvas(L);
    const int x = check_pixel(L, 2), y = check_pixel(L, 3);
    if (x < 0 || y < 0 || x >= c->width || y >= c->height)
        return bind_error(L, "pixel %d, %d is outside %d x %d", x, y, c->width, c->height);
    for (int i = 0; i < 3; i++)
        lua_pushnumber(L, pixels_of(c)[((size_t)y * (size_t)c->width + (size_t)x) * 3 + (size_t)i] / 255.0);
    return 3;
}

/* upvalue 1: the methods */
static int meta_index(lua_State *L)
{
    const bind_pixels *c = check_canvas(L);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "width") == 0 || strcmp(key, "height") == 0) {
        lua_pushinteger(L, key[0] == 'w' ? c->width : c->height);
        return 1;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL) return bind_error(L, "a canvas has no \"%s\"", key);
    return 1;
}

void bind_open_canvas(lua_State *L)
{
    static const luaL_Reg functions[] = { { "canvas", core_canvas }, { "text_size", core_text_size }, { NULL, NULL } };
    static const luaL_Reg methods[] = {
        { "blit", canvas_blit }, { "rect", canvas_rect },   { "line", canvas_line },
        { "text", canvas_text }, { "pixel", canvas_pixel }, { NULL, NULL },
    };
    luaL_setfuncs(L, functions, 0);
    bind_class(L, "drift.canvas", methods, NULL);
    luaL_getmetatable(L, "drift.canvas");
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, meta_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
