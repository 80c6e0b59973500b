/* define_call.c: from the C call of an interface's function to the Lua function that a component was defined with, and
 * back. libffi makes the C functions; a row's signature (define.h) says what their arguments are in Lua, and what of its
 * results goes where. The Lua function runs protected, on a thread of its own and in a scope of its own: an error becomes
 * dr_fail, what it makes and does not return is released. */
#include "define.h"
#include "tensor.h"

#include <pthread.h>
#include <string.h>

enum { NESTED = 40 /* calls of Lua by C by Lua: below what the core's scopes and Lua's own limit bear */ };
static int nested;

/* ---- C types ----------------------------------------------------------------------------------------------------- */
/* p: a pointer, d: double, l: int64_t, i: int */
const char *define_c_types(char c)
{
    switch (c) {
    case 'd': return "d";
    case 'i': return "l";
    case 'n':
    case 'N': return "i";
    case 'j':
    case 't':
    case 'J': return "pl";
    case 'r': return "ppp";
    case 'm': return "pp";
    default: return "p";
    }
}

static ffi_type *ffi_of(char c)
{
    return c == 'd' ? &ffi_type_double : c == 'l' ? &ffi_type_sint64 : c == 'i' ? &ffi_type_sint32 : &ffi_type_pointer;
}

static ffi_type *ffi_result(char c)
{
    switch (c) {
    case 'S': return &ffi_type_sint32;
    case 'D': return &ffi_type_double;
    case 'I': return &ffi_type_sint64;
    case 'v': return &ffi_type_void;
    default: return &ffi_type_pointer;
    }
}

