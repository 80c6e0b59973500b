/* arena.c: what a replay runs, and where in one block of memory its tensors lie.
 *   - Kernels whose inputs seldom change (weights, a label) run once, and their results last, where the step writes to
 *     nothing outside of it. A training step does, and has none.
 *   - All other memory of the step is shared by lifetime, from the first event that touches it to the last: the
 *     largest first, each into the smallest gap that is free all that time. */
#include "plan.h"

#include <stdlib.h>

enum { SMALL_ALIGN = 64, LARGE_ALIGN = 4096, LARGE = 1 << 20, LANES_SLACK = 12 };

/* ---- what runs once --------------------------------------------------------------------------------------------- */

static bool writes(const dr_event *e, int view) { return view >= e->n_in || e->mutates; }

static bool writes_outside(const dr_recording *r)
{
    for (int64_t i = 0; i < r->events; i++) {
        const dr_event *e = &r->event[i];
        if (e->kind == EVENT_HOST) return true;
        for (int k = 0; k < e->n_in + e->n_out; k++) {
            if (e->where[k].slot >= 0 && r->slot[e->where[k].slot].kind != SLOT_INNER && writes(e, k)) return true;
        }
    }
    return false;
}

/* An event varies if it touches what varies; memory varies if an event that varies writes to it. True: more does
 * now. */
static bool spread(dr_recording *r)
{
    bool more = false;
    for (int64_t i = 0; i < r->events; i++) {
        dr_event *e = &r->event[i];
        for (int k = 0; k < e->n_in + e->n_out && e->once; k++) {
            if (e->where[k].slot >= 0 && r->slot[e->where[k].slot].varies) e->once = false, more = true;
        }
        for (int k = 0; k < e->n_in + e->n_out && !e->once; k++) {
            dr_slot *s = e->where[k].slot >= 0 ? &r->slot[e->where[k].slot] : NULL;
            if (s && writes(e, k) && !s->varies) s->varies = true, more = true;
        }
    }
    return more;
}

/* What runs once runs first: memory that is written again after a varying event has read it must vary too. */
static bool rewritten(dr_recording *r)
{
    bool more = false;
    for (int32_t i = 0; i < r->slots; i++) r->slot[i].lasts = false;
    for (int64_t i = 0; i < r->events; i++) {
        const dr_event *e = &r->event[i];
        for (int k = 0; k < e->n_in + e->n_out; k++) {
            dr_slot *s = e->where[k].slot >= 0 ? &r->slot[e->where[k].slot] : NULL;
            if (!s || s->kind != SLOT_INNER || s->varies) continue;
            if (!e->once) s->lasts = true;
            if (e->once && s->lasts && writes(e, k)) s->varies = true, more = true;
        }
    }
    return more;
}

static void find_once(dr_recording *r, uint32_t constant)
{
    const bool any = !writes_outside(r);
    for (int32_t i = 0; i < r->slots; i++) {
        dr_slot *s = &r->slot[i];
        s->varies = s->output || (s->kind == SLOT_INPUT && !(constant >> s->input & 1));
        s->lasts = false;
    }
    for (int64_t i = 0; i < r->events; i++) r->event[i].once = any && !r->event[i].sample;
    while (any && (spread(r) || rewritten(r))) continue;
    for (int32_t i = 0; i < r->slots && !any; i++) r->slot[i].varies = true;
}

/* ---- lifetimes -------------------------------------------------------------------------------------------------- */

static void touch(dr_recording *r, const dr_event *e, int64_t at)
{
    for (int k = 0; k < e->n_in + e->n_out; k++) {
        if (e->where[k].slot < 0) continue;
        dr_slot *s = &r->slot[e->where[k].slot];
        if (s->first < 0) s->first = at;
        s->last = at;
    }
}

/* slack: events for which memory is left alone after its last one, so that what runs beside them need not wait. */
static void find_lifetimes(dr_recording *r, int64_t slack)
{
    int64_t at = 0;
    for (int32_t i = 0; i < r->slots; i++) r->slot[i].first = -1;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < r->events; i++) {
            if (r->event[i].once == (pass == 0)) touch(r, &r->event[i], at++);
        }
    }
    for (int32_t i = 0; i < r->slots; i++) r->slot[i].last += r->slot[i].first < 0 ? 0 : slack;
}

/* ---- offsets ---------------------------------------------------------------------------------------------------- */

static size_t rounded(size_t bytes)
{
    const size_t unit = bytes < LARGE ? SMALL_ALIGN : LARGE_ALIGN;
    return (bytes + unit - 1) / unit * unit;
}

static size_t aligned(size_t offset, size_t bytes)
{
    const size_t unit = bytes < LARGE ? SMALL_ALIGN : LARGE_ALIGN;
    return (offset + unit - 1) / unit * unit;
}

static int larger_first(const void *a, const void *b)
{
    const dr_slot *x = *(dr_slot *const *)a, *y = *(dr_slot *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int lower_first(const void *a, const void *b)
{
    const dr_slot *x = *(dr_slot *const *)a, *y = *(dr_slot *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* busy[0..n), by offset, live at some time with s: the smallest gap between them that holds s, or the end. */
static size_t best_gap(const dr_slot *s, dr_slot *const *busy, int64_t n)
{
    size_t end = 0, best = 0, slack = SIZE_MAX;
    for (int64_t i = 0; i < n; i++) {
        const size_t from = aligned(end, s->bytes), gap = busy[i]->offset > from ? busy[i]->offset - from : 0;
        if (gap >= s->bytes && gap - s->bytes < slack) best = from, slack = gap - s->bytes;
        const size_t after = busy[i]->offset + rounded(busy[i]->bytes);
        if (after > end) end = after;
    }
    return slack < SIZE_MAX ? best : aligned(end, s->bytes);
}

/* placed[0..n) have their offsets. busy: room for n. */
static void place(dr_slot *s, dr_slot *const *placed, int64_t n, dr_slot **busy)
{
    int64_t live = 0;
    for (int64_t i = 0; i < n; i++) {
        if (placed[i]->first <= s->last && placed[i]->last >= s->first) busy[live++] = placed[i];
    }
    qsort(busy, (size_t)live, sizeof *busy, lower_first);
    s->offset = best_gap(s, busy, live);
}

size_t dr_lay_arena(dr_recording *r, uint32_t constant)
{
    find_once(r, constant);
    find_lifetimes(r, r->device && r->device->api->graph_step ? LANES_SLACK : 0);
    dr_slot **order = malloc(2 * ((size_t)r->slots + 1) * sizeof *order), **busy = order + r->slots + 1;
    size_t end = 0;
    int64_t n = 0;
    if (!order) {
        dr_fail(DR_ENOMEM, "out of memory for a plan");
        return 0;
    }
    for (int32_t i = 0; i < r->slots; i++) {
        dr_slot *s = &r->slot[i];
        if (s->kind == SLOT_INNER && !s->output && !s->lasts && s->first >= 0) order[n++] = s;
    }
    qsort(order, (size_t)n, sizeof *order, larger_first);
    for (int64_t i = 0; i < n; i++) {
        place(order[i], order, i, busy);
        const size_t after = order[i]->offset + rounded(order[i]->bytes);
        if (after > end) end = after;
    }
    free(order);
    for (int32_t i = 0; i < r->slots; i++) { /* what lasts lies behind it all */
        dr_slot *s = &r->slot[i];
        if (s->kind != SLOT_INNER || s->output || !s->lasts) continue;
        s->offset = aligned(end, s->bytes);
        end = s->offset + rounded(s->bytes);
    }
    return end;
}
