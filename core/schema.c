/* schema.c: from named arguments to a component's struct, by the component's parameter rows: defaults, types, ranges,
 * choices, required ones, unknown names. The one place where a parameter is refused. */
#include "reload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a filled struct points to: copied strings, instances made for component parameters, and tensors. */
typedef struct kept {
    struct kept *next;
    dr_instance *instance;
    dr_tensor *tensor;
    char text[];
} kept;

struct dr_keeper {
    kept *first;
    dr_args *given; /* what the struct was filled from; NULL: not remembered */
};

void dr_keeper_free(dr_keeper *k)
{
    if (!k) return;
    while (k->first) {
        kept *next = k->first->next;
        dr_instance_free(k->first->instance);
        dr_release(k->first->tensor);
        free(k->first);
        k->first = next;
    }
    dr_args_free(k->given);
    free(k);
}

dr_status dr_keeper_remember(dr_keeper *k, dr_args given)
{
    k->given = dr_args_copy(given);
    return k->given ? DR_OK : dr_failed();
}

dr_args dr_keeper_given(const dr_keeper *k) { return k && k->given ? *k->given : DR_NO_ARGS; }

bool dr_keeper_uses(const dr_keeper *k, const dr_plugin *p)
{
    for (const kept *e = k ? k->first : NULL; e; e = e->next) {
        if (e->instance && dr_instance_uses(e->instance, p)) return true;
    }
    return false;
}

bool dr_keeper_has_one_thread(const dr_keeper *k)
{
    const dr_args given = dr_keeper_given(k);
    for (int64_t i = 0; i < given.n; i++) {
        if (given.v[i].type == DR_PARAM_FUNCTION) return true; /* a script's */
    }
    for (const kept *e = k ? k->first : NULL; e; e = e->next) {
        if (e->instance && dr_instance_has_one_thread(e->instance)) return true;
    }
    return false;
}

static kept *keep(dr_keeper *k, size_t text_bytes)
{
    kept *e = calloc(1, sizeof *e + text_bytes);
    if (!e) {
        dr_fail(DR_ENOMEM, "out of memory for a parameter");
        return NULL;
    }
    e->next = k->first;
    k->first = e;
    return e;
}

static int kind_length(const dr_component *c) { return (int)strcspn(c->kind, "/"); }

const dr_param *dr_param_at(const dr_component *c, int i)
{
    if (!c->params) return NULL;
    const char *row = (const char *)c->params;
    for (int k = 0;; k++, row += c->param_size) {
        const dr_param *p = (const dr_param *)(const void *)row;
        if (p->type == DR_PARAM_END) return NULL;
        if (k == i) return p;
    }
}

const dr_param *dr_param_find(const dr_component *c, const char *name)
{
    enum { NAMES = 64 };
    const char *known[NAMES] = { NULL };
    int64_t n = 0;
    const dr_param *p;
    for (int i = 0; (p = dr_param_at(c, i)); i++) {
        if (strcmp(p->name, name) == 0) return p;
        if (n < NAMES) known[n++] = p->name;
    }
    const char *near = dr_nearest(name, known, n);
    char names[512] = "";
    for (int64_t i = 0, used = 0; i < n && used < (int64_t)sizeof names - 1; i++) {
        used += snprintf(names + used, sizeof names - (size_t)used, "%s%s", i ? ", " : "", known[i]);
    }
    if (near) {
        dr_fail(DR_EINVAL, "%.*s %s: no parameter '%s'; did you mean '%s'?", kind_length(c), c->kind, c->name, name, near);
    } else {
        dr_fail(DR_EINVAL, "%.*s %s: no parameter '%s'; it takes %s", kind_length(c), c->kind, c->name, name, n ? names : "none");
    }
    return NULL;
}

/* ---- one value ------------------------------------------------------------------------------------------------------- */

typedef struct filling {
    const dr_component *component;
    char *self;
    dr_keeper *keeper;
} filling;

static const char *type_text(int32_t type)
{
    static const char *const text[] = { "nothing", "a whole number", "a number", "true or false", "a string", "one of its names",
                                        "a list of whole numbers", "a list of numbers", "a function", "a component",
                                        "a list of components", "a tensor" };
    return (unsigned)type < sizeof text / sizeof *text ? text[type] : "?";
}

