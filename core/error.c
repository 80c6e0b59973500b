/* error.c: errors as values. The first message stays pending until the host has reported it; while it is pending every
 * op returns NULL at once, so that a forward needs no branches. The message is prefixed with the place that was
 * current when it was recorded: "unet.d1.c.c1.conv.0: conv2d: weight expects 64 input channels, got 65". */
#include "drift.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 4096, PLACE_DEPTH = 64, PLACE_MAX = 256 };

static _Thread_local dr_status pending;
static _Thread_local char message[MESSAGE_MAX];
static _Thread_local char place[PLACE_DEPTH][PLACE_MAX];
static _Thread_local int depth;

static void (*note_sink)(void *ctx, const char *line);
static void *note_ctx;

dr_status dr_vfail(dr_status code, const char *format, va_list args)
{
    if (pending != DR_OK) return code; /* what follows from the first error would only hide it */
    pending = code == DR_OK ? DR_EINTERNAL : code;
    size_t used = 0;
    message[0] = '\0';
    const int last = depth < PLACE_DEPTH ? depth : PLACE_DEPTH;
    if (last > 0 && place[last - 1][0]) used = (size_t)snprintf(message, sizeof message, "%s: ", place[last - 1]);
    vsnprintf(message + used, sizeof message - used, format, args);
    return code;
}

dr_status dr_failed(void) { return pending; }
const char *dr_error_message(void) { return pending == DR_OK ? "" : message; }

void dr_error_clear(void)
{
    pending = DR_OK;
    message[0] = '\0';
}

/* The innermost place counts: module paths are pushed whole, so outer ones are their prefixes. */
void dr_error_push(const char *where)
{
    if (depth < PLACE_DEPTH) snprintf(place[depth], PLACE_MAX, "%s", where);
    depth++;
}

void dr_error_pop(void)
{
    if (depth > 0) depth--;
}

const char *dr_error_place(void)
{
    const int last = depth < PLACE_DEPTH ? depth : PLACE_DEPTH;
    return last > 0 ? place[last - 1] : "";
}

const char *dr_status_name(dr_status s)
{
    static const char *const name[] = { "ok", "invalid argument", "shape mismatch", "out of memory", "input/output error", "bad format",
                                        "not found", "unsupported", "wrong ABI", "interrupted", "internal error" };
    return (unsigned)s < sizeof name / sizeof *name ? name[s] : "unknown status";
}

void dr_set_note_sink(void (*sink)(void *ctx, const char *line), void *ctx)
{
    note_sink = sink;
    note_ctx = ctx;
}

void dr_vnote(const char *format, va_list args)
{
    char line[2048];
    vsnprintf(line, sizeof line, format, args);
    if (note_sink) {
        note_sink(note_ctx, line);
    } else {
        fprintf(stderr, "%s\n", line);
    }
}
