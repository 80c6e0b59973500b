/* plan.c: steps that are replayed. The first call of a function runs as written, so that state which it makes on its
 * way comes to be; the next two are recorded (record.c); if both did the same (compare.c), the kernels are run again by
 * all later calls, in memory laid out once (arena.c): no Lua, no tape, no allocation. From time to time a call is
 * recorded again and compared. What cannot be replayed runs as written for good, and a note says why. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

enum { CAPTURES = 8, MOST_CAPTURES = 64, MOST_RESTARTS = 8, LONGEST_INTERVAL = 1000 };

struct dr_plan {
    char *name;
    int64_t first_check, calls, replayed, checked;
    dr_capture *capture[CAPTURES];
    int captures, captures_made;
    bool as_written, told;
    char reason[320];
    int64_t age; /* the plans' when something was last recorded */
};

static bool enabled = true;
static int64_t generation, age;

bool dr_plan_enable(bool on)
{
    const bool was = enabled;
    enabled = on;
    return was;
}

void dr_plan_outdate(void) { generation++; }
void dr_plan_forget_all(void) { age++; }

/* ---- life ------------------------------------------------------------------------------------------------------- */

dr_plan *dr_plan_new(const char *name, int64_t first_check)
{
    dr_plan *p = dr_failed() ? NULL : calloc(1, sizeof *p);
    if (p && (p->name = strdup(name))) {
        p->first_check = first_check < 1 ? 1 : first_check;
        p->age = age;
        return p;
    }
    free(p);
    dr_fail(DR_ENOMEM, "out of memory for a plan");
    return NULL;
}

/* Gives back what was recorded, and the arena, if it is this one's. */
static void forget(dr_capture *k)
{
    dr_device *d = k->step ? k->step->device : NULL;
    dr_replay_graph_free(k);
    if (d && d->arena_user == k) dr_device_drop_arena(d);
    dr_recording_free(k->step);
    free(k->base);
    k->step = NULL;
    k->base = NULL;
    k->once_done = false;
}

static void free_capture(dr_capture *k)
{
    forget(k);
    for (int i = 0; i < k->inputs; i++) dr_release(k->input[i]);
    free(k->signature);
    free(k);
}

void dr_plan_free(dr_plan *p)
{
    if (!p) return;
    for (int i = 0; i < p->captures; i++) free_capture(p->capture[i]);
    free(p->name);
    free(p);
}

/* As it was when it was made, but for its counts. */
static void begin_anew(dr_plan *p)
{
    for (int i = 0; i < p->captures; i++) free_capture(p->capture[i]);
    memset(p->capture, 0, sizeof p->capture);
    p->captures = p->captures_made = 0;
    p->as_written = p->told = false;
    p->reason[0] = '\0';
    p->age = age;
}

void dr_plan_check(dr_plan *p)
{
    for (int i = 0; i < p->captures; i++) {
        dr_capture *k = p->capture[i];
        k->check = true;
        if (k->step && k->step->device && k->step->device->arena_user == k) dr_device_spare_arena(k->step->device);
    }
}

static void run_as_written_for_good(dr_plan *p, dr_capture *k, const char *when, const char *why)
{
    forget(k);
    k->stage = AS_WRITTEN;
    snprintf(p->reason, sizeof p->reason, "%s", why);
    if (!p->told && !dr_nothing_to_replay(why)) {
        dr_note("%s is not replayed%s, it runs as written: %s", p->name, when, why);
    }
    p->told = true;
}

/* ---- which recording a call belongs to -------------------------------------------------------------------------- */

typedef struct text {
    char *at;
    size_t n;
} text;

static void put(text *t, const void *data, size_t bytes)
{
    memcpy(t->at + t->n, data, bytes);
    t->n += bytes;
}

static void put_number(text *t, int64_t value) { put(t, &value, sizeof value); }

static void put_view(text *t, const dr_tensor *x)
{
    put_number(t, x ? x->view.rank : -1);
    if (!x) return;
    put_number(t, x->view.dtype);
    put_number(t, (int64_t)(intptr_t)x->storage->device);
    for (int i = 0; i < x->view.rank; i++) {
        put_number(t, x->view.shape[i]);
        put_number(t, x->view.stride[i]);
    }
}

/* What must be equal for one recording to serve two calls. */
static text signature_of(const dr_plan_call *c)
{
    const char *key = c->key ? c->key : "";
    text t = { malloc(strlen(key) + sizeof(int64_t) * (8 + DR_PLAN_INPUTS * (3 + 2 * DR_MAX_RANK))), 0 };
    if (!t.at) {
        dr_fail(DR_ENOMEM, "out of memory for a plan");
        return t;
    }
    const bool recording = dr_grad_mode(false);
    dr_grad_mode(recording);
    put_number(&t, recording);
    put_number(&t, (int64_t)dr_module_modes());
    put_number(&t, (int64_t)(intptr_t)dr_device_current());
    put_number(&t, c->has_sample);
    put_number(&t, c->constant);
    for (int i = 0; i < c->n_in; i++) put_view(&t, c->in[i]);
    put(&t, key, strlen(key));
    return t;
}

