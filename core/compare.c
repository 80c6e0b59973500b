/* compare.c: are two recordings the same step? The same kernels on the same shapes, with the same attributes, on memory
 * that plays the same part; but that random streams may begin at other samples, by as much as the calls' samples
 * differ. What else differs is told in words that say what to do. */
#include "plan.h"

#include <string.h>

typedef struct report {
    char *why;
    size_t n;
} report;

#define DIFFERS(r, ...) (snprintf((r)->why, (r)->n, __VA_ARGS__), false)

static const char *name_of(const dr_event *e) { return e->kind == EVENT_LAUNCH ? e->component->name : "the host"; }

/* ---- attributes ------------------------------------------------------------------------------------------------- */

static bool same_ints(const dr_ints *a, const dr_ints *b)
{
    return a->n == b->n && memcmp(a->v, b->v, (size_t)a->n * sizeof *a->v) == 0;
}

static bool same_reals(const dr_reals *a, const dr_reals *b)
{
    return a->n == b->n && memcmp(a->v, b->v, (size_t)a->n * sizeof *a->v) == 0;
}

static bool same_attribute(const dr_param *p, const void *a, const void *b)
{
    const void *x = (const char *)a + p->offset, *y = (const char *)b + p->offset;
    switch (p->type) {
    case DR_PARAM_INT:
    case DR_PARAM_ENUM: return memcmp(x, y, sizeof(int64_t)) == 0;
    case DR_PARAM_REAL: return memcmp(x, y, sizeof(double)) == 0;
    case DR_PARAM_BOOL: return *(const _Bool *)x == *(const _Bool *)y;
    case DR_PARAM_INTS: return same_ints(x, y);
    case DR_PARAM_REALS: return same_reals(x, y);
    default: return false; /* what points to memory of its own is not copied */
    }
}

/* The stream's sample may stay, or move as the call's does; which, shows where the calls' samples differ. */
static bool sample_fits(const dr_recording *ra, const dr_event *a, const dr_recording *rb, dr_event *b)
{
    const bool stays = *a->sample == *b->sample, moves = a->sample_base == b->sample_base;
    if (ra->settled) return moves; /* it is known to */
    if (stays && ra->sample != rb->sample) b->sample = NULL;
    return stays || (rb->has_sample && moves);
}

static bool same_attributes(const dr_recording *ra, const dr_event *a, const dr_recording *rb, dr_event *b,
                            const report *r)
{
    const dr_param *p;
    for (int i = 0; b->bytes > 0 && (p = dr_param_at(b->component, i)); i++) {
        const bool sample = b->sample && (char *)b->sample - (char *)b->data == (ptrdiff_t)p->offset;
        if (sample && a->sample && sample_fits(ra, a, rb, b)) continue;
        if (same_attribute(p, a->data, b->data)) continue;
        if (sample) {
            return DIFFERS(r, "%s: its sample does not move as the one that is declared; call it with sample = "
                           "the number of the first row", b->component->name);
        }
        return DIFFERS(r, "%s: its %s changes from call to call; give what changes as a tensor", b->component->name,
                       p->name);
    }
    return true;
}

/* ---- views ------------------------------------------------------------------------------------------------------ */

static bool same_view(const dr_view *a, const dr_view *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    const size_t bytes = (size_t)(a->rank > 0 ? a->rank : 0) * sizeof *a->shape;
    return memcmp(a->shape, b->shape, bytes) == 0 && memcmp(a->stride, b->stride, bytes) == 0;
}

static bool same_place(const dr_recording *ra, const dr_place *a, const dr_recording *rb, const dr_place *b)
{
    if (a->slot != b->slot || a->offset != b->offset) return false;
    if (a->slot < 0) return true;
    const dr_slot *x = &ra->slot[a->slot], *y = &rb->slot[b->slot];
    if (x->kind != y->kind) return false;
    return x->kind == SLOT_INPUT ? x->input == y->input : x->kind == SLOT_INNER || x->storage == y->storage;
}

static bool is_outer(const dr_recording *r, const dr_place *w)
{
    return w->slot >= 0 && r->slot[w->slot].kind == SLOT_OUTER;
}

static bool same_views(const dr_recording *ra, const dr_event *a, const dr_recording *rb, const dr_event *b,
                       const report *r)
{
    for (int i = 0; i < b->n_in + b->n_out; i++) {
        if (!same_view(&a->view[i], &b->view[i])) {
            return DIFFERS(r, "%s: the shape of its tensor %d changes from call to call", name_of(b), i + 1);
        }
        if (same_place(ra, &a->where[i], rb, &b->where[i])) continue;
        if (is_outer(rb, &b->where[i])) {
            return DIFFERS(r, "%s: its tensor %d comes from outside and is another one at each call; give it as an "
                           "input", name_of(b), i + 1);
        }
        return DIFFERS(r, "%s: its tensor %d comes from elsewhere than before", name_of(b), i + 1);
    }
    return true;
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

/* Who reads what the host wrote in event i. */
static const char *reader(const dr_recording *r, int64_t i)
{
    const int32_t slot = r->event[i].where[0].slot;
    for (int64_t k = i + 1; k < r->events; k++) {
        const dr_event *e = &r->event[k];
        for (int v = 0; v < e->n_in; v++) {
            if (e->where[v].slot == slot) return e->component->name;
        }
    }
    return "nobody";
}

static bool same_event(const dr_recording *ra, const dr_recording *rb, int64_t i, const report *r)
{
    const dr_event *a = &ra->event[i];
    dr_event *b = &rb->event[i];
    if (a->kind != b->kind || a->component != b->component || a->launch.kernel != b->launch.kernel || a->fn != b->fn ||
        a->ctx != b->ctx || a->n_in != b->n_in || a->n_out != b->n_out || a->bytes != b->bytes) {
        return DIFFERS(r, "kernel %lld was %s and is now %s: it does not do the same at each call", (long long)i + 1,
                       name_of(a), name_of(b));
    }
    if (!same_views(ra, a, rb, b, r)) return false;
    if (b->kind == EVENT_LAUNCH) return same_attributes(ra, a, rb, b, r);
    if (memcmp(a->data, b->data, b->bytes) == 0) return true;
    if (b->kind == EVENT_HOST) return DIFFERS(r, "a number that the host works with changes from call to call");
    return DIFFERS(r, "a number from the host that %s reads changes from call to call; give it as an input",
                   reader(rb, i));
}

bool dr_same_step(const dr_recording *a, dr_recording *b, char *why, size_t n)
{
    const report r = { why, n };
    if (a->device != b->device) return DIFFERS(&r, "it works on another device than before");
    const int64_t common = a->events < b->events ? a->events : b->events;
    for (int64_t i = 0; i < common; i++) {
        if (!same_event(a, b, i, &r)) return false;
    }
    if (a->events != b->events) {
        const dr_recording *longer = a->events > b->events ? a : b;
        return DIFFERS(&r, "it runs %lld kernels and ran %lld before, the first other one is %s", (long long)b->events,
                       (long long)a->events, name_of(&longer->event[common]));
    }
    if (a->outputs != b->outputs) return DIFFERS(&r, "it gives back another number of tensors than before");
    for (int i = 0; i < b->outputs; i++) {
        const dr_output *x = &a->output[i], *y = &b->output[i];
        if (same_place(a, &x->where, b, &y->where) && (y->where.slot < 0 || same_view(&x->view, &y->view))) continue;
        return DIFFERS(&r, "its result %d is another one than before", i + 1);
    }
    return true;
}
