/* define_call.c: from the C call of an interface's function to the Lua function that a component was defined with, and
 * back. libffi makes the C functions; a row's signature (define.h) says what their arguments are in Lua, and what of its
 * results goes where. The Lua function runs protected, on a thread of its own and in a scope of its own: an error becomes
 * dr_fail, what it makes and does not return is released. */
#include "define.h"
#include "tensor.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

enum { NESTED = 40 /* calls of Lua by C by Lua: below what the core's scopes and Lua's own limit bear */ };
static int nested;

typedef struct call {
    definition *d;
    const define_field *field;
    void **arg;      /* of the C function */
    void *result;
    dr_tensor *made; /* a result, retained */
    double real;
    int64_t whole;
    const void *pointer;
} call;

/* ---- C types ----------------------------------------------------------------------------------------------------- */
/* p: a pointer, d: double, l: int64_t, i: int */
static const char *c_types(char c)
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
        for (const char *t = c_types(*a); *t; t++) c->type[n++] = ffi_of(*t);
    }
    return ffi_prep_cif(&c->cif, FFI_DEFAULT_ABI, n, ffi_result(s[0]), c->type) == FFI_OK;
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */
static void *pointer_at(void **arg) { return *(void **)*arg; }

static void push_rows(lua_State *T, const int64_t *rows, int64_t n)
{
    lua_createtable(T, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushinteger(T, rows[i] + 1);
        lua_rawseti(T, -2, i + 1);
    }
}

static void push_ids(lua_State *T, const int32_t *ids, int64_t n)
{
    lua_createtable(T, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushinteger(T, ids[i]);
        lua_rawseti(T, -2, i + 1);
    }
}

static void set_tensor(lua_State *T, const char *key, dr_tensor *t)
{
    bind_push_borrowed(T, t);
    lua_setfield(T, -2, key);
}

static void push_batch_cond(lua_State *T, const dr_batch_cond *c)
{
    lua_createtable(T, 0, 7);
    set_tensor(T, "time", c->time);
    set_tensor(T, "label", c->label);
    set_tensor(T, "mask", c->mask);
    set_tensor(T, "tokens", c->tokens);
    set_tensor(T, "tokens_mask", c->tokens_mask);
    set_tensor(T, "image", c->image);
    set_tensor(T, "image_level", c->image_level);
}

static void push_list(lua_State *T, dr_tensor *const *t, int64_t n)
{
    lua_createtable(T, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        bind_push_borrowed(T, t[i]);
        lua_rawseti(T, -2, i + 1);
    }
}

/* { n, param, grad, slot = { exp_avg = {...} }, step, lr, lr_and_step } */
static void push_optim_state(lua_State *T, const definition *d, const dr_optim_state *s)
{
    lua_createtable(T, 0, 7);
    lua_pushinteger(T, s->n);
    lua_setfield(T, -2, "n");
    push_list(T, s->param, s->n);
    lua_setfield(T, -2, "param");
    push_list(T, s->grad, s->n);
    lua_setfield(T, -2, "grad");
    lua_newtable(T);
    for (int k = 0; k < d->iface.optim.slots; k++) {
        push_list(T, s->slot[k], s->n);
        lua_setfield(T, -2, d->iface.optim.slot_name[k]);
    }
    lua_setfield(T, -2, "slot");
    lua_pushinteger(T, s->step);
    lua_setfield(T, -2, "step");
    lua_pushnumber(T, s->lr);
    lua_setfield(T, -2, "lr");
    set_tensor(T, "lr_and_step", s->lr_and_step);
}

