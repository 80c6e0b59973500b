/* parameters.c: every component: its name is one that scripts can write, it is documented, its parameters' rows make
 * sense; it can be built with its defaults, every parameter takes its bounds and refuses what lies just past them with
 * a message that names it, and a name that it does not know is refused. */
#include "parameters.h"

#include <ctype.h>
#include <math.h>

/* ---- the rows ---------------------------------------------------------------------------------------------------- */

static bool is_snake_case(const char *name)
{
    if (!islower((unsigned char)name[0])) return false;
    for (const char *p = name; *p; p++) {
        if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != '_') return false;
    }
    return true;
}

/* P_mean and s_tmin are the papers' names: parameters may have capitals, components not. */
static bool is_identifier(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_') return false;
    for (const char *p = name; *p; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_') return false;
    }
    return true;
}

static void check_row(const dr_component *c, const dr_param *row)
{
    static const size_t size_of[] = { [DR_PARAM_INT] = sizeof(int64_t),
                                      [DR_PARAM_REAL] = sizeof(double),
                                      [DR_PARAM_BOOL] = sizeof(bool),
                                      [DR_PARAM_STRING] = sizeof(char *),
                                      [DR_PARAM_ENUM] = sizeof(int64_t),
                                      [DR_PARAM_INTS] = sizeof(dr_ints),
                                      [DR_PARAM_REALS] = sizeof(dr_reals),
                                      [DR_PARAM_FUNCTION] = sizeof(dr_function),
                                      [DR_PARAM_COMPONENT] = sizeof(dr_instance *),
                                      [DR_PARAM_COMPONENTS] = sizeof(dr_instances),
                                      [DR_PARAM_TENSOR] = sizeof(dr_tensor *) };
    expect(row->name && is_identifier(row->name), "a parameter is called '%s'", row->name ? row->name : "");
    expect(row->type > DR_PARAM_END && row->type <= DR_PARAM_TENSOR, "parameter %s has type %d, which is none",
           row->name, row->type);
    expect(row->doc && row->doc[0], "parameter %s has no doc", row->name);
    expect(row->offset + size_of[row->type] <= c->self_size,
           "parameter %s lies beyond the component's struct of %zu bytes", row->name, c->self_size);
    if (row->type == DR_PARAM_INT || row->type == DR_PARAM_REAL) {
        expect(row->min <= row->max, "parameter %s is between %g and %g", row->name, row->min, row->max);
        expect(row->required || (row->def >= row->min && row->def <= row->max),
               "parameter %s has the default %g, outside [%g, %g]", row->name, row->def, row->min, row->max);
    }
    if (row->type == DR_PARAM_ENUM) {
        int64_t n = row->choices && row->choices[0] ? 1 : 0;
        for (const char *s = n ? row->choices : ""; *s; s++) n += *s == '|';
        expect(n > 0 && row->def >= 0 && row->def < (double)n, "parameter %s has the default %g of %lld choices",
               row->name, row->def, (long long)n);
    }
}

static void check_documented(const dr_component *c)
{
    const dr_param *row, *other;
    expect(is_snake_case(c->name), "its name is '%s': small letters, digits and _ are what scripts can write", c->name);
    expect(c->doc && c->doc[0], "it has no doc: the line that drift help prints");
    expect(!strchr(c->doc, '\n'), "its doc is more than a line");
    for (int i = 0; (row = dr_param_at(c, i)); i++) {
        check_row(c, row);
        for (int k = 0; k < i && (other = dr_param_at(c, k)); k++)
            expect(strcmp(row->name, other->name) != 0, "two parameters are called %s", row->name);
    }
}

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

dr_status parameters_fill(const dr_component *c, const walk_args *a)
{
    dr_keeper *keeper = NULL;
    void *self = expect_made(calloc(1, c->self_size + 1), "memory");
    const dr_status status = dr_schema_fill(c, a->args, self, &keeper);
    if (status == DR_OK) dr_keeper_free(keeper);
    free(self);
    return status;
}

