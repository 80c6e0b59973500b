/* instance.c: a component with its parameters set. Kinds that have a beginning and an end (a process's tables, a data
 * set's files) are started here and stopped with the instance; blocks and conditionings get their weights in module.c. */
#include "reload.h"

#include <stdlib.h>
#include <string.h>

typedef struct owned {
    dr_instance instance; /* first: this is what others see */
    dr_keeper *keeper;
    bool started;
    bool held;            /* by another's keeper */
    bool used, lost;      /* of a metric: it has samples or real images; it had, and a reload has lost them */
    int64_t renewals;     /* reloads of its plugin */
    struct owned *before, *after; /* all that are alive */
} owned;

static owned *first;

static bool is_kind(const dr_component *c, const char *kind) { return strncmp(c->kind, kind, strlen(kind)) == 0 && c->kind[strlen(kind)] == '/'; }

/* The function that begins it, and what it is called; NULL: the kind has none, or this one needs none. */
static dr_status (*beginning(const dr_instance *i, const char **what))(void *)
{
    const dr_component *c = i->component;
    *what = "create";
    if (is_kind(c, "process")) return ((const dr_process *)i->iface)->create;
    if (is_kind(c, "clip")) return ((const dr_clip *)i->iface)->create;
    if (is_kind(c, "view")) return ((const dr_image_view *)i->iface)->create;
    if (is_kind(c, "filter")) return ((const dr_filter *)i->iface)->create;
    *what = "open";
    if (is_kind(c, "dataset")) return ((const dr_dataset *)i->iface)->open;
    if (is_kind(c, "tokenizer")) return ((const dr_tokenizer *)i->iface)->open;
    *what = "reset";
    return is_kind(c, "metric") ? ((const dr_metric *)i->iface)->reset : NULL;
}

static dr_status start(dr_instance *i)
{
    const char *what;
    dr_status (*begin)(void *) = beginning(i, &what);
    if (!begin) return DR_OK;
    const dr_component_call call = dr_component_enter(i->component, what);
    return dr_component_leave(&call, begin(i->self));
}

static void stop(dr_instance *i)
{
    if (is_kind(i->component, "process")) {
        const dr_process *p = i->iface;
        if (p->destroy) p->destroy(i->self);
    } else if (is_kind(i->component, "dataset")) {
        const dr_dataset *d = i->iface;
        if (d->close) d->close(i->self);
    } else if (is_kind(i->component, "metric")) {
        const dr_metric *m = i->iface;
        if (m->destroy) m->destroy(i->self);
    } else if (is_kind(i->component, "view")) {
        const dr_image_view *v = i->iface;
        if (v->destroy) v->destroy(i->self);
    } else if (is_kind(i->component, "tokenizer")) {
        const dr_tokenizer *t = i->iface;
        if (t->close) t->close(i->self);
    }
}

static void enlist(owned *o)
{
    o->after = first;
    if (first) first->before = o;
    first = o;
}

static void strike(owned *o)
{
    if (o->before) o->before->after = o->after;
    if (o->after) o->after->before = o->before;
    if (first == o) first = o->after;
}

dr_instance *dr_instance_new(const char *kind, const char *name, dr_args args)
{
    const dr_component *c = dr_failed() ? NULL : dr_component_find(kind, name);
    if (!c) return NULL;
    owned *o = calloc(1, sizeof *o);
    void *self = calloc(1, c->self_size > 0 ? c->self_size : 1);
    if (!o || !self) {
        free(o);
        free(self);
        dr_fail(DR_ENOMEM, "out of memory for %s %s", kind, name);
        return NULL;
    }
    o->instance = (dr_instance){ .component = c, .iface = c->iface, .self = self };
    enlist(o);
    if (dr_schema_fill(c, args, self, &o->keeper) == DR_OK && dr_keeper_remember(o->keeper, args) == DR_OK) {
        o->started = start(&o->instance) == DR_OK && dr_failed() == DR_OK;
        if (o->started) return &o->instance;
        stop(&o->instance); /* a half-made one frees what it has: self was zeroed */
    }
    dr_instance_free(&o->instance);
    return NULL;
}

void dr_instance_free(dr_instance *i)
{
    if (!i) return;
    owned *o = (owned *)(void *)i;
    if (o->started) stop(i);
    dr_self_goes(i->component, i->self);
    strike(o);
    dr_keeper_free(o->keeper);
    free(i->self);
    free(o);
}

/* ---- reloads ----------------------------------------------------------------------------------------------------- */

