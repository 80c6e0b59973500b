/* components.c: components and the arguments that checks build them with, see check.h. */
#include "check.h"

#include <math.h>

bool is_kind(const dr_component *c, const char *kind)
{
    return strncmp(c->kind, kind, strlen(kind)) == 0 && c->kind[strlen(kind)] == '/';
}

const char *kind_of(const dr_component *c)
{
    static char kind[64];
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(c->kind, "/"), c->kind);
    return kind;
}

const dr_param *has_param(const dr_component *c, const char *name)
{
    const dr_param *row;
    for (int i = 0; (row = dr_param_at(c, i)); i++) {
        if (strcmp(row->name, name) == 0) return row;
    }
    return NULL;
}

void add_arg(walk_args *a, dr_arg arg)
{
    expect(a->args.n < WALK_ARGS, "a check gives a component more than %d parameters", WALK_ARGS);
    a->v[a->args.n++] = arg;
    a->args.v = a->v;
}

/* ---- what the user gave ------------------------------------------------------------------------------------------ */

enum { GIVEN = 64 };
static struct given {
    char component[64], param[64];
    const char *value;
} given[GIVEN];
static int given_count;

bool check_given(const char *text)
{
    const char *dot = strchr(text, '.'), *equals = strchr(text, '=');
    if (!dot || !equals || dot > equals || given_count == GIVEN) return false;
    if (dot - text >= 64 || equals - dot > 64) return false;
    struct given *g = &given[given_count++];
    snprintf(g->component, sizeof g->component, "%.*s", (int)(dot - text), text);
    snprintf(g->param, sizeof g->param, "%.*s", (int)(equals - dot - 1), dot + 1);
    g->value = equals + 1;
    return true;
}

/* A text is what the row's type makes of it; the core refuses what does not fit. */
static dr_arg read_given(const dr_param *row, const char *value)
{
    dr_arg arg = { .name = row->name, .type = row->type };
    switch (row->type) {
    case DR_PARAM_INT: arg.i = strtoll(value, NULL, 10); break;
    case DR_PARAM_REAL: arg.r = strtod(value, NULL); break;
    case DR_PARAM_BOOL: arg.i = strcmp(value, "true") == 0; break;
    case DR_PARAM_COMPONENT: arg.text = value; break;
    default:
        arg.type = DR_PARAM_STRING;
        arg.text = value;
        break;
    }
    return arg;
}

static void add_given(const dr_component *c, walk_args *a)
{
    for (int i = 0; i < given_count; i++) {
        const dr_param *row = strcmp(given[i].component, c->name) == 0 ? dr_param_find(c, given[i].param) : NULL;
        if (row) add_arg(a, read_given(row, given[i].value));
    }
}

/* ---- defaults ---------------------------------------------------------------------------------------------------- */

static double even_beta(int64_t i, int64_t T) { return 0.01 + 0.2 * (double)i / (double)T; }
static int64_t turned_by_half(int64_t row, int64_t column, int64_t H, int64_t W)
{
    return (H - 1 - row) * W + W - 1 - column;
}
static dr_tensor *negative(dr_tensor *x) { return dr_scale(-1.0, x); }

/* A function of that signature; NULL: none here. */
static dr_function example_function(const char *signature)
{
    if (strcmp(signature, "real(int,int)") == 0) return (dr_function)even_beta;
    if (strcmp(signature, "int(int,int,int,int)") == 0) return (dr_function)turned_by_half;
    if (strcmp(signature, "tensor(tensor)") == 0) return (dr_function)negative;
    return NULL;
}

static dr_arg least_value(const dr_param *row)
{
    static const dr_ints widths = { .n = 2, .v = { 4, 3 } };
    static const dr_reals numbers = { .n = 1, .v = { 1.0 } };
    dr_arg arg = { .name = row->name, .type = row->type };
    switch (row->type) {
    case DR_PARAM_INT: arg.i = (int64_t)row->min; break;
    case DR_PARAM_REAL: arg.r = row->min; break;
    case DR_PARAM_STRING: arg.text = "text"; break;
    case DR_PARAM_ENUM: arg.type = DR_PARAM_INT; break;
    case DR_PARAM_INTS: arg.list = &widths; break;
    case DR_PARAM_REALS: arg.list = &numbers; break;
    case DR_PARAM_FUNCTION: arg.fn = example_function(row->choices); break;
    default: break;
    }
    return arg;
}

void default_args(const dr_component *c, walk_args *a)
{
    const dr_param *row;
    *a = (walk_args){ .args = { .v = a->v, .n = 0 } };
    for (int i = 0; (row = dr_param_at(c, i)); i++) {
        const bool sites = is_kind(c, "conditioning") && strcmp(row->name, "channels") == 0;
        const bool function = row->type == DR_PARAM_FUNCTION && example_function(row->choices);
        if (row->required || sites || function) add_arg(a, least_value(row));
    }
    if (is_kind(c, "block")) {
        const dr_args example = ((const dr_block *)c->iface)->example_args;
        for (int64_t i = 0; i < example.n; i++) add_arg(a, example.v[i]);
    }
    add_given(c, a);
}

dr_instance *built(const char *kind, const char *name, dr_args args)
{
    return expect_made(dr_instance_new(kind, name, args), "it cannot be made");
}

dr_instance *instance_of(const dr_component *c)
{
    walk_args a;
    default_args(c, &a);
    return built(kind_of(c), c->name, a.args);
}

void for_each_choice(const dr_component *c, const char *param, void (*what)(const dr_component *c, dr_args args))
{
    const dr_param *row = has_param(c, param);
    walk_args a;
    default_args(c, &a);
    what(c, a.args);
    if (!row || row->type != DR_PARAM_ENUM) return;
    for (const char *s = row->choices; *s;) {
        char choice[64];
        const size_t length = strcspn(s, "|");
        snprintf(choice, sizeof choice, "%.*s", (int)length, s);
        check_note("    %s = %s", param, choice);
        default_args(c, &a);
        add_arg(&a, (dr_arg)DR_S(row->name, choice));
        what(c, a.args);
        s += length + (s[length] == '|');
    }
}