static dr_status fail_type(const filling *f, const dr_param *p, const dr_arg *a)
{
    return dr_fail(DR_EINVAL, "%.*s %s: %s takes %s, got %s", kind_length(f->component), f->component->kind, f->component->name, p->name,
                   type_text(p->type), type_text(a->type));
}

static dr_status fail_range(const filling *f, const dr_param *p, double value)
{
    return dr_fail(DR_EINVAL, "%.*s %s: %s = %.10g is outside [%.10g, %.10g]", kind_length(f->component), f->component->kind,
                   f->component->name, p->name, value, p->min, p->max);
}

static bool in_range(const dr_param *p, double v) { return v >= p->min && v <= p->max; } /* false for NaN */

static dr_status set_number(const filling *f, const dr_param *p, const dr_arg *a)
{
    if (a->type != DR_PARAM_INT && a->type != DR_PARAM_REAL) return fail_type(f, p, a);
    const double value = a->type == DR_PARAM_INT ? (double)a->i : a->r;
    if (!in_range(p, value)) return fail_range(f, p, value);
    if (p->type == DR_PARAM_REAL) {
        *(double *)(void *)(f->self + p->offset) = value;
        return DR_OK;
    }
    if (a->type == DR_PARAM_REAL && (value != floor(value) || fabs(value) > 0x1p53)) return fail_type(f, p, a);
    *(int64_t *)(void *)(f->self + p->offset) = a->type == DR_PARAM_INT ? a->i : (int64_t)value;
    return DR_OK;
}

static dr_status set_enum(const filling *f, const dr_param *p, const dr_arg *a)
{
    if (a->type == DR_PARAM_INT) { /* from C: by index */
        int64_t n = 1;
        for (const char *s = p->choices; *s; s++) n += *s == '|';
        if (a->i < 0 || a->i >= n) return dr_fail(DR_EINVAL, "%s: %s: no choice number %lld", f->component->name, p->name, (long long)a->i);
        *(int64_t *)(void *)(f->self + p->offset) = a->i;
        return DR_OK;
    }
    if (a->type != DR_PARAM_STRING) return fail_type(f, p, a);
    int64_t index = 0;
    for (const char *s = p->choices;; index++) {
        const size_t n = strcspn(s, "|");
        if (strlen(a->text) == n && strncmp(s, a->text, n) == 0) {
            *(int64_t *)(void *)(f->self + p->offset) = index;
            return DR_OK;
        }
        if (!s[n]) break;
        s += n + 1;
    }
    return dr_fail(DR_EINVAL, "%.*s %s: %s = '%s' is not one of %s", kind_length(f->component), f->component->kind, f->component->name, p->name,
                   a->text, p->choices);
}

static dr_status set_list(const filling *f, const dr_param *p, const dr_arg *a)
{
    if (a->type != DR_PARAM_INTS && a->type != DR_PARAM_REALS) return fail_type(f, p, a);
    const dr_ints *ints = a->type == DR_PARAM_INTS ? a->list : NULL;
    const dr_reals *reals = a->type == DR_PARAM_REALS ? a->list : NULL;
    const int64_t n = ints ? ints->n : reals->n;
    if (n < 0 || n > DR_LIST_MAX) return dr_fail(DR_EINVAL, "%s: %s has %lld entries; at most %d", f->component->name, p->name, (long long)n, DR_LIST_MAX);
    for (int64_t i = 0; i < n; i++) {
        const double value = ints ? (double)ints->v[i] : reals->v[i];
        if (!in_range(p, value)) return fail_range(f, p, value);
        if (p->type == DR_PARAM_REALS) {
            ((dr_reals *)(void *)(f->self + p->offset))->v[i] = value;
        } else {
            if (value != floor(value)) return fail_type(f, p, a);
            ((dr_ints *)(void *)(f->self + p->offset))->v[i] = ints ? ints->v[i] : (int64_t)value;
        }
    }
    /* both list types begin with n */
    *(int64_t *)(void *)(f->self + p->offset) = n;
    return DR_OK;
}

