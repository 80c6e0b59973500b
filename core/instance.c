/* instance.c: a component with its parameters set. Kinds that have a beginning and an end (a process's tables, a data
 * set's files) are started here and stopped with the instance; blocks and conditionings get their weights in module.c. */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

typedef struct owned {
    dr_instance instance; /* first: this is what others see */
    dr_keeper *keeper;
    bool started;
} owned;

static bool is_kind(const dr_component *c, const char *kind) { return strncmp(c->kind, kind, strlen(kind)) == 0 && c->kind[strlen(kind)] == '/'; }

static dr_status start(dr_instance *i)
{
    if (is_kind(i->component, "process")) {
        const dr_process *p = i->iface;
        return p->create ? p->create(i->self) : DR_OK;
    }
    if (is_kind(i->component, "clip")) {
        const dr_clip *c = i->iface;
        return c->create ? c->create(i->self) : DR_OK;
    }
    if (is_kind(i->component, "dataset")) {
        const dr_dataset *d = i->iface;
        return d->open ? d->open(i->self) : DR_OK;
    }
    if (is_kind(i->component, "metric")) {
        const dr_metric *m = i->iface;
        if (m->values < 1 || m->values > DR_METRIC_VALUES || !m->reset || !m->update || !m->samples || !m->evaluate) {
            return dr_fail(DR_EABI, "metric %s: its table lacks a function, or values is not 1 to %d", i->component->name,
                           DR_METRIC_VALUES);
        }
        return m->reset(i->self);
    }
    if (is_kind(i->component, "view")) {
        const dr_image_view *v = i->iface;
        if (!v->apply || !v->invert) return dr_fail(DR_EABI, "view %s: its table lacks apply or invert", i->component->name);
        return v->create ? v->create(i->self) : DR_OK;
    }
    if (is_kind(i->component, "filter")) {
        const dr_filter *f = i->iface;
        if (!f->apply) return dr_fail(DR_EABI, "filter %s: its table lacks apply", i->component->name);
        return f->create ? f->create(i->self) : DR_OK;
    }
    if (is_kind(i->component, "tokenizer")) {
        const dr_tokenizer *t = i->iface;
        return t->open ? t->open(i->self) : DR_OK;
    }
    return DR_OK;
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
    if (dr_schema_fill(c, args, self, &o->keeper) == DR_OK) {
        o->started = start(&o->instance) == DR_OK && dr_failed() == DR_OK;
        if (o->started) return &o->instance;
        if (!dr_failed()) dr_fail(DR_EINTERNAL, "%s %s did not start and did not say why", kind, name);
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
    dr_keeper_free(o->keeper);
    free(i->self);
    free(o);
}
