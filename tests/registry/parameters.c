/* Every component of the registry: it can be built with its defaults, every parameter takes its bounds and refuses what
 * lies just past them with a message that names it, and a name that it does not know gets a did-you-mean. */
#include "walk.h"

#include <math.h>

static dr_status fill(const dr_component *c, const walk_args *a)
{
    dr_keeper *keeper = NULL;
    void *self = calloc(1, c->self_size + 1);
    assert_non_null(self);
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
    if (fill(c, &a) != DR_OK) fail_msg("%s %s: %s: %s", c->kind, c->name, arg.name, dr_error_message());
}

static void refuses(const dr_component *c, dr_arg arg)
{
    walk_args a;
    default_args(c, &a);
    add_arg(&a, arg);
    if (fill(c, &a) == DR_OK) fail_msg("%s %s: %s took what lies outside", c->kind, c->name, arg.name);
    assert_error_has(arg.name);
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
    fail_msg("no component of kind %s", kind);
    return NULL;
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
    assert_int_not_equal(fill(c, &a), DR_OK);
    snprintf(place, sizeof place, "%s[2]: ", row->name);
    assert_error_has(place);
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
    assert_non_null(row->doc);
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
    default: fail_msg("%s %s: %s has an unknown type", c->kind, c->name, row->name);
    }
}

static void check_component(const dr_component *c)
{
    walk_args a;
    const dr_param *row;
    assert_true(c->name[0] && c->doc && c->doc[0]);
    default_args(c, &a);
    if (fill(c, &a) != DR_OK) fail_msg("%s %s: %s", c->kind, c->name, dr_error_message());
    for (int i = 0; (row = dr_param_at(c, i)); i++) check_parameter(c, row);
    refuses(c, (dr_arg)DR_I("no_such_parameter", 1));
}

static void every_parameter_holds_its_bounds(void **state)
{
    (void)state;
    for_each(NULL, 40, check_component);
}

static void build(const dr_component *c)
{
    walk_args a;
    default_args(c, &a);
    dr_instance *i = dr_instance_new(kind_of(c), c->name, a.args);
    if (!i) fail_msg("%s %s: %s", c->kind, c->name, dr_error_message());
    assert_ptr_equal(i->component, c);
    dr_instance_free(i);
}

static void light_components_are_built_with_defaults(void **state)
{
    (void)state;
    static const char *const kinds[] = { "schedule", "process", "sampler", "guidance", "optim", "decay", "metric", "ema",
                                         "time_sampling", "weighting", "coupling", "timesteps", "view", "filter",
                                         "clip" };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) for_each(kinds[k], 1, build);
}

static void check_required(const dr_component *c)
{
    const dr_param *row;
    for (int i = 0; (row = dr_param_at(c, i)); i++) {
        if (!row->required) continue;
        const walk_args none = { .args = DR_NO_ARGS };
        assert_int_not_equal(fill(c, &none), DR_OK);
        assert_error_has("is required");
        return;
    }
}

static void what_is_required_is_missed(void **state)
{
    (void)state;
    for_each("block", 10, check_required);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_holds_its_bounds),
        cmocka_unit_test(light_components_are_built_with_defaults),
        cmocka_unit_test(what_is_required_is_missed),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