/* Pushes what the argument is in Lua; 0: it is a place to be filled in, and nothing is pushed. */
static int push_argument(lua_State *T, call *c, char type, void **arg)
{
    static const char *const splits[] = { "train", "test" };
    switch (type) {
    case 's': define_push_self(T, c->d, pointer_at(arg)); return 1;
    case 'x': bind_push_borrowed(T, pointer_at(arg)); return 1;
    case 'd': lua_pushnumber(T, *(double *)*arg); return 1;
    case 'i': lua_pushinteger(T, *(int64_t *)*arg); return 1;
    case 'n': lua_pushinteger(T, *(int *)*arg + 1); return 1;
    case 'N': lua_pushstring(T, splits[*(int *)*arg == DR_TEST]); return 1;
    case 'C': define_push_view(T, "drift.context", pointer_at(arg)); return 1;
    case 'B': define_push_builder(T, pointer_at(arg), c->d, pointer_at(c->arg)); return 1;
    case 'M': define_push_view(T, "drift.inner_model", pointer_at(arg)); return 1;
    case 'c': define_push_view(T, "drift.condition", pointer_at(arg)); return 1;
    case 'P': define_push_view(T, "drift.inner_process", pointer_at(arg)); return 1;
    case 'K': define_push_coef(T, pointer_at(arg)); return 1;
    case 'R': define_push_rng(T, pointer_at(arg)); return 1;
    case 'b': push_batch_cond(T, pointer_at(arg)); return 1;
    case 'e': bind_push_embedding(T, pointer_at(arg)); return 1;
    case 'O': push_optim_state(T, c->d, pointer_at(arg)); return 1;
    case 'j': push_rows(T, pointer_at(arg), *(int64_t *)arg[1]); return 1;
    case 't': lua_pushlstring(T, pointer_at(arg), *(size_t *)arg[1]); return 1;
    case 'J': push_ids(T, pointer_at(arg), *(int64_t *)arg[1]); return 1;
    default: return 0;
    }
}

/* ---- results ----------------------------------------------------------------------------------------------------- */
static void wrong(lua_State *T, const call *c, const char *wanted, int index)
{
    const char *type = bind_typename(T, index);
    lua_Debug where = { 0 };
    define_push(T, c->d, "functions");
    lua_getfield(T, -1, c->field->name);
    lua_getinfo(T, ">S", &where);
    bind_error(T, "%s of %s:%d must return %s, got a %s", c->field->name, where.short_src, where.linedefined, wanted, type);
}

static double number_at(lua_State *T, const call *c, const char *wanted, int index)
{
    if (lua_type(T, index) != LUA_TNUMBER) wrong(T, c, wanted, index);
    return lua_tonumber(T, index);
}

static int64_t whole_at(lua_State *T, const call *c, const char *wanted, int index)
{
    int whole;
    const int64_t value = lua_tointegerx(T, index, &whole);
    if (!whole || lua_type(T, index) != LUA_TNUMBER) wrong(T, c, wanted, index);
    return value;
}

static void table_at(lua_State *T, const call *c, const char *wanted, int index)
{
    if (!lua_istable(T, index)) wrong(T, c, wanted, index);
}

static dr_tensor *tensor_at(lua_State *T, const call *c, const char *wanted, int index)
{
    if (!bind_test_handle(T, index)) wrong(T, c, wanted, index);
    return bind_check_tensor(T, index);
}

static void read_coef(lua_State *T, const call *c, int index, dr_coef *to)
{
    static const char wanted[] = "{ alpha =, sigma =, dalpha =, dsigma =, p =, q =, c_in = 1, time = t, weight = 1 }";
    const struct { const char *name; double *value; bool required; } field[] = {
        { "alpha", &to->alpha, true }, { "sigma", &to->sigma, true },   { "dalpha", &to->dalpha, true },
        { "dsigma", &to->dsigma, true }, { "p", &to->p, true },         { "q", &to->q, true },
        { "c_in", &to->c_in, false },  { "time", &to->time, false },    { "weight", &to->weight, false },
    };
    const char *name[9];
    table_at(T, c, wanted, index);
    to->c_in = to->weight = 1.0;
    to->time = *(double *)c->arg[1]; /* t */
    for (int i = 0; i < 9; i++) {
        name[i] = field[i].name;
        const int type = lua_getfield(T, index, field[i].name);
        if (type != LUA_TNUMBER && (type != LUA_TNIL || field[i].required))
            bind_error(T, "coef must return %s; %s is a %s", wanted, field[i].name, bind_typename(T, -1));
        if (type == LUA_TNUMBER) *field[i].value = lua_tonumber(T, -1);
        lua_pop(T, 1);
    }
    for (lua_pushnil(T); lua_next(T, index); lua_pop(T, 1)) {
        bool known = false;
        const char *key = lua_type(T, -2) == LUA_TSTRING ? lua_tostring(T, -2) : "";
        for (int i = 0; i < 9; i++) known |= strcmp(key, name[i]) == 0;
        const char *near = known ? NULL : dr_nearest(key, name, 9);
        if (!known)
            bind_error(T, "coef returned a field '%s'%s%s%s", key, near ? "; did you mean '" : "; it must return ",
                       near ? near : wanted, near ? "'?" : "");
    }
}

