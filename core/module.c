/* module.c: built networks. A module is a component with its weights, buffers and children; names joined by dots are
 * PyTorch's. The host owns all of it, so checkpoints, reloads and comparisons need nothing from a plugin. A group is
 * a module without a component: the place that a network written in Lua has in the tree. */
#include "reload.h"

#include <stdlib.h>
#include <string.h>

static char *joined(const char *a, const char *b)
{
    const size_t n = strlen(a) + strlen(b) + 2;
    char *text = malloc(n);
    if (text) snprintf(text, n, "%s%s%s", a, a[0] && b[0] ? "." : "", b);
    return text;
}

static dr_module *first; /* of all roots */

static void enlist(dr_module *root)
{
    root->after = first;
    if (first) first->before = root;
    first = root;
}

static void strike(dr_module *root)
{
    if (root->before) root->before->after = root->after;
    if (root->after) root->after->before = root->before;
    if (first == root) first = root->after;
}

static void free_tree(dr_module *m)
{
    if (m->root == m) strike(m);
    for (int64_t i = 0; i < m->child_count; i++) free_tree(m->children[i]);
    for (int64_t i = 0; i < m->own_count; i++) dr_own_free(&m->own[i]);
    dr_self_goes(m->component, m->self);
    dr_keeper_free(m->keeper);
    free(m->children);
    free(m->own);
    free(m->named);
    free(m->self);
    free(m->path);
    free(m->place);
    free(m);
}

void dr_module_free(dr_module *root)
{
    if (root && root->root == root) free_tree(root);
}

static void forget_last_child(dr_module *parent)
{
    free_tree(parent->children[--parent->child_count]);
}

static int64_t modules; /* made so far */

static dr_module *module_new(dr_module *parent, const char *name)
{
    dr_module *m = calloc(1, sizeof *m);
    if (!m) goto out_of_memory;
    m->parent = parent;
    m->root = parent ? parent->root : m;
    m->path = parent ? joined(parent->path, name) : strdup("");
    m->place = parent ? joined(parent->place, name) : strdup(name);
    m->training = true;
    m->number = ++modules;
    if (!parent) enlist(m);
    if (!m->path || !m->place) goto out_of_memory;
    if (!parent) return m;
    dr_module **children = realloc(parent->children, (size_t)(parent->child_count + 1) * sizeof *children);
    if (!children) goto out_of_memory;
    parent->children = children;
    children[parent->child_count++] = m;
    free(m->root->named); /* the list of names is out of date */
    m->root->named = NULL;
    return m;
out_of_memory:
    if (m) free_tree(m);
    dr_fail(DR_ENOMEM, "out of memory for module '%s'", name);
    return NULL;
}

dr_module *dr_module_group(dr_module *parent, const char *name) { return dr_failed() ? NULL : module_new(parent, name); }

static dr_status declare(dr_module *m) /* self is filled in: the component's create */
{
    const dr_component *c = m->component;
    dr_builder b = { m };
    /* both interfaces begin with size and create */
    const bool is_block = strncmp(c->kind, "block/", 6) == 0;
    dr_status (*make)(void *, dr_builder *) = is_block ? ((const dr_block *)c->iface)->create : ((const dr_conditioning *)c->iface)->create;
    if (!make) return DR_OK;
    const dr_component_call call = dr_component_enter(c, "create");
    return dr_component_leave(&call, make(m->self, &b));
}

static dr_status new_self(dr_module *m, const dr_component *c)
{
    m->component = c;
    m->self = calloc(1, c->self_size > 0 ? c->self_size : 1);
    return m->self ? DR_OK : dr_fail(DR_ENOMEM, "out of memory for %s", c->name);
}

static dr_status create(dr_module *m, const dr_component *c, dr_args args)
{
    if (new_self(m, c) != DR_OK || dr_schema_fill(c, args, m->self, &m->keeper) != DR_OK) return dr_failed();
    return dr_keeper_remember(m->keeper, args) == DR_OK ? declare(m) : dr_failed();
}