static void takes(const dr_component *c, dr_arg arg)
{
    walk_args a;
    default_args(c, &a);
    add_arg(&a, arg);
    if (parameters_fill(c, &a) != DR_OK)
        check_fail("parameter %s refuses what lies within its bounds: %s", arg.name, dr_error_message());
}

static void refuses(const dr_component *c, dr_arg arg)
{
    walk_args a;
    default_args(c, &a);
    add_arg(&a, arg);
    expect(parameters_fill(c, &a) != DR_OK, "parameter %s takes what lies outside", arg.name);
    expect_error(arg.name);
}

static dr_arg whole(const char *name, double value) { return (dr_arg)DR_I(name, (int64_t)value); }
static dr_arg real(const char *name, double value) { return (dr_arg)DR_R(name, value); }

enum { EXACT = 1 << 30 }; /* whole bounds beyond this stand for "none" */

static void check_int(const dr_component *c, const dr_param *row)
{
    if (fabs(row->min) <= EXACT) takes(c, whole(row->name, row->min)), refuses(c, whole(row->name, row->min - 1));
    if (fabs(row->max) <= EXACT) takes(c, whole(row->name, row->max)), refuses(c, whole(row->name, row->max + 1));
    refuses(c, real(row->name, row->min + 0.5));
    refuses(c, (dr_arg)DR_S(row->name, "one"));
}

static void check_real(const dr_component *c, const dr_param *row)
{
    const double below = nextafter(row->min, -INFINITY), above = nextafter(row->max, INFINITY);
    if (isfinite(row->min)) takes(c, real(row->name, row->min)), refuses(c, real(row->name, below));
    if (isfinite(row->max)) takes(c, real(row->name, row->max)), refuses(c, real(row->name, above));
    refuses(c, real(row->name, NAN));
    refuses(c, (dr_arg)DR_S(row->name, "one"));
}

static void check_enum(const dr_component *c, const dr_param *row)
{
    int64_t n = 0;
    for (const char *s = row->choices; *s; n++) {
        char choice[64];
        const size_t length = strcspn(s, "|");
        snprintf(choice, sizeof choice, "%.*s", (int)length, s);
        takes(c, (dr_arg)DR_S(row->name, choice));
        s += length + (s[length] == '|');
    }
    refuses(c, (dr_arg)DR_S(row->name, "no such choice"));
    refuses(c, whole(row->name, -1));
    refuses(c, whole(row->name, (double)n));
}

static void check_list(const dr_component *c, const dr_param *row)
{
    const bool ints = row->type == DR_PARAM_INTS;
    const double past = ints ? row->max + 1 : nextafter(row->max, INFINITY);
    dr_ints i = { .n = 1, .v = { (int64_t)row->max } };
    dr_reals r = { .n = 1, .v = { row->max } };
    dr_arg arg = { .name = row->name, .type = row->type, .list = ints ? (void *)&i : (void *)&r };
    if (fabs(row->max) <= EXACT) {
        takes(c, arg);
        i.v[0] = (int64_t)past, r.v[0] = past;
        refuses(c, arg);
    }
    i.n = r.n = DR_LIST_MAX + 1;
    refuses(c, arg);
    refuses(c, whole(row->name, 1));
}

static const dr_component *any_of(const char *kind)
{
    for (int64_t i = 0; i < dr_component_count(); i++) {
        if (is_kind(dr_component_at(i), kind)) return dr_component_at(i);
    }
    check_fail("there is no component of kind %s", kind);
}

