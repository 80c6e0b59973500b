/* define_values.c: the arguments of an interface's function as Lua values, and what its Lua function returns as C has it,
 * each by its character in the row's signature (define.h). */
#include "define.h"

#include <string.h>

/* ---- arguments --------------------------------------------------------------------------------------------------- */
void *define_pointer_at(void **arg) { return *(void **)*arg; }

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
int define_push_argument(lua_State *T, define_call *c, char type, void **arg)
{
    static const char *const splits[] = { "train", "test" };
    switch (type) {
    case 's': define_push_self(T, c->d, define_pointer_at(arg)); return 1;
    case 'x': bind_push_borrowed(T, define_pointer_at(arg)); return 1;
    case 'd': lua_pushnumber(T, *(double *)*arg); return 1;
    case 'i': lua_pushinteger(T, *(int64_t *)*arg); return 1;
    case 'n': lua_pushinteger(T, *(int *)*arg + 1); return 1;
    case 'N': lua_pushstring(T, splits[*(int *)*arg == DR_TEST]); return 1;
    case 'C': define_push_view(T, "drift.context", define_pointer_at(arg)); return 1;
    case 'B': define_push_builder(T, define_pointer_at(arg), c->d, define_pointer_at(c->arg)); return 1;
    case 'M': define_push_view(T, "drift.inner_model", define_pointer_at(arg)); return 1;
    case 'c': define_push_view(T, "drift.condition", define_pointer_at(arg)); return 1;
    case 'P': define_push_view(T, "drift.inner_process", define_pointer_at(arg)); return 1;
    case 'K': define_push_coef(T, define_pointer_at(arg)); return 1;
    case 'R': define_push_rng(T, define_pointer_at(arg)); return 1;
    case 'b': push_batch_cond(T, define_pointer_at(arg)); return 1;
    case 'e': bind_push_embedding(T, define_pointer_at(arg)); return 1;
    case 'O': push_optim_state(T, c->d, define_pointer_at(arg)); return 1;
    case 'j': push_rows(T, define_pointer_at(arg), *(int64_t *)arg[1]); return 1;
    case 't': lua_pushlstring(T, define_pointer_at(arg), *(size_t *)arg[1]); return 1;
    case 'J': push_ids(T, define_pointer_at(arg), *(int64_t *)arg[1]); return 1;
    default: return 0;
    }
}

/* ---- results ----------------------------------------------------------------------------------------------------- */
static void wrong(lua_State *T, const define_call *c, const char *wanted, int index)
{
    const char *type = bind_typename(T, index);
    lua_Debug where = { 0 };
    define_push(T, c->d, "functions");
    lua_getfield(T, -1, c->field->name);
    lua_getinfo(T, ">S", &where);
    bind_error(T, "%s of %s:%d must return %s, got a %s", c->field->name, where.short_src, where.linedefined, wanted,
               type);
}

static double number_at(lua_State *T, const define_call *c, const char *wanted, int index)
{
    if (lua_type(T, index) != LUA_TNUMBER) wrong(T, c, wanted, index);
    return lua_tonumber(T, index);
}

static int64_t whole_at(lua_State *T, const define_call *c, const char *wanted, int index)
{
    int whole;
    const int64_t value = lua_tointegerx(T, index, &whole);
    if (!whole || lua_type(T, index) != LUA_TNUMBER) wrong(T, c, wanted, index);
    return value;
}

static void table_at(lua_State *T, const define_call *c, const char *wanted, int index)
{
    if (!lua_istable(T, index)) wrong(T, c, wanted, index);
}

static dr_tensor *tensor_at(lua_State *T, const define_call *c, const char *wanted, int index)
{
    if (!bind_test_handle(T, index)) wrong(T, c, wanted, index);
    return bind_check_tensor(T, index);
}