dr_module *dr_child_from(dr_builder *b, const char *name, const dr_instance *block)
{
    if (dr_failed() || !block) return NULL;
    if (strncmp(block->component->kind, "block/", 6) != 0) {
        dr_fail(DR_EINVAL, "%s is a %s: only a block can be a child", block->component->name, block->component->kind);
        return NULL;
    }
    dr_module *m = module_new(b->module, name);
    if (!m) return NULL;
    dr_error_push(m->place);
    dr_status status = new_self(m, block->component);
    if (status == DR_OK) {
        memcpy(m->self, block->self, block->component->self_size); /* parameters; private state is still zero there */
        status = declare(m);
    }
    dr_error_pop();
    if (status == DR_OK) return m;
    forget_last_child(b->module);
    return NULL;
}

dr_module *dr_module_create(dr_module *parent, const char *name, const char *kind, const char *component, dr_args args)
{
    if (dr_failed()) return NULL;
    if (strcmp(kind, "block") != 0 && strcmp(kind, "conditioning") != 0) {
        dr_fail(DR_EINVAL, "a %s has no weights: only blocks and conditionings are modules", kind);
        return NULL;
    }
    dr_module *m = module_new(parent, name);
    if (!m) return NULL;
    dr_error_push(m->place);
    const dr_component *c = dr_component_find(kind, component);
    const dr_status status = c ? create(m, c, args) : dr_failed();
    dr_error_pop();
    if (status == DR_OK) return m;
    if (parent) {
        forget_last_child(parent);
    } else {
        free_tree(m);
    }
    return NULL;
}

void dr_module_seed(dr_module *root, uint64_t seed) { root->root->seed = seed; }

/* A plan recorded in one mode is no plan for the other. A network that goes leaves its mark: Lua's collector should not
 * change what plans are recorded for. */
static uint64_t modes;

static uint64_t mark(const dr_module *root) { return (uint64_t)root->number * 0x9E3779B97F4A7C15u; }

void dr_module_mode(dr_module *m, bool training)
{
    if (m->root->training != training) modes ^= mark(m->root);
    m->root->training = training;
}

uint64_t dr_module_modes(void) { return modes; }
bool dr_module_training(const dr_module *m) { return m->root->training; }
const dr_component *dr_module_component(const dr_module *m) { return m->component; }
const char *dr_module_path(const dr_module *m) { return m->path; }
int64_t dr_module_child_count(const dr_module *m) { return m->child_count; }
dr_module *dr_module_child_at(const dr_module *m, int64_t i) { return i >= 0 && i < m->child_count ? m->children[i] : NULL; }

