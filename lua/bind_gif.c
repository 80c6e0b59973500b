/* bind_gif.c: animations, as GIF files through giflib. Gray frames are stored exactly (a palette of all 256 grays), and
 * so is a frame of up to 256 colours; of more, giflib chooses 256. Every frame is whole and replaces the one before. */
#include "bind.h"

#include <gif_lib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLORS = 256, SLOTS = 1024, SIDE_MAX = 65535, FRAMES_MAX = 100000 };

typedef struct animation {
    const bind_pixels *frame;
    const int *delay; /* of each frame, in hundredths of a second */
    int frames;
    bool loop;
} animation;

/* ---- the file, in memory ----------------------------------------------------------------------------------------- */
typedef struct bytes {
    uint8_t *data;
    size_t n, room;
} bytes;

static int append(GifFileType *gif, const GifByteType *data, int n)
{
    bytes *b = gif->UserData;
    if (b->n + (size_t)n > b->room) {
        const size_t room = 2 * (b->n + (size_t)n) + 4096;
        uint8_t *larger = realloc(b->data, room);
        if (!larger) return 0;
        b->data = larger, b->room = room;
    }
    memcpy(b->data + b->n, data, (size_t)n);
    b->n += (size_t)n;
    return n;
}

/* ---- colours ----------------------------------------------------------------------------------------------------- */
static const uint8_t *pixel_of(const bind_pixels *p, size_t i, uint8_t gray[3])
{
    if (p->channels == 3) return p->data + 3 * i;
    memset(gray, p->data[i], 3);
    return gray;
}

/* Fills index[] with the pixels' grays; false where a pixel has a colour. */
static bool index_grays(const bind_pixels *p, GifByteType *index)
{
    const size_t n = (size_t)p->width * (size_t)p->height;
    uint8_t gray[3];
    for (size_t i = 0; i < n; i++) {
        const uint8_t *v = pixel_of(p, i, gray);
        if (v[0] != v[1] || v[1] != v[2]) return false;
        index[i] = v[0];
    }
    return true;
}

/* Fills index[] and the palette where there are at most 256 colours; else false. Finds a colour by hash. */
static bool index_exactly(const bind_pixels *p, GifByteType *index, GifColorType *palette)
{
    const size_t n = (size_t)p->width * (size_t)p->height;
    int slot[SLOTS], colors = 0; /* -1: free, else a number in the palette */
    for (int i = 0; i < SLOTS; i++) slot[i] = -1;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *v = p->data + 3 * i;
        const GifColorType color = { v[0], v[1], v[2] };
        uint32_t at = (v[0] * 65599u + v[1] * 257u + v[2] * 31u) % SLOTS;
        while (slot[at] >= 0 && memcmp(&palette[slot[at]], &color, sizeof color) != 0) at = (at + 1) % SLOTS;
        if (slot[at] < 0) {
            if (colors == COLORS) return false;
            palette[colors] = color;
            slot[at] = colors++;
        }
        index[i] = (GifByteType)slot[at];
    }
    return true;
}

static bool quantize(const bind_pixels *p, GifByteType *index, GifColorType *palette)
{
    const size_t n = (size_t)p->width * (size_t)p->height;
    GifByteType *plane = malloc(3 * n);
    if (!plane) return false;
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < 3; c++) plane[c * n + i] = p->data[3 * i + c];
    }
    int colors = COLORS;
    const bool ok = GifQuantizeBuffer((unsigned)p->width, (unsigned)p->height, &colors, plane, plane + n, plane + 2 * n,
                                      index, palette) == GIF_OK;
    free(plane);
    return ok;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */
/* For ever: the extension that browsers introduced and everything follows. */
static bool put_loop(GifFileType *gif)
{
    static const char name[] = "NETSCAPE2.0";
    static const GifByteType forever[] = { 1, 0, 0 };
    return EGifPutExtensionLeader(gif, APPLICATION_EXT_FUNC_CODE) == GIF_OK &&
           EGifPutExtensionBlock(gif, (int)sizeof name - 1, name) == GIF_OK &&
           EGifPutExtensionBlock(gif, sizeof forever, forever) == GIF_OK && EGifPutExtensionTrailer(gif) == GIF_OK;
}