static int oldest(const dr_plan *p)
{
    int at = 0;
    for (int i = 1; i < p->captures; i++) {
        if (p->capture[i]->used < p->capture[at]->used) at = i;
    }
    return at;
}

static dr_capture *add_capture(dr_plan *p, const text *signature)
{
    dr_capture *k = calloc(1, sizeof *k);
    if (!k) {
        dr_fail(DR_ENOMEM, "out of memory for a plan");
        return NULL;
    }
    *k = (dr_capture){ .plan = p->name, .signature = signature->at, .signature_bytes = signature->n, .interval = p->first_check };
    const int at = p->captures < CAPTURES ? p->captures++ : oldest(p);
    if (p->capture[at]) free_capture(p->capture[at]);
    p->capture[at] = k;
    p->captures_made++;
    return k;
}

static dr_capture *capture_for(dr_plan *p, const dr_plan_call *c)
{
    text t = signature_of(c);
    dr_capture *k = NULL;
    for (int i = 0; i < p->captures && !k && t.at; i++) {
        dr_capture *each = p->capture[i];
        if (each->signature_bytes == t.n && memcmp(each->signature, t.at, t.n) == 0) k = each;
    }
    if (!t.at || k) {
        free(t.at);
    } else if (!(k = add_capture(p, &t))) {
        free(t.at);
    }
    if (k) k->used = ++p->calls;
    return k;
}

/* ---- recording -------------------------------------------------------------------------------------------------- */

static dr_status run_as_written(dr_plan_call *c, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    c->ran = true;
    dr_reload_bar("the function of a plan");
    const dr_status status = c->fn(c->ctx, in, out, n_out);
    dr_reload_unbar();
    return status;
}

/* Runs the function on the plan's inputs, and writes down what it does. NULL: it failed. */
static dr_recording *record(dr_capture *k, dr_plan_call *c, dr_tensor **out, int *n_out)
{
    dr_device *d = dr_device_current();
    if (d) dr_device_spare_arena(d); /* the function needs memory of its own now */
    if (dr_bind_inputs(k, c) != DR_OK) return NULL;
    dr_recording *r = dr_record_begin(k->input, c->n_in, c);
    if (!r) return NULL;
    const int phase = dr_profile_begin("capture");
    dr_scope_open();
    const dr_status status = run_as_written(c, k->input, out, n_out);
    dr_scope_close();
    dr_record_end(r, out, status == DR_OK ? *n_out : 0);
    dr_profile_end(phase);
    if (status == DR_OK && !dr_failed()) return r;
    dr_recording_free(r);
    return NULL;
}

static bool settled(const dr_recording *a, const dr_recording *b)
{
    if (!b->has_sample || a->sample != b->sample) return true;
    for (int64_t i = 0; i < b->events; i++) {
        if (b->event[i].sample) return false; /* whether it moves with the call's sample has not shown yet */
    }
    return true;
}

static dr_status make_ready(dr_capture *k, uint32_t constant)
{
    dr_recording *r = k->step;
    r->settled = true;
    k->arena = dr_lay_arena(r, constant);
    k->base = calloc((size_t)r->slots + 1, sizeof *k->base);
    if (!k->base) return dr_fail(DR_ENOMEM, "out of memory for a plan");
    for (int32_t i = 0; i < r->slots && !dr_failed(); i++) {
        dr_slot *s = &r->slot[i];
        if (s->kind == SLOT_INNER) s->storage = s->output ? dr_storage_new(r->device, s->bytes) : NULL;
    }
    k->stage = READY;
    k->once_done = k->check = false;
    k->since_check = 0;
    return dr_failed();
}

static dr_status record_step(dr_plan *p, dr_capture *k, dr_plan_call *c, dr_tensor **out, int *n_out)
{
    char why[256] = "";
    const int64_t before = generation;
    dr_recording *r = record(k, c, out, n_out);
    if (!r) {
        forget(k);
        k->stage = NEW;
        return dr_failed();
    }
    if (r->fault[0]) {
        run_as_written_for_good(p, k, "", r->fault);
        dr_recording_free(r);
        return dr_failed();
    }
    if (k->stage == RECORDED && k->generation == before && !dr_same_step(k->step, r, why, sizeof why)) {
        run_as_written_for_good(p, k, "", why);
        dr_recording_free(r);
        return dr_failed();
    }
    const bool both = k->stage == RECORDED && k->generation == before && settled(k->step, r);
    dr_recording_free(k->step);
    k->step = r;
    k->stage = RECORDED;
    k->generation = before;
    return both ? make_ready(k, c->constant) : dr_failed();
}