bool define_prepare(define_closure *c)
{
    unsigned n = 0;
    const char *s = c->field->signature;
    for (const char *a = s + 2; *a != ')'; a++) {
        for (const char *t = define_c_types(*a); *t; t++) c->type[n++] = ffi_of(*t);
    }
    return ffi_prep_cif(&c->cif, FFI_DEFAULT_ABI, n, ffi_result(s[0]), c->type) == FFI_OK;
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */
static int body(lua_State *T) /* call */
{
    define_call *c = lua_touserdata(T, 1);
    const char *s = c->field->signature;
    const bool single = strchr("TDIWA", s[0]) != NULL;
    int n = 0, results = single;
    int64_t last = 0;
    luaL_checkstack(T, DEFINE_ARGUMENTS + 16, c->d->component.name);
    define_push(T, c->d, "functions");
    lua_getfield(T, -1, c->field->name);
    void **arg = c->arg;
    for (const char *a = s + 2; *a != ')'; arg += strlen(define_c_types(*a)), a++) {
        n += define_push_argument(T, c, *a, arg);
        results += define_places_of(*a);
        if (*a == 'i') last = *(int64_t *)*arg;
    }
    const int first = lua_gettop(T) - n;
    lua_call(T, n, results);
    arg = c->arg;
    int index = first + single;
    for (const char *a = s + 2; *a != ')'; arg += strlen(define_c_types(*a)), a++) {
        if (define_places_of(*a)) index += define_read_place(T, c, *a, arg, index, last);
    }
    if (results > 0) define_read_result(T, c, first); /* last: what it retains, nothing after it can lose by an error */
    return 0;
}

/* What is not a text becomes one here, where its __tostring may still fail. */
static int message_of(lua_State *T)
{
    if (lua_type(T, 1) != LUA_TSTRING) luaL_tolstring(T, 1, NULL);
    const char *text = lua_tostring(T, -1);
    if (strstr(text, "attempt to yield"))
        lua_pushfstring(T, "%s (a component's functions are called from C, and cannot yield)", text);
    lua_getfield(T, LUA_REGISTRYINDEX, "drift.debug");
    const bool debug = lua_toboolean(T, -1);
    lua_pop(T, 1);
    if (debug && !strstr(lua_tostring(T, -1), "\nstack traceback:")) luaL_traceback(T, T, lua_tostring(T, -1), 1);
    return 1;
}

static int in_scope(lua_State *T) /* body, data */
{
    lua_pushcfunction(T, message_of);
    lua_insert(T, 1);
    bind_scope_enter(T);
    define_enter_call();
    dr_reload_bar("a component's function");
    const int status = lua_pcall(T, 1, 0, 1);
    dr_reload_unbar();
    define_leave_call();
    bind_scope_leave(T, 0);
    return status == LUA_OK ? 0 : lua_error(T);
}

/* The place where it happened is in the message already, where a part of this one failed. */
static void fail_with(const definition *d, const char *message)
{
    const char *place = dr_error_place();
    const bool told = place[0] && strstr(message, place) != NULL, is_long = strlen(message) > 1500;
    if (told) dr_error_push("");
    if (is_long) {
        dr_fail(DR_EINVAL, "%s", message);
    } else {
        dr_fail(DR_EINVAL, "%s %s: %s", d->kind->name, d->component.name, message);
    }
    if (told) dr_error_pop();
}

static pthread_t main_thread; /* of the script */

void define_note_thread(void) { main_thread = pthread_self(); }
bool bind_is_script_thread(void) { return pthread_equal(main_thread, pthread_self()) != 0; }

static bool may_run(const definition *d)
{
    if (dr_failed() != DR_OK) return false;
    if (!d->state->thread) {
        dr_fail(DR_EUNSUPPORTED, "%s %s was defined by a Lua program that has ended", d->kind->name, d->component.name);
    } else if (!bind_is_script_thread()) {
        dr_fail(DR_EUNSUPPORTED, "%s %s is written in Lua, and was called from another thread", d->kind->name,
                d->component.name);
    } else if (nested >= NESTED) {
        dr_fail(DR_EINVAL, "more than %d calls of components inside one another: does it call itself without an end?",
                NESTED);
    } else if (!lua_checkstack(d->state->thread, 16)) {
        dr_fail(DR_ENOMEM, "out of memory for a call of %s", d->component.name);
    }
    return dr_failed() == DR_OK;
}

bool define_protected(definition *d, lua_CFunction fn, void *data)
{
    if (!may_run(d)) return false;
    lua_State *T = d->state->thread;
    const int top = lua_gettop(T);
    nested++;
    lua_pushcfunction(T, in_scope);
    lua_pushcfunction(T, fn);
    lua_pushlightuserdata(T, data);
    const int status = lua_pcall(T, 2, 0, 0);
    nested--;
    if (status != LUA_OK) {
        const char *message = lua_type(T, -1) == LUA_TSTRING ? lua_tostring(T, -1) : NULL;
        dr_error_clear(); /* that of the core became this one, or was not asked for */
        fail_with(d, message ? message : "it raised an error that is no text and cannot be made one");
    }
    lua_settop(T, top);
    return status == LUA_OK && dr_failed() == DR_OK;
}

dr_tensor *define_for_caller(dr_tensor *t)
{
    if (!t) return NULL;
    if (t->scope == 0) {
        dr_scope_hold(t);
    } else {
        dr_release(t); /* it is in a scope around this call, which outlives it */
    }
    return t;
}

static void escape_embedding(dr_embedding *e)
{
    for (int i = 0; i < DR_MAX_SITES; i++) {
        define_for_caller(e->scale[i]);
        define_for_caller(e->shift[i]);
        define_for_caller(e->gate[i]);
    }
    define_for_caller(e->vec);
    define_for_caller(e->tokens);
    define_for_caller(e->mask);
}

/* An end runs whether or not an error is pending, and cannot fail. */
static void run_end(define_call *c)
{
    const dr_status pending = dr_failed();
    char message[2048];
    snprintf(message, sizeof message, "%s", dr_error_message());
    dr_error_clear();
    if (c->d->state->thread && !define_protected(c->d, body, c)) dr_note("%s", dr_error_message());
    dr_error_clear();
    if (pending == DR_OK) return;
    dr_error_push("");
    dr_fail(pending, "%s", message);
    dr_error_pop();
}

static bool is_end(const define_field *f) { return strcmp(f->signature, "v(s)") == 0; }

void define_trampoline(ffi_cif *cif, void *result, void **argument, void *user)
{
    (void)cif;
    const define_closure *closure = user;
    define_call c = { .d = closure->definition, .field = closure->field, .arg = argument };
    const char *s = c.field->signature;
    if (is_end(c.field)) {
        run_end(&c);
        return;
    }
    if ((c.d->kind->flags & DEFINE_AS_WRITTEN) || c.d->as_written)
        dr_plan_refuse("%s %s is written in Lua and decides anew in each call%s", c.d->kind->name, c.d->component.name,
                       c.d->as_written ? " (one that takes rate and step from s.lr_and_step says replay = true)" : "");
    const bool good = define_protected(c.d, body, &c);
    if (good && strchr(s, 'E')) escape_embedding(define_pointer_at(argument + 3));
    if (!good) dr_release(c.made);
    dr_tensor *made = good ? define_for_caller(c.made) : NULL;
    switch (s[0]) {
    case 'S': *(ffi_sarg *)result = good ? DR_OK : dr_failed(); break;
    case 'D': *(double *)result = good ? c.real : 0.0; break;
    case 'I': *(int64_t *)result = good ? c.whole : 0; break;
    case 'T': *(dr_tensor **)result = made; break;
    case 'W':
    case 'A': *(const void **)result = good ? c.pointer : NULL; break;
    default: break;
    }
}
