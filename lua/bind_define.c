/* bind_define.c: components that are written in Lua (lua/drift/define.lua checks what a script says). A definition is a
 * dr_component like any plugin's: its rows and its interface are built here, the interface's functions are C closures of
 * the Lua functions, and it is registered under a plugin record of its own, the file that it was written in. What an
 * instance keeps in Lua is a table, found by a number behind the parameters of its struct. A state that closes takes its
 * components out of the registry; instances that are left then fail, and do not call into it. */
#include "define.h"

#include <stdlib.h>
#include <string.h>

static const char STATE = 0; /* registry key of the sentinel */
static definition *all;
static int64_t committed; /* so many so far */

typedef struct source { /* a file that defines components: a plugin without a library */
    dr_plugin plugin;
    const dr_plugin_info *info; /* NULL: its state has closed */
    const define_state *state;
    const char *path;
    struct source *next;
} source;
static source *sources;

char *define_text(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy) dr_fail(DR_ENOMEM, "out of memory for a definition");
    return copy;
}

definition *define_of(const dr_component *c)
{
    definition *d = all;
    while (d && &d->component != c) d = d->next;
    return d;
}

static bool has_one_thread(const dr_component *c) { return define_of(c) != NULL; }

/* ---- building ---------------------------------------------------------------------------------------------------- */
static size_t size_of(int32_t type)
{
    switch (type) {
    case DR_PARAM_INTS: return sizeof(dr_ints);
    case DR_PARAM_REALS: return sizeof(dr_reals);
    case DR_PARAM_COMPONENTS: return sizeof(dr_instances);
    default: return 8;
    }
}

static int32_t type_number(lua_State *L, const char *name)
{
    static const char *const names[] = { "int",   "real",     "bool",      "string",     "enum",  "ints",
                                         "reals", "function", "component", "components", "tensor" };
    for (int i = 0; i < 11; i++) {
        if (strcmp(names[i], name) == 0) return DR_PARAM_INT + i;
    }
    return (int32_t)bind_error(L, "no type \"%s\"", name);
}

/* The list at `rows`, checked by define.lua: { name =, type =, required =, def =, min =, max =, def_text =, choices =, doc = } */
static void build_params(lua_State *L, definition *d, int rows)
{
    const lua_Integer n = luaL_len(L, rows);
    size_t at = 0;
    d->params = calloc((size_t)n + 1, sizeof *d->params);
    if (!d->params) bind_error(L, "out of memory for the parameters of %s", d->component.name);
    for (lua_Integer i = 0; i < n; i++) {
        lua_geti(L, rows, i + 1);
        const int row = lua_gettop(L);
        const int32_t type = type_number(L, bind_option_string(L, row, "type", ""));
        d->params[i] = (dr_param){ .name = define_text(bind_option_string(L, row, "name", NULL)),
                                   .type = type,
                                   .required = bind_option_bool(L, row, "required", false),
                                   .offset = at,
                                   .def = bind_option_number(L, row, "def", 0.0),
                                   .min = bind_option_number(L, row, "min", 0.0),
                                   .max = bind_option_number(L, row, "max", 0.0),
                                   .def_text = define_text(bind_option_string(L, row, "def_text", NULL)),
                                   .choices = define_text(bind_option_string(L, row, "choices", NULL)),
                                   .doc = define_text(bind_option_string(L, row, "doc", "")) };
        at += size_of(type);
        lua_pop(L, 1);
    }
    d->component.params = d->params;
    d->component.param_size = sizeof(dr_param);
    d->tail = at;
    d->component.self_size = at + (d->kind->field[0].signature ? sizeof(define_tail) : 0);
}

static void make_closure(lua_State *L, definition *d, int i)
{
    define_closure *c = &d->closure[i];
    const bool op = d->kind->field[i].signature == NULL;
    void *entry = NULL;
    *c = (define_closure){ .definition = d, .field = &d->kind->field[i] };
    c->code = ffi_closure_alloc(sizeof *c->code, &entry);
    if (!c->code || !(op ? define_op_prepare(c) : define_prepare(c)) ||
        ffi_prep_closure_loc(c->code, &c->cif, op ? define_op_trampoline : define_trampoline, c, entry) != FFI_OK)
        bind_error(L, "this system allows no C function to be made of a Lua function");
    memcpy((char *)&d->iface + c->field->offset, &entry, sizeof entry);
}

