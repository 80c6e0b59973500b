/* devices.c: the program's --device NAME[:N][,option=value...] and `drift devices`. Options are the backend's
 * parameters, as in drift.device("cuda:1", { deterministic = false }). */
#include "bind.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT = 256, OPTIONS = 12 };

/* ---- --device ---------------------------------------------------------------------------------------------------- */

static bool read_bool(const char *text, bool *value)
{
    *value = strcmp(text, "true") == 0;
    return *value || strcmp(text, "false") == 0;
}

/* text: "deterministic=false"; it is cut at the "=". */
static dr_status read_option(const dr_component *backend, char *text, dr_arg *arg)
{
    char *value = strchr(text, '='), *end = NULL;
    if (!value || value == text)
        return dr_fail(DR_EINVAL, "--device %s,option=value: '%s' has no value", backend->name, text);
    *value++ = '\0';
    const dr_param *p = dr_param_find(backend, text);
    if (!p) return dr_failed();
    *arg = (dr_arg){ .name = text, .type = p->type, .text = value };
    bool fits = *value != '\0', yes = false;
    if (p->type == DR_PARAM_BOOL) {
        fits = read_bool(value, &yes);
        arg->i = yes;
    } else if (p->type == DR_PARAM_INT) {
        arg->i = strtoll(value, &end, 10);
    } else if (p->type == DR_PARAM_REAL) {
        arg->r = strtod(value, &end);
    } else {
        arg->type = DR_PARAM_STRING;
    }
    if (fits && (!end || !*end)) return DR_OK;
    return dr_fail(DR_EINVAL, "--device %s: %s = %s is not %s", backend->name, text, value,
                   p->type == DR_PARAM_BOOL ? "true or false" : "a number");
}

static bool has(const dr_component *backend, const char *option)
{
    const dr_param *p;
    for (int i = 0; (p = dr_param_at(backend, i)); i++) {
        if (strcmp(p->name, option) == 0) return true;
    }
    return false;
}

static dr_device *open_named(char *text, int64_t threads, bool tf32)
{
    char backend[32], *rest = text, *name = strsep(&rest, ",");
    dr_arg arg[OPTIONS + 2];
    dr_args args = { arg, 0 };
    snprintf(backend, sizeof backend, "%.*s", (int)strcspn(name, ":"), name);
    const dr_component *c = dr_component_find("backend", backend);
    if (!c) return NULL;
    for (char *option = strsep(&rest, ","); option && args.n < OPTIONS; option = strsep(&rest, ",")) {
        if (read_option(c, option, &arg[args.n++]) != DR_OK) return NULL;
    }
    if (threads > 0 && has(c, "threads")) arg[args.n++] = (dr_arg)DR_I("threads", threads);
    else if (threads > 0) dr_note("drift: device %s has no threads to set", name);
    if (tf32 && !has(c, "tf32")) {
        dr_fail(DR_EUNSUPPORTED, "precision tf32: device %s computes f32 in full; TF32 is of cuda devices", name);
        return NULL;
    }
    if (tf32) arg[args.n++] = (dr_arg)DR_B("tf32", true);
    return dr_device_open(name, args);
}

dr_device *bind_open_named_device(const char *text, int64_t threads, bool tf32)
{
    char *copy = strdup(text); /* what the arguments point to; the device keeps copies of its own */
    if (!copy) dr_fail(DR_ENOMEM, "out of memory");
    dr_device *d = copy ? open_named(copy, threads, tf32) : NULL;
    free(copy);
    return d;
}

/* ---- drift devices, drift.devices() ------------------------------------------------------------------------------ */

/* Gets each device's name and description, or, where it is not there, the reason. */
typedef void (*take_device)(void *ctx, const char *name, const char *text, bool there);

/* Opens it, to say what it is, or why it is not there. */
static void try_to_open(const dr_component *c, take_device take, void *ctx)
{
    dr_device *d = dr_device_open(c->name, DR_NO_ARGS);
    if (d) {
        take(ctx, c->name, dr_device_describe(d), true);
        return;
    }
    const char *message = dr_error_message();
    char prefix[64];
    const size_t n = (size_t)snprintf(prefix, sizeof prefix, "backend %s: ", c->name);
    take(ctx, c->name, strncmp(message, prefix, n) == 0 ? message + n : message, false);
    dr_error_clear();
}

static void each_of_backend(const dr_component *c, take_device take, void *ctx)
{
    char text[TEXT], name[64];
    int64_t n = 0;
    while (dr_device_list(c, n, text, sizeof text) == DR_OK) {
        snprintf(name, sizeof name, "%s:%lld", c->name, (long long)n++);
        take(ctx, name, text, true);
    }
    if (n == 0) try_to_open(c, take, ctx);
}

static void each_device(take_device take, void *ctx)
{
    bool cuda = false;
    for (int64_t i = 0; i < dr_component_count(); i++) {
        const dr_component *c = dr_component_at(i);
        if (!bind_kind_is(c, "backend")) continue;
        cuda = cuda || strcmp(c->name, "cuda") == 0;
        each_of_backend(c, take, ctx);
    }
    if (cuda) return;
    take(ctx, "cuda", "this build has no CUDA backend; cmake builds it where there is CUDA 12 or newer", false);
}

static void print_device(void *ctx, const char *name, const char *text, bool there)
{
    (void)ctx;
    printf("%-8s %s%s\n", name, there ? "" : "none: ", text);
}

int bind_list_devices(void)
{
    each_device(print_device, NULL);
    return 0;
}

static void push_line(void *ctx, const char *name, const char *text, bool there) /* the list is on top */
{
    lua_State *L = ctx;
    lua_createtable(L, 0, 3);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, text);
    lua_setfield(L, -2, "text");
    lua_pushboolean(L, there);
    lua_setfield(L, -2, "there");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static int core_devices(lua_State *L) /* devices() -> list of { name =, text =, there = } */
{
    lua_newtable(L);
    each_device(push_line, L);
    return 1;
}

void bind_open_devices(lua_State *L)
{
    lua_pushcfunction(L, core_devices);
    lua_setfield(L, -2, "devices");
}