static int64_t rows_of(const call *c) /* of the first tensor among the arguments */
{
    return dr_tensor_view(pointer_at(c->arg + 1))->shape[0];
}

static void read_order(lua_State *T, const call *c, int index, int64_t *to)
{
    const int64_t B = rows_of(c);
    table_at(T, c, "a list of rows", index);
    if (luaL_len(T, index) != B)
        bind_error(T, "%s must return a list of %lld rows, one for each image, got %lld", c->field->name, (long long)B,
                   (long long)luaL_len(T, index));
    for (int64_t i = 0; i < B; i++) {
        lua_geti(T, index, i + 1);
        to[i] = whole_at(T, c, "a list of rows, counted from 1", -1) - 1;
        lua_pop(T, 1);
    }
}

static void read_numbers(lua_State *T, const call *c, int index, double *to, int64_t n, const char *wanted)
{
    table_at(T, c, wanted, index);
    if (luaL_len(T, index) != n)
        bind_error(T, "%s must return %s: %lld of them, got %lld", c->field->name, wanted, (long long)n,
                   (long long)luaL_len(T, index));
    for (int64_t i = 0; i < n; i++) {
        lua_geti(T, index, i + 1);
        to[i] = number_at(T, c, wanted, -1);
        lua_pop(T, 1);
    }
}

static void push_held(lua_State *T, const call *c) /* the table of what lives as long as the instance */
{
    const define_tail *tail = (const void *)((const char *)pointer_at(c->arg) + c->d->tail);
    define_push(T, c->d, "held");
    lua_rawgeti(T, -1, tail->number);
    lua_remove(T, -2);
}

static void read_info(lua_State *T, const call *c, int index, dr_dataset_info *to)
{
    const int split = *(int *)c->arg[1];
    table_at(T, c, "{ n =, channels =, height =, width =, classes = 0, source = \"\" }", index);
    *to = (dr_dataset_info){ .n = bind_option_integer(T, index, "n", -1),
                             .channels = bind_option_integer(T, index, "channels", -1),
                             .height = bind_option_integer(T, index, "height", -1),
                             .width = bind_option_integer(T, index, "width", -1),
                             .classes = bind_option_integer(T, index, "classes", 0) };
    const int64_t shape[] = { to->n, to->channels, to->height, to->width };
    int64_t pixels;
    if (to->n < 0 || to->channels < 1 || to->height < 1 || to->width < 1 || to->classes < 0 ||
        !dr_checked_size("info", DR_F32, 3, shape + 1, &pixels, NULL)) {
        bind_check(T);
        bind_error(T, "info must return n, channels, height, width (and classes, source): images of %lldx%lldx%lld, %lld of them",
                   (long long)shape[1], (long long)shape[2], (long long)shape[3], (long long)shape[0]);
    }
    push_held(T, c);
    lua_pushstring(T, bind_option_string(T, index, "source", ""));
    to->source = lua_tostring(T, -1);
    lua_setfield(T, -2, split == DR_TEST ? "source of test" : "source of train");
    lua_pushinteger(T, pixels);
    lua_rawseti(T, -2, split == DR_TEST ? -2 : -1);
    lua_pop(T, 1);
}