/* A step that is replayed, as written once more: is it still the same? */
static dr_status check_step(dr_plan *p, dr_capture *k, dr_plan_call *c, dr_tensor **out, int *n_out)
{
    char why[256] = "";
    const int64_t now = generation;
    dr_recording *r = record(k, c, out, n_out);
    if (!r) return dr_failed();
    p->checked++;
    const bool fits = !r->fault[0] && dr_same_step(k->step, r, why, sizeof why);
    if (fits) {
        k->interval = k->interval * 4 < LONGEST_INTERVAL ? k->interval * 4 : LONGEST_INTERVAL;
        k->since_check = 0;
        k->check = k->once_done = false;
        k->generation = now;
        dr_recording_free(r);
        return dr_failed();
    }
    if (k->generation != now && !r->fault[0] && k->restarts < MOST_RESTARTS) { /* weights lie elsewhere now */
        k->restarts++;
        forget(k);
        k->step = r;
        k->stage = RECORDED;
        k->generation = now;
        return dr_failed();
    }
    run_as_written_for_good(p, k, " any more", r->fault[0] ? r->fault : why);
    dr_recording_free(r);
    return dr_failed();
}

/* ---- a call ----------------------------------------------------------------------------------------------------- */

/* What is not dense is left to run as written: a copy of it would lie otherwise, and kernels might round otherwise. */
static const char *unfit(const dr_plan_call *c)
{
    if (c->n_in > DR_PLAN_INPUTS) return "it has too many inputs";
    for (int i = 0; i < c->n_in; i++) {
        const dr_tensor *t = c->in[i];
        if (t && dr_has_requires_grad(t)) return "one of its inputs requires a gradient";
        if (t && !dr_view_is(&t->view, DR_LAYOUT_DENSE)) {
            return "one of its inputs is a view with holes; give it :contiguous()";
        }
    }
    return NULL;
}

dr_status dr_plan_run(dr_plan *p, dr_plan_call *c, dr_tensor **out, int *n_out)
{
    c->ran = false;
    *n_out = 0;
    if (dr_failed()) return dr_failed();
    if (p->age != age && !dr_plan_recording()) begin_anew(p);
    if (!enabled || dr_plan_recording() || p->as_written) return run_as_written(c, c->in, out, n_out);
    dr_capture *k = capture_for(p, c);
    if (!k) return dr_failed();
    if (k->stage == NEW) {
        const char *why = unfit(c);
        if (!why && p->captures_made > MOST_CAPTURES) {
            why = "its inputs have another shape too often";
            p->as_written = true;
        }
        if (why) run_as_written_for_good(p, k, "", why);
    }
    switch (k->stage) {
    case RUN_ONCE:
    case RECORDED: return record_step(p, k, c, out, n_out);
    case READY:
        if (k->check || k->generation != generation || k->since_check >= k->interval) {
            return check_step(p, k, c, out, n_out);
        }
        p->replayed++;
        return dr_replay(k, c, out, n_out);
    case NEW:
        if (dr_device_current()) dr_device_spare_arena(dr_device_current()); /* as in record() */
        k->stage = RUN_ONCE;
        break;
    case AS_WRITTEN: break;
    }
    return run_as_written(c, c->in, out, n_out);
}

const dr_capture *dr_plan_last(const dr_plan *p)
{
    const dr_capture *last = NULL;
    for (int i = 0; i < p->captures; i++) {
        if (!last || p->capture[i]->used > last->used) last = p->capture[i];
    }
    return last;
}

dr_plan_state dr_plan_look(const dr_plan *p)
{
    dr_plan_state s = { .reason = p->reason[0] ? p->reason : NULL, .replayed = p->replayed, .checked = p->checked };
    const dr_capture *last = dr_plan_last(p);
    if (!last || last->stage != READY) return s;
    s.replays = true;
    s.arena = last->arena;
    s.made = last->step->made;
    for (int32_t i = 0; i < last->step->slots; i++) {
        const dr_slot *slot = &last->step->slot[i];
        s.outer += slot->kind == SLOT_OUTER ? slot->bytes : 0;
        s.inputs += slot->kind == SLOT_INPUT ? slot->bytes : 0;
    }
    s.graph = last->graph != NULL;
    s.graphs = last->graphs;
    for (int64_t i = 0; i < last->step->events; i++) {
        s.launches += last->step->event[i].kind == EVENT_LAUNCH;
        s.once += last->step->event[i].kind == EVENT_LAUNCH && last->step->event[i].once;
    }
    return s;
}