static void read_coef(lua_State *T, const define_call *c, int index, dr_coef *to)
{
    static const char wanted[] = "{ alpha =, sigma =, dalpha =, dsigma =, p =, q =, c_in = 1, time = t, weight = 1 }";
    const struct {
        const char *name;
        double *value;
        bool required;
    } field[] = {
        { "alpha", &to->alpha, true },   { "sigma", &to->sigma, true }, { "dalpha", &to->dalpha, true },
        { "dsigma", &to->dsigma, true }, { "p", &to->p, true },         { "q", &to->q, true },
        { "c_in", &to->c_in, false },    { "time", &to->time, false },  { "weight", &to->weight, false },
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

static int64_t rows_of(const define_call *c) /* of the first tensor among the arguments */
{
    return dr_tensor_view(define_pointer_at(c->arg + 1))->shape[0];
}

static void read_order(lua_State *T, const define_call *c, int index, int64_t *to)
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

static void read_numbers(lua_State *T, const define_call *c, int index, double *to, int64_t n, const char *wanted)
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

static void push_held(lua_State *T, const define_call *c) /* the table of what lives as long as the instance */
{
    const define_tail *tail = (const void *)((const char *)define_pointer_at(c->arg) + c->d->tail);
    define_push(T, c->d, "held");
    lua_rawgeti(T, -1, tail->number);
    lua_remove(T, -2);
}

static void read_info(lua_State *T, const define_call *c, int index, dr_dataset_info *to)
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
        bind_error(
            T,
            "info must return n, channels, height, width (and classes, source): images of %lldx%lldx%lld, %lld of them",
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

static void read_image(lua_State *T, const define_call *c, int index, float *to)
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
        bind_error(T, "%s returned %s where info promises %lld numbers", c->field->name,
                   dr_view_text(v, text, sizeof text), (long long)pixels);
    dr_tensor_read(t, DR_F32, to);
    bind_check(T);
}

static void read_tokenizer_info(lua_State *T, const define_call *c, int index, dr_tokenizer_info *to)
{
    table_at(T, c, "{ pieces =, pad =, eos =, unk = }", index);
    *to = (dr_tokenizer_info){ .pieces = bind_option_integer(T, index, "pieces", -1),
                               .pad = bind_option_integer(T, index, "pad", -1),
                               .eos = bind_option_integer(T, index, "eos", -1),
                               .unk = bind_option_integer(T, index, "unk", -1) };
    if (to->pieces < 1) bind_error(T, "info must return { pieces =, pad =, eos =, unk = }, with one piece at least");
}

static void read_ids(lua_State *T, define_call *c, int index, int64_t *count)
{
    table_at(T, c, "a list of ids", index);
    const int64_t n = luaL_len(T, index);
    if (n < 0 || n > INT32_MAX) bind_error(T, "%s returned %lld ids", c->field->name, (long long)n);
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

static void read_text(lua_State *T, define_call *c, int index, size_t *bytes)
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

static void read_range(lua_State *T, const define_call *c, int index, void **arg)
{
    static const char wanted[] = "t_noise, t_data, steps (0 for continuous time)";
    const double noise = number_at(T, c, wanted, index), data = number_at(T, c, wanted, index + 1);
    const int64_t steps = lua_isnil(T, index + 2) ? 0 : whole_at(T, c, wanted, index + 2);
    *(double *)define_pointer_at(arg) = noise;
    *(double *)define_pointer_at(arg + 1) = data;
    *(int64_t *)define_pointer_at(arg + 2) = steps;
}

/* Fills a place from the results at `index`; returns how many of them it takes. */
int define_read_place(lua_State *T, define_call *c, char type, void **arg, int index, int64_t n)
{
    dr_embedding e;
    switch (type) {
    case 'k': read_coef(T, c, index, define_pointer_at(arg)); return 1;
    case 'r': read_range(T, c, index, arg); return 3;
    case 'o': read_order(T, c, index, define_pointer_at(arg)); return 1;
    case 'g': read_numbers(T, c, index, define_pointer_at(arg), n + 1, "a list of times, from noise to data"); return 1;
    case 'f': read_info(T, c, index, define_pointer_at(arg)); return 1;
    case 'm':
        *(int32_t *)define_pointer_at(arg + 1) =
            lua_isnil(T, index + 1) ? 0 : (int32_t)whole_at(T, c, "an image and its label", index + 1);
        read_image(T, c, index, define_pointer_at(arg));
        return 2;
    case 'z': read_image(T, c, index, define_pointer_at(arg)); return 1;
    case 'V':
        if (lua_type(T, index) == LUA_TNUMBER && c->d->iface.metric.values == 1) {
            *(double *)define_pointer_at(arg) = lua_tonumber(T, index);
        } else {
            read_numbers(T, c, index, define_pointer_at(arg), c->d->iface.metric.values, "the metric's values");
        }
        return 1;
    case 'u': read_tokenizer_info(T, c, index, define_pointer_at(arg)); return 1;
    case 'E':
        table_at(T, c, "an embedding, { scale = { ... }, shift =, gate =, vec =, tokens =, mask = }", index);
        e = bind_check_embedding(T, index);
        *(dr_embedding *)define_pointer_at(arg) = e;
        bind_retain_embedding(&e);
        return 1;
    default: return 0;
    }
}

int define_places_of(char type) { return type == 'r' ? 3 : type == 'm' ? 2 : strchr("kogEfzVu", type) ? 1 : 0; }

void define_read_result(lua_State *T, define_call *c, int index)
{
    const char *s = c->field->signature;
    void **arg = c->arg;
    void **count = NULL;
    for (const char *a = s + 2; *a != ')'; arg += strlen(define_c_types(*a)), a++) {
        if (*a == 'L' || *a == 'w') count = arg;
    }
    switch (s[0]) {
    case 'T': c->made = dr_retain(tensor_at(T, c, "a tensor", index)); return;
    case 'D': c->real = number_at(T, c, "a number", index); return;
    case 'I': c->whole = whole_at(T, c, "a whole number", index); return;
    case 'W': read_text(T, c, index, count ? define_pointer_at(count) : NULL); return;
    case 'A': read_ids(T, c, index, define_pointer_at(count)); return;
    default: return;
    }
}