/* A list of components: of any length up to the longest, in order; what is wrong with an item names its place. */
static void check_components(const dr_component *c, const dr_param *row)
{
    const dr_component *some = any_of(row->choices);
    walk_args inner;
    default_args(some, &inner);
    dr_arg item[DR_LIST_MAX + 1];
    for (int i = 0; i <= DR_LIST_MAX; i++) item[i] = (dr_arg)DR_C(NULL, some->name, inner.args);
    dr_args items = { item, 0 };
    const dr_arg list = { .name = row->name, .type = DR_PARAM_COMPONENTS, .children = &items };
    takes(c, list);
    items.n = 2;
    takes(c, list);
    item[1] = (dr_arg)DR_C(NULL, "no_such_component", DR_NO_ARGS);
    refuses(c, list);
    char place[128];
    walk_args a;
    default_args(c, &a);
    add_arg(&a, list);
    expect(parameters_fill(c, &a) != DR_OK, "parameter %s takes a component that there is not", row->name);
    snprintf(place, sizeof place, "%s[2]: ", row->name);
    expect_error(place);
    item[1] = whole(NULL, 3);
    refuses(c, list);
    item[1] = item[0];
    items.n = DR_LIST_MAX + 1;
    refuses(c, list);
    refuses(c, whole(row->name, 1));
}

static void check_tensor(const dr_component *c, const dr_param *row)
{
    const bool ints = strcmp(row->choices, "i32") == 0;
    takes(c, (dr_arg)DR_T(row->name, dr_tensor_full(ints ? DR_I32 : DR_F32, DR_SHAPE(2, 3), 1.0)));
    refuses(c, (dr_arg)DR_T(row->name, dr_tensor_full(ints ? DR_F32 : DR_I32, DR_SHAPE(2, 3), 1.0)));
    refuses(c, whole(row->name, 1));
}

static void check_parameter(const dr_component *c, const dr_param *row)
{
    expect(row->doc != NULL, "parameter %s has no doc", row->name);
    switch (row->type) {
    case DR_PARAM_INT: check_int(c, row); break;
    case DR_PARAM_REAL: check_real(c, row); break;
    case DR_PARAM_ENUM: check_enum(c, row); break;
    case DR_PARAM_INTS:
    case DR_PARAM_REALS: check_list(c, row); break;
    case DR_PARAM_BOOL: takes(c, (dr_arg)DR_B(row->name, 1)), refuses(c, (dr_arg)DR_S(row->name, "yes")); break;
    case DR_PARAM_STRING: takes(c, (dr_arg)DR_S(row->name, "a text")), refuses(c, whole(row->name, 1)); break;
    case DR_PARAM_FUNCTION: refuses(c, whole(row->name, 1)); break;
    case DR_PARAM_COMPONENT: refuses(c, whole(row->name, 1)); break;
    case DR_PARAM_COMPONENTS: check_components(c, row); break;
    case DR_PARAM_TENSOR: check_tensor(c, row); break;
    default: check_fail("parameter %s has type %d, which is none", row->name, row->type);
    }
}

static void check_bounds(const dr_component *c)
{
    walk_args a;
    const dr_param *row;
    expect(c->name[0] && c->doc && c->doc[0], "it has no doc");
    default_args(c, &a);
    if (parameters_fill(c, &a) != DR_OK) check_fail("its defaults are refused: %s", dr_error_message());
    for (int i = 0; (row = dr_param_at(c, i)); i++) check_parameter(c, row);
    refuses(c, (dr_arg)DR_I("no_such_parameter", 1));
}

static void check_required(const dr_component *c)
{
    const dr_param *row;
    for (int i = 0; (row = dr_param_at(c, i)); i++) {
        if (!row->required) continue;
        const walk_args none = { .args = DR_NO_ARGS };
        expect(parameters_fill(c, &none) != DR_OK, "it is made without %s, which is required", row->name);
        expect_error("is required");
        return;
    }
}

const check parameter_checks[] = {
    { "is named and documented, and its parameters' rows make sense", check_documented },
    { "every parameter takes its bounds and refuses what is past them", check_bounds },
    { "what is required is missed", check_required },
    { NULL, NULL },
};
