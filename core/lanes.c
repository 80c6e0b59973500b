/* lanes.c: which kernels of a step may run beside each other. Event j follows event i if they touch a byte in common and
 * one of them writes it; of what an event follows, only that which no other of them follows already is named. Events that
 * follow each other share a lane; one that finds its predecessor's lane taken gets another, up to DR_PLAN_LANES.
 * The order within a lane is that of the recording, so any way of running lanes gives the same numbers. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_EVENTS = 8192 };

typedef struct span { /* bytes that an event touches */
    const char *from, *to;
    bool writes;
} span;

typedef struct work {
    const dr_recording *r;
    int64_t n;           /* events of the step, in order: those that do not run once */
    const dr_event **event;
    span *span;          /* of all events, one after another */
    int64_t *first;      /* [n + 1]: where an event's spans begin */
    uint64_t *before;    /* [n][words]: what each event follows, directly or not */
    int64_t words;
} work;

static bool has(const uint64_t *set, int64_t i) { return set[i / 64] >> (i % 64) & 1; }

static bool conflict(const work *w, int64_t i, int64_t j)
{
    for (int64_t a = w->first[i]; a < w->first[i + 1]; a++) {
        for (int64_t b = w->first[j]; b < w->first[j + 1]; b++) {
            const span *x = &w->span[a], *y = &w->span[b];
            if ((x->writes || y->writes) && x->from < y->to && y->from < x->to) return true;
        }
    }
    return false;
}

static void find_spans(work *w, char *const *base)
{
    int64_t n = 0;
    for (int64_t j = 0; j < w->n; j++) {
        const dr_event *e = w->event[j];
        w->first[j] = n;
        for (int k = 0; k < e->n_in + e->n_out; k++) {
            if (e->where[k].slot < 0) continue;
            const char *from = base[e->where[k].slot] + e->where[k].offset;
            w->span[n++] = (span){ from, from + dr_view_extent(&e->view[k]), k >= e->n_in || e->mutates };
        }
    }
    w->first[w->n] = n;
}

/* The latest first: what it follows needs no mention. */
static int64_t follow(work *w, int64_t j, int32_t *after)
{
    uint64_t *before = w->before + j * w->words;
    int64_t n = 0;
    for (int64_t i = j - 1; i >= 0; i--) {
        if (has(before, i) || !conflict(w, i, j)) continue;
        after[n++] = (int32_t)i;
        for (int64_t k = 0; k < w->words; k++) before[k] |= w->before[i * w->words + k];
        before[i / 64] |= (uint64_t)1 << (i % 64);
    }
    return n;
}

/* The lane of a predecessor that nothing has followed there, else one that has come to its end before this event, else a
 * new one, else that which ended longest ago. */
static int32_t choose(const work *w, int64_t j, const int32_t *after, int64_t n, const dr_lane_step *step, int64_t *last)
{
    int32_t oldest = 0;
    for (int64_t k = 0; k < n; k++) {
        const int32_t lane = step[after[k]].lane;
        if (last[lane] == after[k]) return lane;
    }
    for (int32_t lane = 0; lane < DR_PLAN_LANES; lane++) {
        if (last[lane] < 0 || has(w->before + j * w->words, last[lane])) return lane;
        if (last[lane] < last[oldest]) oldest = lane;
    }
    return oldest;
}

/* Of each other lane the latest is enough, and within its own lane an event waits anyway. */
static void wait_for(dr_lane_step *step, int64_t j, int32_t i)
{
    dr_lane_step *s = &step[j];
    if (step[i].lane == s->lane) return;
    for (int32_t k = 0; k < s->n; k++) {
        if (step[s->after[k]].lane == step[i].lane) return; /* i comes before it: the latest are found first */
    }
    s->after[s->n++] = i;
}

static dr_lane_step *assign(work *w)
{
    int32_t *after = malloc((size_t)w->n * sizeof *after + 1);
    dr_lane_step *step = calloc((size_t)w->n + 1, sizeof *step);
    int64_t last[DR_PLAN_LANES];
    for (int lane = 0; lane < DR_PLAN_LANES; lane++) last[lane] = -1;
    for (int64_t j = 0; j < w->n && after && step; j++) {
        const int64_t n = follow(w, j, after);
        dr_lane_step *s = &step[j];
        s->lane = choose(w, j, after, n, step, last);
        last[s->lane] = j;
        for (int64_t k = 0; k < n; k++) wait_for(step, j, after[k]);
    }
    free(after);
    if (step && after) return step;
    free(step);
    dr_fail(DR_ENOMEM, "out of memory for a plan");
    return NULL;
}

dr_lane_step *dr_lanes_of(const dr_recording *r, char *const *base)
{
    work w = { .r = r };
    int64_t spans = 0;
    for (int64_t i = 0; i < r->events; i++) {
        if (r->event[i].once || r->event[i].kind == EVENT_HOST) continue;
        spans += r->event[i].n_in + r->event[i].n_out;
        w.n++;
    }
    if (w.n > MOST_EVENTS) return calloc((size_t)w.n, sizeof(dr_lane_step)); /* all in lane 0 */
    w.words = (w.n + 63) / 64;
    w.event = malloc((size_t)w.n * sizeof *w.event + 1);
    w.span = malloc((size_t)spans * sizeof *w.span + 1);
    w.first = malloc(((size_t)w.n + 1) * sizeof *w.first);
    w.before = calloc((size_t)(w.n * w.words) + 1, sizeof *w.before);
    dr_lane_step *step = NULL;
    if (w.event && w.span && w.first && w.before) {
        int64_t n = 0;
        for (int64_t i = 0; i < r->events; i++) {
            if (!r->event[i].once && r->event[i].kind != EVENT_HOST) w.event[n++] = &r->event[i];
        }
        find_spans(&w, base);
        step = assign(&w);
    } else {
        dr_fail(DR_ENOMEM, "out of memory for a plan");
    }
    free(w.event);
    free(w.span);
    free(w.first);
    free(w.before);
    return step;
}