static dr_status set_text(const filling *f, const dr_param *p, const char *text)
{
    if (!text) return DR_OK;
    kept *e = keep(f->keeper, strlen(text) + 1);
    if (!e) return dr_failed();
    strcpy(e->text, text);
    *(const char **)(void *)(f->self + p->offset) = e->text;
    return DR_OK;
}

/* choices is "kind" or "kind:default_name" */
static dr_status set_component(const filling *f, const dr_param *p, const char *name, dr_args args)
{
    char kind[64];
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(p->choices, ":"), p->choices);
    if (!name && strchr(p->choices, ':')) name = strchr(p->choices, ':') + 1;
    if (!name) return DR_OK;
    kept *e = keep(f->keeper, 0);
    if (!e) return dr_failed();
    e->instance = dr_instance_new(kind, name, args);
    dr_instance_hold(e->instance);
    *(dr_instance **)(void *)(f->self + p->offset) = e->instance;
    return e->instance ? DR_OK : dr_failed();
}

/* What is wrong with an item says so itself ("view flip: axis ..."); here its place is put in front. */
static dr_status fail_item(const filling *f, const dr_param *p, int64_t i)
{
    const dr_status status = dr_failed();
    char why[1024];
    snprintf(why, sizeof why, "%s", dr_error_message());
    dr_error_clear();
    return dr_fail(status, "%.*s %s: %s[%lld]: %s", kind_length(f->component), f->component->kind, f->component->name, p->name,
                   (long long)i + 1, why);
}

/* Items are counted from 1 in messages, as scripts count. */
static dr_status set_components(const filling *f, const dr_param *p, const dr_arg *a)
{
    if (a->type != DR_PARAM_COMPONENTS) return fail_type(f, p, a);
    const dr_args items = a->children ? *a->children : DR_NO_ARGS;
    dr_instances *list = (void *)(f->self + p->offset);
    if (items.n < 0 || items.n > DR_LIST_MAX) {
        return dr_fail(DR_EINVAL, "%.*s %s: %s has %lld entries; at most %d", kind_length(f->component), f->component->kind,
                       f->component->name, p->name, (long long)items.n, DR_LIST_MAX);
    }
    for (int64_t i = 0; i < items.n; i++) {
        const dr_arg *item = &items.v[i];
        if ((item->type != DR_PARAM_COMPONENT && item->type != DR_PARAM_STRING) || !item->text) {
            return dr_fail(DR_EINVAL, "%.*s %s: %s[%lld] takes a %s, got %s", kind_length(f->component), f->component->kind,
                           f->component->name, p->name, (long long)i + 1, p->choices, type_text(item->type));
        }
        kept *e = keep(f->keeper, 0);
        if (!e) return dr_failed();
        e->instance = dr_instance_new(p->choices, item->text, item->children ? *item->children : DR_NO_ARGS);
        if (!e->instance) return fail_item(f, p, i);
        dr_instance_hold(e->instance);
        list->v[i] = e->instance;
        list->n = i + 1;
    }
    return DR_OK;
}

static dr_status set_tensor(const filling *f, const dr_param *p, const dr_arg *a)
{
    if (a->type != DR_PARAM_TENSOR) return fail_type(f, p, a);
    dr_tensor *t = (dr_tensor *)(uintptr_t)a->list; /* the argument's list is const for the sake of the other types */
    const dr_view *v = dr_tensor_view(t);
    if (!v) return DR_OK;
    if (strcmp(dr_dtype_name((dr_dtype)v->dtype), p->choices) != 0) {
        char text[128];
        return dr_fail(DR_ESHAPE, "%.*s %s: %s takes a tensor of %s, got %s", kind_length(f->component), f->component->kind,
                       f->component->name, p->name, p->choices, dr_view_text(v, text, sizeof text));
    }
    kept *e = keep(f->keeper, 0);
    if (!e) return dr_failed();
    e->tensor = dr_retain(t);
    *(dr_tensor **)(void *)(f->self + p->offset) = t;
    return DR_OK;
}