static bool put_delay(GifFileType *gif, int delay)
{
    const GraphicsControlBlock control = { .DisposalMode = DISPOSE_DO_NOT, .DelayTime = delay,
                                           .TransparentColor = NO_TRANSPARENT_COLOR };
    GifByteType block[4];
    const size_t n = EGifGCBToExtension(&control, block);
    return EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, (int)n, block) == GIF_OK;
}

/* index[width*height] is room to work in; a frame with colours brings its palette. */
static bool put_frame(GifFileType *gif, const bind_pixels *p, int delay, GifByteType *index, ColorMapObject *own)
{
    ColorMapObject *palette = NULL; /* the file's: the grays */
    if (!index_grays(p, index)) {
        palette = own;
        memset(own->Colors, 0, COLORS * sizeof *own->Colors);
        if (!index_exactly(p, index, own->Colors) && !quantize(p, index, own->Colors)) return false;
    }
    if (!put_delay(gif, delay)) return false;
    GifFreeMapObject(gif->Image.ColorMap); /* giflib forgets the last frame's where this one has none */
    gif->Image.ColorMap = NULL;
    if (EGifPutImageDesc(gif, 0, 0, p->width, p->height, false, palette) != GIF_OK) return false;
    for (int y = 0; y < p->height; y++) {
        if (EGifPutLine(gif, index + (size_t)y * (size_t)p->width, p->width) != GIF_OK) return false;
    }
    return true;
}

static bool put_all(GifFileType *gif, const animation *a, GifByteType *index, ColorMapObject *grays,
                    ColorMapObject *own)
{
    EGifSetGifVersion(gif, true);
    if (EGifPutScreenDesc(gif, a->frame->width, a->frame->height, 8, 0, grays) != GIF_OK) return false;
    if (a->loop && !put_loop(gif)) return false;
    for (int i = 0; i < a->frames; i++) {
        if (!put_frame(gif, &a->frame[i], a->delay[i], index, own)) return false;
    }
    return true;
}

/* The whole file in *out, to be freed; raises nothing. NULL, or what giflib says is wrong. */
static const char *encode(const animation *a, bytes *out)
{
    int code = E_GIF_ERR_NOT_ENOUGH_MEM, close_code = 0;
    GifByteType *index = malloc((size_t)a->frame->width * (size_t)a->frame->height);
    ColorMapObject *grays = GifMakeMapObject(COLORS, NULL), *own = GifMakeMapObject(COLORS, NULL);
    GifFileType *gif = index && grays && own ? EGifOpen(out, append, &code) : NULL;
    bool ok = gif != NULL;
    if (ok) {
        for (int i = 0; i < COLORS; i++) {
            grays->Colors[i] = (GifColorType){ (GifByteType)i, (GifByteType)i, (GifByteType)i };
        }
        ok = put_all(gif, a, index, grays, own);
        code = gif->Error;
        if (EGifCloseFile(gif, &close_code) != GIF_OK) {
            if (ok) code = close_code;
            ok = false;
        }
    }
    GifFreeMapObject(grays);
    GifFreeMapObject(own);
    free(index);
    const char *why = ok ? NULL : GifErrorString(code);
    return ok ? NULL : why ? why : "out of memory";
}

/* ---- from Lua ---------------------------------------------------------------------------------------------------- */
/* The frames at stack index 1, all of one size; pushes their array and a table that keeps their pixels. */
static const bind_pixels *check_frames(lua_State *L, int n)
{
    bind_pixels *frame = lua_newuserdatauv(L, (size_t)n * sizeof *frame, 0);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_geti(L, 1, i + 1);
        frame[i] = bind_check_pixels(L, -1); /* pushes what owns them */
        lua_seti(L, -3, i + 1);
        lua_pop(L, 1);
        if (frame[i].width != frame->width || frame[i].height != frame->height) {
            bind_error(L, "gif: frame %d is %d x %d, the first is %d x %d; all have one size", i + 1, frame[i].width,
                       frame[i].height, frame->width, frame->height);
        }
    }
    return frame;
}