static void read_image(lua_State *T, const call *c, int index, float *to)
{
    dr_tensor *t = tensor_at(T, c, "an image, a tensor [C,H,W]", index);
    const dr_view *v = dr_tensor_view(t);
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->shape[i];
    push_held(T, c);
    lua_rawgeti(T, -1, *(int *)c->arg[1] == DR_TEST ? -2 : -1);
    const int64_t pixels = lua_tointeger(T, -1);
    lua_pop(T, 2);
    char text[128];
    if (n != pixels)
        bind_error(T, "%s returned %s where info promises %lld numbers", c->field->name, dr_view_text(v, text, sizeof text),
                   (long long)pixels);
    dr_tensor_read(t, DR_F32, to);
    bind_check(T);
}

static void read_tokenizer_info(lua_State *T, const call *c, int index, dr_tokenizer_info *to)
{
    table_at(T, c, "{ pieces =, pad =, eos =, unk = }", index);
    *to = (dr_tokenizer_info){ .pieces = bind_option_integer(T, index, "pieces", -1),
                               .pad = bind_option_integer(T, index, "pad", -1),
                               .eos = bind_option_integer(T, index, "eos", -1),
                               .unk = bind_option_integer(T, index, "unk", -1) };
    if (to->pieces < 1) bind_error(T, "info must return { pieces =, pad =, eos =, unk = }, with one piece at least");
}

static void read_ids(lua_State *T, call *c, int index, int64_t *count)
{
    table_at(T, c, "a list of ids", index);
    const int64_t n = luaL_len(T, index);
    push_held(T, c);
    int32_t *ids = lua_newuserdatauv(T, (size_t)(n > 0 ? n : 1) * sizeof *ids, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_geti(T, index, i + 1);
        const int64_t id = whole_at(T, c, "a list of ids", -1);
        if (id < 0 || id > INT32_MAX) bind_error(T, "%s returned the id %lld", c->field->name, (long long)id);
        ids[i] = (int32_t)id;
        lua_pop(T, 1);
    }
    lua_setfield(T, -2, "ids"); /* until the next call */
    lua_pop(T, 1);
    *count = n;
    c->pointer = ids;
}

static void read_text(lua_State *T, call *c, int index, size_t *bytes)
{
    size_t n;
    if (lua_type(T, index) != LUA_TSTRING) wrong(T, c, "a string", index);
    c->pointer = lua_tolstring(T, index, &n);
    if (bytes) *bytes = n;
    push_held(T, c);
    lua_pushvalue(T, index);
    lua_setfield(T, -2, c->field->name); /* until the next call */
    lua_pop(T, 1);
}

static void read_range(lua_State *T, const call *c, int index, void **arg)
{
    static const char wanted[] = "t_noise, t_data, steps (0 for continuous time)";
    const double noise = number_at(T, c, wanted, index), data = number_at(T, c, wanted, index + 1);
    const int64_t steps = lua_isnil(T, index + 2) ? 0 : whole_at(T, c, wanted, index + 2);
    *(double *)pointer_at(arg) = noise;
    *(double *)pointer_at(arg + 1) = data;
    *(int64_t *)pointer_at(arg + 2) = steps;
}

/* Fills a place from the results at `index`; returns how many of them it takes. */
static int read_place(lua_State *T, call *c, char type, void **arg, int index, int64_t n)
{
    dr_embedding e;
    switch (type) {
    case 'k': read_coef(T, c, index, pointer_at(arg)); return 1;
    case 'r': read_range(T, c, index, arg); return 3;
    case 'o': read_order(T, c, index, pointer_at(arg)); return 1;
    case 'g': read_numbers(T, c, index, pointer_at(arg), n + 1, "a list of times, from noise to data"); return 1;
    case 'f': read_info(T, c, index, pointer_at(arg)); return 1;
    case 'm':
        *(int32_t *)pointer_at(arg + 1) = lua_isnil(T, index + 1) ? 0 : (int32_t)whole_at(T, c, "an image and its label", index + 1);
        read_image(T, c, index, pointer_at(arg));
        return 2;
    case 'z': read_image(T, c, index, pointer_at(arg)); return 1;
    case 'V':
        if (lua_type(T, index) == LUA_TNUMBER && c->d->iface.metric.values == 1) {
            *(double *)pointer_at(arg) = lua_tonumber(T, index);
        } else {
            read_numbers(T, c, index, pointer_at(arg), c->d->iface.metric.values, "the metric's values");
        }
        return 1;
    case 'u': read_tokenizer_info(T, c, index, pointer_at(arg)); return 1;
    case 'E':
        table_at(T, c, "an embedding, { scale = { ... }, shift =, gate =, vec =, tokens =, mask = }", index);
        e = bind_check_embedding(T, index);
        *(dr_embedding *)pointer_at(arg) = e;
        bind_retain_embedding(&e);
        return 1;
    default: return 0;
    }
}