static dr_status set(const filling *f, const dr_param *p, const dr_arg *a)
{
    switch (p->type) {
    case DR_PARAM_INT:
    case DR_PARAM_REAL: return set_number(f, p, a);
    case DR_PARAM_ENUM: return set_enum(f, p, a);
    case DR_PARAM_INTS:
    case DR_PARAM_REALS: return set_list(f, p, a);
    case DR_PARAM_BOOL:
        if (a->type != DR_PARAM_BOOL) return fail_type(f, p, a);
        *(_Bool *)(void *)(f->self + p->offset) = a->i != 0;
        return DR_OK;
    case DR_PARAM_STRING: return a->type == DR_PARAM_STRING ? set_text(f, p, a->text) : fail_type(f, p, a);
    case DR_PARAM_FUNCTION:
        if (a->type != DR_PARAM_FUNCTION) return fail_type(f, p, a);
        *(dr_function *)(void *)(f->self + p->offset) = a->fn;
        return DR_OK;
    case DR_PARAM_COMPONENT:
        if (a->type != DR_PARAM_COMPONENT && a->type != DR_PARAM_STRING) return fail_type(f, p, a);
        return set_component(f, p, a->text, a->children ? *a->children : DR_NO_ARGS);
    case DR_PARAM_COMPONENTS: return set_components(f, p, a);
    case DR_PARAM_TENSOR: return set_tensor(f, p, a);
    default: return dr_fail(DR_EABI, "%s: parameter %s has a type that this Drift does not know", f->component->name, p->name);
    }
}

static dr_status set_default(const filling *f, const dr_param *p)
{
    switch (p->type) {
    case DR_PARAM_INT:
    case DR_PARAM_ENUM: *(int64_t *)(void *)(f->self + p->offset) = (int64_t)p->def; return DR_OK;
    case DR_PARAM_REAL: *(double *)(void *)(f->self + p->offset) = p->def; return DR_OK;
    case DR_PARAM_BOOL: *(_Bool *)(void *)(f->self + p->offset) = p->def != 0; return DR_OK;
    case DR_PARAM_STRING: return set_text(f, p, p->def_text);
    case DR_PARAM_COMPONENT: return set_component(f, p, NULL, DR_NO_ARGS);
    default: return DR_OK; /* empty list, no function, no tensor */
    }
}

static const dr_arg *given(dr_args args, const char *name)
{
    for (int64_t i = args.n - 1; i >= 0; i--) {
        if (strcmp(args.v[i].name, name) == 0) return &args.v[i];
    }
    return NULL;
}

dr_status dr_schema_fill(const dr_component *c, dr_args args, void *self, dr_keeper **keeper)
{
    *keeper = NULL;
    if (dr_failed()) return dr_failed();
    for (int64_t i = 0; i < args.n; i++) {
        if (!dr_param_find(c, args.v[i].name)) return dr_failed();
    }
    filling f = { .component = c, .self = self, .keeper = calloc(1, sizeof(dr_keeper)) };
    if (!f.keeper) return dr_fail(DR_ENOMEM, "out of memory for %s", c->name);
    const dr_param *p;
    dr_status status = DR_OK;
    for (int i = 0; status == DR_OK && (p = dr_param_at(c, i)); i++) {
        const dr_arg *a = given(args, p->name);
        if (!a && p->required) {
            status = dr_fail(DR_EINVAL, "%.*s %s: %s is required (%s)", kind_length(c), c->kind, c->name, p->name, p->doc);
        } else {
            status = a ? set(&f, p, a) : set_default(&f, p);
        }
    }
    if (status != DR_OK) {
        dr_keeper_free(f.keeper);
        return status;
    }
    *keeper = f.keeper;
    return DR_OK;
}

dr_status dr_param_read(const dr_component *c, const void *self, const char *name, double *value)
{
    const dr_param *p = dr_param_find(c, name);
    if (!p) return dr_failed();
    const char *field = (const char *)self + p->offset;
    switch (p->type) {
    case DR_PARAM_INT:
    case DR_PARAM_ENUM: *value = (double)*(const int64_t *)(const void *)field; return DR_OK;
    case DR_PARAM_REAL: *value = *(const double *)(const void *)field; return DR_OK;
    case DR_PARAM_BOOL: *value = *(const _Bool *)(const void *)field; return DR_OK;
    default: return dr_fail(DR_EINVAL, "%s: %s is not a number", c->name, name);
    }
}