void dr_module_stream(dr_module *root, uint64_t seed, uint32_t step, uint64_t sample)
{
    root->root->stream = (dr_rng){ .seed = seed, .step = step, .sample = sample };
    root->root->stream_number++;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static int64_t count_names(const dr_module *m)
{
    int64_t n = m->own_count;
    for (int64_t i = 0; i < m->child_count; i++) n += count_names(m->children[i]);
    return n;
}

static dr_named *list_names(const dr_module *m, dr_named *at)
{
    for (int64_t i = 0; i < m->own_count; i++) {
        *at++ = (dr_named){ .path = m->own[i].path, .tensor = m->own[i].tensor, .is_buffer = m->own[i].is_buffer };
    }
    for (int64_t i = 0; i < m->child_count; i++) at = list_names(m->children[i], at);
    return at;
}

int64_t dr_module_named_count(dr_module *m)
{
    const int64_t n = count_names(m);
    if (m->named && m->named_count == n) return n;
    dr_named *named = realloc(m->named, (size_t)(n > 0 ? n : 1) * sizeof *named);
    if (!named) return 0;
    m->named = named;
    m->named_count = n;
    list_names(m, named);
    return n;
}

const dr_named *dr_module_named_at(dr_module *m, int64_t i)
{
    return i >= 0 && i < dr_module_named_count(m) && m->named ? &m->named[i] : NULL;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static dr_tensor *forward(dr_module *m, dr_tensor *const *in, int n, const dr_site *site)
{
    if (dr_failed() || !m || n < 1 || !in[0]) return NULL;
    dr_error_push(m->place);
    dr_scope_open();
    dr_tensor *y = NULL;
    if (!m->component || strncmp(m->component->kind, "block/", 6) != 0) {
        dr_fail(DR_EINVAL, "%s has no forward of its own", m->component ? m->component->name : "a group");
    } else {
        dr_ctx ctx = { .module = m, .in = in, .n = n, .site = site };
        const dr_component_call call = dr_component_enter(m->component, "forward");
        y = dr_component_result(&call, ((const dr_block *)m->component->iface)->forward(m->self, in[0], &ctx), NULL);
    }
    y = dr_escape(y);
    dr_scope_close();
    dr_error_pop();
    return y;
}

dr_tensor *dr_module_forward(dr_module *m, dr_tensor *const *in, int n) { return forward(m, in, n, NULL); }

dr_tensor *dr_module_forward_at(dr_module *m, dr_tensor *const *in, int n, const dr_site *site)
{
    return forward(m, in, n, site);
}

dr_tensor *dr_call(dr_module *m, dr_tensor *x, dr_ctx *ctx)
{
    (void)ctx; /* mode and streams are the root's; further inputs are this call's own */
    return forward(m, &x, 1, NULL);
}

dr_tensor *dr_call_with(dr_module *m, dr_tensor *const *in, int n, dr_ctx *ctx)
{
    (void)ctx;
    return forward(m, in, n, NULL);
}

_Bool dr_training(const dr_ctx *ctx) { return ctx->module->root->training; }
dr_tensor *dr_input(const dr_ctx *ctx, int i) { return i >= 1 && i < ctx->n ? ctx->in[i] : NULL; }

/* Keyed by the module's path: another network around it, or another order of calls, changes nothing. */
dr_rng dr_ctx_rng(dr_ctx *ctx, const char *purpose)
{
    dr_module *m = ctx->module, *root = m->root;
    if (m->draws_of != root->stream_number) {
        m->draws_of = root->stream_number;
        m->draws = 0;
    }
    dr_rng rng = root->stream;
    rng.purpose = dr_purpose(purpose) ^ (dr_purpose(m->path) * 0x9E3779B1u);
    rng.step += m->draws++ << 24;
    return rng;
}

/* ---- conditioning ------------------------------------------------------------------------------------------------ */

static const dr_conditioning *conditioning_of(const dr_module *m)
{
    if (m->component && strncmp(m->component->kind, "conditioning/", 13) == 0) return m->component->iface;
    dr_fail(DR_EINVAL, "%s is not a conditioning", m->component ? m->component->name : "a group");
    return NULL;
}

dr_status dr_module_embed(dr_module *m, const dr_batch_cond *c, dr_embedding *e)
{
    *e = (dr_embedding){ 0 };
    if (dr_failed()) return dr_failed();
    dr_error_push(m->place);
    dr_scope_open();
    const dr_conditioning *api = conditioning_of(m);
    dr_ctx ctx = { .module = m };
    dr_status status = dr_failed();
    if (api) {
        const dr_component_call call = dr_component_enter(m->component, "embed");
        status = dr_component_leave(&call, api->embed(m->self, &ctx, c, e));
    }
    if (status == DR_OK) {
        for (int i = 0; i < DR_MAX_SITES; i++) {
            e->scale[i] = dr_escape(e->scale[i]);
            e->shift[i] = dr_escape(e->shift[i]);
            e->gate[i] = dr_escape(e->gate[i]);
        }
        e->vec = dr_escape(e->vec);
        e->tokens = dr_escape(e->tokens);
        e->mask = dr_escape(e->mask);
    } else {
        *e = (dr_embedding){ 0 };
    }
    dr_scope_close();
    dr_error_pop();
    return status;
}

typedef dr_tensor *(*site_fn)(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e);

static dr_tensor *at_site(dr_module *m, const char *what, int site, dr_tensor *h, const dr_embedding *e)
{
    if (dr_failed() || !h) return NULL;
    dr_error_push(m->place);
    dr_scope_open();
    const dr_conditioning *api = conditioning_of(m);
    dr_ctx ctx = { .module = m };
    dr_tensor *y = NULL;
    if (site < 0 || site >= DR_MAX_SITES) {
        dr_fail(DR_EINVAL, "%s: site %d is outside [1, %d]", what, site + 1, DR_MAX_SITES);
    } else if (api) {
        const site_fn function = what[0] == 'g' ? api->gate : api->modulate;
        const dr_component_call call = dr_component_enter(m->component, what);
        y = dr_component_result(&call, function ? function(m->self, &ctx, site, h, e) : h, h);
    }
    y = dr_failed() ? NULL : y;
    if (y != h) y = dr_escape(y);
    dr_scope_close();
    dr_error_pop();
    return y;
}

dr_tensor *dr_module_modulate(dr_module *m, int site, dr_tensor *h, const dr_embedding *e)
{
    return at_site(m, "modulate", site, h, e);
}

dr_tensor *dr_module_gate(dr_module *m, int site, dr_tensor *h, const dr_embedding *e)
{
    return at_site(m, "gate", site, h, e);
}

dr_tensor *dr_modulate(dr_ctx *ctx, int site, dr_tensor *h)
{
    const dr_site *s = ctx->site;
    return s ? dr_module_modulate(s->conditioning, s->first + site, h, s->e) : h;
}

dr_tensor *dr_gate(dr_ctx *ctx, int site, dr_tensor *h)
{
    const dr_site *s = ctx->site;
    return s ? dr_module_gate(s->conditioning, s->first + site, h, s->e) : h;
}

/* ---- reloads ----------------------------------------------------------------------------------------------------- */

dr_module *dr_module_after(const dr_module *root) { return root ? root->after : first; }

bool dr_module_uses(const dr_module *m, const dr_plugin *p)
{
    return m->component && (dr_plugin_has(p, m->component) || dr_keeper_uses(m->keeper, p));
}

static const dr_module *find(const dr_module *m, const char *path)
{
    if (strcmp(m->path, path) == 0) return m;
    for (int64_t i = 0; i < m->child_count; i++) {
        const dr_module *found = find(m->children[i], path);
        if (found) return found;
    }
    return NULL;
}

/* Random streams go on where they were in this step. */
static void copy_draws(dr_module *m, const dr_module *old)
{
    const dr_module *same = find(old, m->path);
    if (same) {
        m->draws = same->draws;
        m->draws_of = same->draws_of;
    }
    for (int64_t i = 0; i < m->child_count; i++) copy_draws(m->children[i], old);
}

dr_module *dr_module_renewed(dr_module *m)
{
    dr_module *n = calloc(1, sizeof *n);
    if (n) *n = (dr_module){ .root = m->root, .parent = m->parent, .path = strdup(m->path), .place = strdup(m->place), .renews = m };
    if (!n || !n->path || !n->place) {
        if (n) free_tree(n);
        dr_fail(DR_ENOMEM, "out of memory for module '%s'", m->path);
        return NULL;
    }
    char kind[64];
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(m->component->kind, "/"), m->component->kind);
    dr_error_push(m->place);
    const dr_component *c = dr_component_find(kind, m->component->name);
    dr_status status = c ? create(n, c, dr_keeper_given(m->keeper)) : dr_failed();
    status = dr_own_settle(n, status);
    dr_error_pop();
    if (status == DR_OK) {
        copy_draws(n, m);
        return n;
    }
    free_tree(n);
    return NULL;
}

static void forget_names(dr_module *m)
{
    free(m->named);
    m->named = NULL;
    for (int64_t i = 0; i < m->child_count; i++) forget_names(m->children[i]);
}

static void adopt(dr_module *m)
{
    for (int64_t i = 0; i < m->child_count; i++) m->children[i]->parent = m;
}

void dr_module_exchange(dr_module *m, dr_module *fresh)
{
    const dr_module was = *m;
    m->component = fresh->component;
    m->self = fresh->self;
    m->keeper = fresh->keeper;
    m->own = fresh->own;
    m->own_count = fresh->own_count;
    m->children = fresh->children;
    m->child_count = fresh->child_count;
    fresh->component = was.component;
    fresh->self = was.self;
    fresh->keeper = was.keeper;
    fresh->own = was.own;
    fresh->own_count = was.own_count;
    fresh->children = was.children;
    fresh->child_count = was.child_count;
    adopt(m);
    adopt(fresh);
    forget_names(m->root);
}

void dr_module_free_renewed(dr_module *fresh) { free_tree(fresh); }