static const owned *seen(const dr_instance *i) { return (const owned *)(const void *)i; }

dr_instance *dr_instance_after(const dr_instance *i)
{
    owned *o = i ? seen(i)->after : first;
    return o ? &o->instance : NULL;
}

void dr_instance_hold(dr_instance *i)
{
    if (i) ((owned *)(void *)i)->held = true;
}

/* NULL: the caller has made the struct itself, which no reload touches. */
static owned *known(const dr_instance *i)
{
    owned *o = first;
    while (o && &o->instance != i) o = o->after;
    return o;
}

bool dr_instance_is_held(const dr_instance *i) { return seen(i)->held; }

int64_t dr_instance_renewals(const dr_instance *i)
{
    const owned *o = known(i);
    return o ? o->renewals : 0;
}

bool dr_instance_has_one_thread(const dr_instance *i)
{
    const owned *o = known(i);
    return dr_component_has_one_thread(i->component) || (o && dr_keeper_has_one_thread(o->keeper));
}

bool dr_instance_lost(const dr_instance *i)
{
    const owned *o = known(i);
    return o && o->lost;
}

void dr_instance_note_use(dr_instance *i, bool used)
{
    owned *o = known(i);
    if (!o) return;
    o->used = used;
    if (!used) o->lost = false;
}

bool dr_instance_uses(const dr_instance *i, const dr_plugin *p)
{
    return dr_plugin_has(p, i->component) || dr_keeper_uses(seen(i)->keeper, p);
}

/* An optimizer's state is the host's, in slots of these names. */
static dr_status keeps_slots(const dr_instance *old, const dr_instance *fresh)
{
    const dr_optimizer *a = old->iface, *b = fresh->iface;
    bool same = a->slots == b->slots;
    for (int k = 0; same && k < a->slots; k++) same = strcmp(a->slot_name[k], b->slot_name[k]) == 0;
    if (same) return DR_OK;
    return dr_fail(DR_EINVAL, "optim %s: its state is kept in other slots now (%d: %s, ..; it had %d: %s, ..), so that of the "
                   "running one cannot go on", fresh->component->name, b->slots, b->slots > 0 ? b->slot_name[0] : "none",
                   a->slots, a->slots > 0 ? a->slot_name[0] : "none");
}

static bool has_noise(const dr_dataset *d) { return d->noise != NULL; }

/* Loaders have counted its samples and made room for its images. */
static dr_status keeps_sizes(const dr_instance *old, const dr_instance *fresh)
{
    const dr_dataset *a = old->iface, *b = fresh->iface;
    bool same = has_noise(a) == has_noise(b);
    for (int split = DR_TRAIN; split <= DR_TEST && same; split++) {
        dr_dataset_info x = { 0 }, y = { 0 };
        dr_dataset_lock();
        const bool had = a->info(old->self, (dr_split)split, &x) == DR_OK && !dr_failed();
        dr_error_clear();
        const bool has = b->info(fresh->self, (dr_split)split, &y) == DR_OK && !dr_failed();
        dr_error_clear();
        dr_dataset_unlock();
        same = had == has && (!had || (x.n == y.n && x.channels == y.channels && x.height == y.height && x.width == y.width &&
                                       x.classes == y.classes));
    }
    if (same) return DR_OK;
    return dr_fail(DR_ESHAPE, "dataset %s: its samples are of another number or shape now, and it is being read",
                   fresh->component->name);
}

dr_instance *dr_instance_renewed(const dr_instance *i)
{
    char kind[64];
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(i->component->kind, "/"), i->component->kind);
    dr_instance *fresh = dr_instance_new(kind, i->component->name, dr_keeper_given(seen(i)->keeper));
    if (!fresh) return NULL;
    dr_status status = DR_OK;
    if (is_kind(fresh->component, "optim")) status = keeps_slots(i, fresh);
    if (is_kind(fresh->component, "dataset")) status = keeps_sizes(i, fresh);
    if (status == DR_OK) return fresh;
    dr_instance_free(fresh);
    return NULL;
}

/* What is written down about i as such stays: who holds it, and its place in the list. */
void dr_instance_exchange(dr_instance *i, dr_instance *fresh)
{
    owned *a = (owned *)(void *)i, *b = (owned *)(void *)fresh;
    const owned was = *a;
    a->instance = b->instance;
    a->keeper = b->keeper;
    a->started = b->started;
    b->instance = was.instance;
    b->keeper = was.keeper;
    b->started = was.started;
    a->lost = was.lost || was.used;
    a->used = false;
    a->renewals++;
}