/* The functions of the table at `index` become the interface's. */
static void build_functions(lua_State *L, definition *d, int index)
{
    define_push(L, d, "functions");
    for (int i = 0; i < DEFINE_FIELDS && d->kind->field[i].name; i++) {
        if (lua_getfield(L, index, d->kind->field[i].name) == LUA_TFUNCTION) {
            make_closure(L, d, i);
            lua_setfield(L, -2, d->kind->field[i].name);
        } else {
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

static const dr_plugin_info *plugin_for(lua_State *L, const define_state *state, const char *id, const char *path)
{
    for (source *s = sources; s; s = s->next) {
        if (s->info && s->state == state && strcmp(s->path, path) == 0 && strcmp(s->plugin.id, id) == 0) return s->info;
    }
    source *s = calloc(1, sizeof *s);
    if (!s) bind_error(L, "out of memory for a definition");
    s->plugin = (dr_plugin){ .size = sizeof(dr_plugin),
                             .abi_major = DR_ABI_MAJOR,
                             .abi_minor = DR_ABI_MINOR,
                             .id = define_text(id),
                             .version = "Lua",
                             .doc = "components written in Lua" };
    s->state = state;
    s->path = define_text(path);
    s->info = dr_plugin_define(&s->plugin, path);
    s->next = sources;
    sources = s;
    bind_check(L);
    return s->info;
}

static const define_kind *kind_named(lua_State *L, const char *name)
{
    for (int i = 0; i < define_kind_count; i++) {
        if (strcmp(define_kinds[i].name, name) == 0) return &define_kinds[i];
    }
    bind_error(L, "no kind \"%s\"", name);
    return NULL;
}

static define_state *state_of(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &STATE);
    define_state *const *s = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return *s;
}

/* define_prepare(kind, { name =, doc =, source =, path =, id =, params =, functions =, given = }) -> a definition that is
 * not registered yet */
static int core_prepare(lua_State *L)
{
    const define_kind *kind = kind_named(L, luaL_checkstring(L, 1));
    luaL_checktype(L, 2, LUA_TTABLE);
    define_state *state = state_of(L);
    const dr_plugin_info *plugin =
        plugin_for(L, state, bind_option_string(L, 2, "id", "script"), bind_option_string(L, 2, "path", ""));
    definition *d = calloc(1, sizeof *d);
    if (!d) return bind_error(L, "out of memory for a definition");
    d->kind = kind;
    d->state = state;
    d->plugin = plugin;
    d->next = all;
    all = d; /* from here on it is never freed: what was made of it points to it */
    d->iface.size = (uint32_t)kind->size;
    d->component = (dr_component){ .size = sizeof(dr_component),
                                   .kind = kind->kind,
                                   .name = define_text(bind_option_string(L, 2, "name", NULL)),
                                   .doc = define_text(bind_option_string(L, 2, "doc", "")),
                                   .iface = &d->iface,
                                   .source = define_text(bind_option_string(L, 2, "source", NULL)) };
    define_make_tables(L, d);
    lua_getfield(L, 2, "params");
    build_params(L, d, lua_gettop(L));
    lua_getfield(L, 2, "functions");
    build_functions(L, d, lua_gettop(L));
    lua_getfield(L, 2, "given");
    if (kind->constants) kind->constants(L, lua_gettop(L), d);
    lua_getfield(L, 2, "given");
    define_set(L, d, "given");
    bind_check(L);
    lua_pushlightuserdata(L, d);
    return 1;
}

static bool same_rows(const definition *a, const definition *b)
{
    const dr_param *p, *q;
    for (int i = 0;; i++) {
        p = dr_param_at(&a->component, i), q = dr_param_at(&b->component, i);
        if (!p || !q) return p == q;
        if (p->type != q->type || strcmp(p->name, q->name) != 0) return false;
        if (p->type == DR_PARAM_ENUM && strcmp(p->choices, q->choices) != 0) return false;
    }
}

static bool same_functions(const definition *a, const definition *b)
{
    for (int i = 0; i < DEFINE_FIELDS; i++) {
        if ((a->closure[i].code != NULL) != (b->closure[i].code != NULL)) return false;
    }
    return true;
}

/* What was made of `was` runs the functions of `d` from now on. */
static void swap_code(lua_State *L, const definition *was, const definition *d)
{
    define_push(L, d, "functions");
    define_set(L, was, "functions");
}

static definition *check_definition(lua_State *L, int index)
{
    definition *d = all;
    while (d && d != lua_touserdata(L, index)) d = d->next;
    if (!d) bind_error(L, "no definition");
    return d;
}

/* define_commit(definition, replace, swap) -> swapped: registers it. replace: one of the same name that was defined here
 * before goes; swap: what was made of that one, and fits, runs the new functions. */
static int core_commit(lua_State *L)
{
    definition *d = check_definition(L, 1);
    const bool replace = lua_toboolean(L, 2), swap = lua_toboolean(L, 3);
    bool swapped = false;
    definition *was = NULL;
    for (definition *o = all; o && replace; o = o->next) {
        if (o->registered && o->kind == d->kind && strcmp(o->component.name, d->component.name) == 0) was = o;
    }
    if (was) {
        dr_registry_remove(&was->component);
        was->registered = false;
    }
    if (dr_registry_add(&d->component, d->plugin) != DR_OK) bind_check(L);
    d->registered = true;
    committed++;
    for (definition *o = all; o && swap; o = o->next) { /* also those that were replaced before */
        if (o == d || o->state != d->state || o->kind != d->kind || strcmp(o->component.name, d->component.name) != 0)
            continue;
        if (!same_rows(o, d) || !same_functions(o, d)) continue;
        swap_code(L, o, d);
        swapped = true;
    }
    if (was) dr_plan_outdate(); /* what is replayed may be the old one's */
    lua_pushboolean(L, swapped || !was);
    return 1;
}

/* ---- looking ------------------------------------------------------------------------------------------------------ */
static int
core_define_kinds(lua_State *L) /* { sampler = { step = true, grid = false }, ... }: functions, required or not */
{
    lua_newtable(L);
    for (int i = 0; i < define_kind_count; i++) {
        lua_newtable(L);
        for (const define_field *f = define_kinds[i].field; f < define_kinds[i].field + DEFINE_FIELDS && f->name; f++) {
            lua_pushboolean(L, f->required);
            lua_setfield(L, -2, f->name);
        }
        lua_setfield(L, -2, define_kinds[i].name);
    }
    return 1;
}

/* definition(kind, name) -> { functions =, given =, path = }, or nil where it is not written in Lua, or not of this state */
static int core_definition(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
    const define_state *state = state_of(L);
    for (definition *d = all; d; d = d->next) {
        if (!d->registered || d->state != state || strcmp(d->kind->name, kind) != 0 ||
            strcmp(d->component.name, name) != 0)
            continue;
        lua_createtable(L, 0, 3);
        define_push(L, d, "functions");
        lua_setfield(L, -2, "functions");
        define_push(L, d, "given");
        lua_setfield(L, -2, "given");
        lua_pushstring(L, d->plugin->path);
        lua_setfield(L, -2, "path");
        return 1;
    }
    return 0;
}

static int core_definitions(lua_State *L) /* a number that changes when one is added or replaced */
{
    lua_pushinteger(L, committed);
    return 1;
}

/* ---- life of a state ---------------------------------------------------------------------------------------------- */
/* Made before all that a script makes, and so the last to be collected when the state closes. */
static int state_gc(lua_State *L)
{
    define_state *state = *(define_state **)lua_touserdata(L, 1);
    for (source *s = sources; s; s = s->next) {
        if (s->state != state || !s->info) continue;
        dr_plugin_undefine(s->info);
        s->info = NULL;
    }
    for (definition *d = all; d; d = d->next) {
        if (d->state == state) d->registered = false;
    }
    state->thread = NULL;
    return 0;
}

static void open_state(lua_State *L)
{
    static const dr_definition_hooks hooks = { define_self_goes, has_one_thread };
    static define_state *states; /* reachable until the process ends: definitions point to them */
    define_state **sentinel = lua_newuserdatauv(L, sizeof(define_state *), 1);
    define_state *state = calloc(1, sizeof *state);
    if (!state) luaL_error(L, "out of memory");
    state->next = states;
    states = state;
    *sentinel = state;
    state->thread = lua_newthread(L);
    lua_setiuservalue(L, -2, 1);
    lua_newtable(L);
    lua_pushcfunction(L, state_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &STATE);
    define_open_tables(L);
    dr_set_definition_hooks(&hooks);
}

void bind_open_define(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "define_prepare", core_prepare }, { "define_commit", core_commit },    { "define_kinds", core_define_kinds },
        { "definition", core_definition },  { "definitions", core_definitions }, { NULL, NULL },
    };
    define_note_thread();
    open_state(L);
    define_open_views(L);
    luaL_setfuncs(L, functions, 0);
}