static int hundredths(lua_State *L, const char *what, double seconds)
{
    if (!(seconds >= 0.0 && seconds <= 655.35))
        bind_error(L, "gif: %s = %f is outside [0, 655.35] seconds", what, seconds);
    return (int)lround(seconds * 100.0);
}

/* delay (a number, or a list with one for each frame) and last, of the options at stack index 3; pushes their owner. */
static const int *check_delays(lua_State *L, int n)
{
    int *delay = lua_newuserdatauv(L, (size_t)n * sizeof *delay, 0);
    const int type = lua_getfield(L, 3, "delay");
    if (type == LUA_TTABLE && luaL_len(L, -1) != n)
        bind_error(L, "gif: %d delays for %d frames", (int)luaL_len(L, -1), n);
    if (type != LUA_TTABLE && type != LUA_TNUMBER && type != LUA_TNIL)
        bind_error(L, "gif: delay is a number of seconds or a list of them, not a %s", bind_typename(L, -1));
    for (int i = 0; i < n; i++) {
        if (type == LUA_TTABLE && lua_geti(L, -1, i + 1) != LUA_TNUMBER)
            bind_error(L, "gif: delay %d is a %s, not a number", i + 1, bind_typename(L, -1));
        delay[i] = hundredths(L, "delay", type == LUA_TNIL ? 0.1 : lua_tonumber(L, -1));
        if (type == LUA_TTABLE) lua_pop(L, 1);
    }
    const double last = bind_option_number(L, 3, "last", NAN);
    if (!isnan(last)) delay[n - 1] = hundredths(L, "last", last);
    lua_pop(L, 1);
    return delay;
}

static void check_options(lua_State *L) /* an options table at stack index 3, made where there is none */
{
    if (lua_isnoneornil(L, 3)) {
        lua_settop(L, 2);
        lua_newtable(L);
    }
    lua_settop(L, 3);
    if (!lua_istable(L, 3)) bind_error(L, "gif: options are a table, not a %s", bind_typename(L, 3));
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        if (strcmp(key, "delay") != 0 && strcmp(key, "loop") != 0 && strcmp(key, "last") != 0)
            bind_error(L, "gif: there is no option '%s'; there are delay, loop and last", key);
    }
}

/* gif(frames [, path [, { delay = 0.1, loop = true, last = }]]): the bytes, or writes a file, whole or not at all */
static int core_gif(lua_State *L)
{
    const char *path = luaL_optstring(L, 2, NULL);
    if (!lua_istable(L, 1)) return bind_error(L, "gif: frames are a list of pictures, not a %s", bind_typename(L, 1));
    const lua_Integer n = luaL_len(L, 1);
    if (n < 1 || n > FRAMES_MAX) return bind_error(L, "gif: %d frames; there are from 1 to %d", (int)n, FRAMES_MAX);
    check_options(L);
    const bool loop = bind_option_bool(L, 3, "loop", true);
    const int *delay = check_delays(L, (int)n);
    const animation a = { check_frames(L, (int)n), delay, (int)n, loop };
    if (a.frame->width > SIDE_MAX || a.frame->height > SIDE_MAX) return bind_error(L, "gif: frames are too large");
    bytes file = { 0 };
    const char *why = encode(&a, &file);
    if (!why && path) dr_write_file(path, file.data, file.n);
    if (!why && !path) {
        luaL_Buffer b;
        char *to = luaL_buffinitsize(L, &b, file.n);
        memcpy(to, file.data, file.n);
        luaL_pushresultsize(&b, file.n);
    }
    free(file.data);
    if (why) return bind_error(L, "gif: %s", why);
    bind_check(L);
    return path ? 0 : 1;
}

void bind_open_gif(lua_State *L)
{
    lua_pushcfunction(L, core_gif);
    lua_setfield(L, -2, "gif");
}