static int places_of(char type) { return type == 'r' ? 3 : type == 'm' ? 2 : strchr("kogEfzVu", type) ? 1 : 0; }

static void read_result(lua_State *T, call *c, int index)
{
    const char *s = c->field->signature;
    void **arg = c->arg;
    void **count = NULL;
    for (const char *a = s + 2; *a != ')'; arg += strlen(c_types(*a)), a++) {
        if (*a == 'L' || *a == 'w') count = arg;
    }
    switch (s[0]) {
    case 'T': c->made = dr_retain(tensor_at(T, c, "a tensor", index)); return;
    case 'D': c->real = number_at(T, c, "a number", index); return;
    case 'I': c->whole = whole_at(T, c, "a whole number", index); return;
    case 'W': read_text(T, c, index, count ? pointer_at(count) : NULL); return;
    case 'A': read_ids(T, c, index, pointer_at(count)); return;
    default: return;
    }
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */
static int body(lua_State *T) /* call */
{
    call *c = lua_touserdata(T, 1);
    const char *s = c->field->signature;
    const bool single = strchr("TDIWA", s[0]) != NULL;
    int n = 0, results = single;
    int64_t last = 0;
    luaL_checkstack(T, DEFINE_ARGUMENTS + 16, c->d->component.name);
    define_push(T, c->d, "functions");
    lua_getfield(T, -1, c->field->name);
    void **arg = c->arg;
    for (const char *a = s + 2; *a != ')'; arg += strlen(c_types(*a)), a++) {
        n += push_argument(T, c, *a, arg);
        results += places_of(*a);
        if (*a == 'i') last = *(int64_t *)*arg;
    }
    const int first = lua_gettop(T) - n;
    lua_call(T, n, results);
    arg = c->arg;
    int index = first + single;
    for (const char *a = s + 2; *a != ')'; arg += strlen(c_types(*a)), a++) {
        if (places_of(*a)) index += read_place(T, c, *a, arg, index, last);
    }
    if (results > 0) read_result(T, c, first); /* last: what it retains, nothing after it can lose by an error */
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

static bool may_run(const definition *d)
{
    if (dr_failed() != DR_OK) return false;
    if (!d->state->thread) {
        dr_fail(DR_EUNSUPPORTED, "%s %s was defined by a Lua program that has ended", d->kind->name, d->component.name);
    } else if (!pthread_equal(main_thread, pthread_self())) {
        dr_fail(DR_EUNSUPPORTED, "%s %s is written in Lua, and was called from another thread", d->kind->name, d->component.name);
    } else if (nested >= NESTED) {
        dr_fail(DR_EINVAL, "more than %d calls of components inside one another: does it call itself without an end?", NESTED);
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
static void run_end(call *c)
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

static bool is_end(const define_field *f)
{
    return strcmp(f->signature, "v(s)") == 0;
}

void define_trampoline(ffi_cif *cif, void *result, void **argument, void *user)
{
    (void)cif;
    const define_closure *closure = user;
    call c = { .d = closure->definition, .field = closure->field, .arg = argument };
    const char *s = c.field->signature;
    if (is_end(c.field)) {
        run_end(&c);
        return;
    }
    if ((c.d->kind->flags & DEFINE_AS_WRITTEN) || c.d->as_written)
        dr_plan_refuse("%s %s is written in Lua and decides anew in each call%s", c.d->kind->name, c.d->component.name,
                       c.d->as_written ? " (one that takes rate and step from s.lr_and_step says replay = true)" : "");
    const bool good = define_protected(c.d, body, &c);
    if (good && strchr(s, 'E')) escape_embedding(pointer_at(argument + 3));
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
