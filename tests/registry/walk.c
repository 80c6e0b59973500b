/* walk.c: loops over the registry, see walk.h. */
#include "walk.h"

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

void for_each(const char *kind, int64_t least, void (*test)(const dr_component *c))
{
    int64_t tested = 0;
    for (int64_t i = 0; i < dr_component_count(); i++) {
        const dr_component *c = dr_component_at(i);
        if (kind && !is_kind(c, kind)) continue;
        print_message("    %s %s\n", c->kind, c->name);
        dr_scope_open();
        test(c);
        dr_scope_close();
        if (dr_failed()) fail_msg("%s %s: %s", c->kind, c->name, dr_error_message());
        tested++;
    }
    if (tested < least) fail_msg("only %lld components of kind %s", (long long)tested, kind ? kind : "any");
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
    assert_true(a->args.n < WALK_ARGS);
    a->v[a->args.n++] = arg;
    a->args.v = a->v;
}

static double even_beta(int64_t i, int64_t T) { return 0.01 + 0.2 * (double)i / (double)T; }

static int64_t turned_by_half(int64_t row, int64_t column, int64_t H, int64_t W) { return (H - 1 - row) * W + W - 1 - column; }
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
    if (!is_kind(c, "block")) return;
    const dr_args example = ((const dr_block *)c->iface)->example_args;
    for (int64_t i = 0; i < example.n; i++) add_arg(a, example.v[i]);
}

dr_tensor *noise(dr_dtype dtype, int rank, const int64_t *shape, uint32_t stream)
{
    const dr_rng rng = { .seed = 7, .purpose = dr_purpose("test"), .step = stream };
    return dr_rand_normal(dtype, rank, shape, &rng);
}

double max_difference(dr_tensor *a, dr_tensor *b)
{
    const dr_view *u = dr_tensor_view(a), *v = dr_tensor_view(b);
    if (!u || !v || u->rank != v->rank) return 1e300;
    for (int i = 0; i < u->rank; i++) {
        if (u->shape[i] != v->shape[i]) return 1e300;
    }
    dr_tensor *distance = dr_amax(dr_abs(dr_sub(a, b)), 0, NULL, false);
    const double d = dr_tensor_item(distance);
    return isnan(d) ? 1e300 : d;
}
