/* plan.c: steps that are replayed. The first call of a function runs as written, so that state which it makes on its
 * way comes to be; the next two are recorded (record.c); if both did the same (compare.c), the kernels are run again by
 * all later calls, in memory laid out once (arena.c): no Lua, no tape, no allocation. From time to time a call is
 * recorded again and compared. What cannot be replayed runs as written for good, and a note says why. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

enum { CAPTURES = 8, MOST_CAPTURES = 64, MOST_RESTARTS = 8, LONGEST_INTERVAL = 1000 };

typedef enum stage { NEW = 0, RUN_ONCE, RECORDED, READY, AS_WRITTEN } stage;

typedef struct capture { /* of calls of one signature */
    char *signature;
    size_t signature_bytes;
    stage stage;
    dr_recording *step;               /* the last one; what is replayed when ready */
    dr_tensor *input[DR_PLAN_INPUTS]; /* where the kernels read the call's inputs; owned */
    int inputs;
    size_t arena;
    char **base;                      /* [slots] during a replay */
    bool once_done, check;
    int64_t since_check, interval, generation, used;
    int restarts;
} capture;

struct dr_plan {
    char *name;
    int64_t first_check, calls, replayed, checked;
    capture *capture[CAPTURES];
    int captures, captures_made;
    bool as_written, told;
    char reason[320];
};

static bool enabled = true;
static int64_t generation;

bool dr_plan_enable(bool on)
{
    const bool was = enabled;
    enabled = on;
    return was;
}

void dr_plan_outdate(void) { generation++; }

/* ---- life ------------------------------------------------------------------------------------------------------- */

dr_plan *dr_plan_new(const char *name, int64_t first_check)
{
    dr_plan *p = dr_failed() ? NULL : calloc(1, sizeof *p);
    if (p && (p->name = strdup(name))) {
        p->first_check = first_check < 1 ? 1 : first_check;
        return p;
    }
    free(p);
    dr_fail(DR_ENOMEM, "out of memory for a plan");
    return NULL;
}

/* Gives back what was recorded, and the arena, if it is this one's. */
static void forget(capture *k)
{
    dr_device *d = k->step ? k->step->device : NULL;
    if (d && d->arena_user == k) dr_device_drop_arena(d);
    dr_recording_free(k->step);
    free(k->base);
    k->step = NULL;
    k->base = NULL;
    k->once_done = false;
}

static void free_capture(capture *k)
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

void dr_plan_check(dr_plan *p)
{
    for (int i = 0; i < p->captures; i++) {
        capture *k = p->capture[i];
        k->check = true;
        if (k->step && k->step->device && k->step->device->arena_user == k) dr_device_drop_arena(k->step->device);
    }
}

static void run_as_written_for_good(dr_plan *p, capture *k, const char *when, const char *why)
{
    forget(k);
    k->stage = AS_WRITTEN;
    snprintf(p->reason, sizeof p->reason, "%s", why);
    if (!p->told && !dr_nothing_to_replay(why)) dr_note("%s is not replayed%s, it runs as written: %s", p->name, when, why);
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

static capture *add_capture(dr_plan *p, const text *signature)
{
    capture *k = calloc(1, sizeof *k);
    if (!k) {
        dr_fail(DR_ENOMEM, "out of memory for a plan");
        return NULL;
    }
    *k = (capture){ .signature = signature->at, .signature_bytes = signature->n, .interval = p->first_check };
    const int at = p->captures < CAPTURES ? p->captures++ : oldest(p);
    if (p->capture[at]) free_capture(p->capture[at]);
    p->capture[at] = k;
    p->captures_made++;
    return k;
}

static capture *capture_for(dr_plan *p, const dr_plan_call *c)
{
    text t = signature_of(c);
    capture *k = NULL;
    for (int i = 0; i < p->captures && !k && t.at; i++) {
        capture *each = p->capture[i];
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

/* ---- inputs ----------------------------------------------------------------------------------------------------- */

static bool dense(const dr_tensor *t) { return dr_view_is(&t->view, DR_LAYOUT_DENSE); }

static size_t bytes_of(const dr_tensor *t)
{
    size_t bytes = 0;
    dr_checked_size("an input of a plan", (dr_dtype)t->view.dtype, t->view.rank, t->view.shape, NULL, &bytes);
    return bytes;
}

/* What is not dense is left to run as written: a copy of it would lie otherwise, and kernels might round otherwise. */
static const char *unfit(const dr_plan_call *c)
{
    if (c->n_in > DR_PLAN_INPUTS) return "it has too many inputs";
    for (int i = 0; i < c->n_in; i++) {
        const dr_tensor *t = c->in[i];
        if (t && dr_has_requires_grad(t)) return "one of its inputs requires a gradient";
        if (t && !dense(t)) return "one of its inputs is a view with holes; give it :contiguous()";
    }
    return NULL;
}

/* The call's tensors in the plan's own memory, where recorded kernels read them. A tensor that someone still has is
 * left to him, and another takes its place. */
static dr_status bind(capture *k, const dr_plan_call *c)
{
    k->inputs = c->n_in;
    for (int i = 0; i < c->n_in; i++) {
        const dr_tensor *from = c->in[i];
        dr_tensor *to = k->input[i];
        if (!from) continue;
        dr_device *d = from->storage->device;
        if (!to || to->refs > 1 || to->storage->refs > 1) {
            to = dr_keep(dr_tensor_make(d, &from->view));
            if (!to) return dr_failed();
            dr_release(k->input[i]);
            k->input[i] = to;
            k->once_done = false;
        } else if ((c->constant >> i & 1) && (d->api->flags & DR_BACKEND_HOST_MEMORY) &&
                   memcmp(to->view.data, from->view.data, bytes_of(from)) == 0) {
            continue;
        }
        if (c->constant >> i & 1) k->once_done = false;
        const size_t bytes = bytes_of(from);
        if (bytes > 0 && d->api->copy(d->self, to->view.data, from->view.data, bytes, DR_COPY_ON_DEVICE) != DR_OK) {
            return dr_failed() ? dr_failed() : dr_fail(DR_EINTERNAL, "device %s: a copy failed", d->name);
        }
    }
    return DR_OK;
}

/* ---- recording -------------------------------------------------------------------------------------------------- */

static dr_status run_as_written(dr_plan_call *c, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    c->ran = true;
    return c->fn(c->ctx, in, out, n_out);
}

/* Runs the function on the plan's inputs, and writes down what it does. NULL: it failed. */
static dr_recording *record(capture *k, dr_plan_call *c, dr_tensor **out, int *n_out)
{
    dr_device *d = dr_device_current();
    if (d) dr_device_drop_arena(d); /* the function needs memory of its own now */
    if (bind(k, c) != DR_OK) return NULL;
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

static dr_status make_ready(capture *k, uint32_t constant)
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

static dr_status record_step(dr_plan *p, capture *k, dr_plan_call *c, dr_tensor **out, int *n_out)
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
static dr_status check_step(dr_plan *p, capture *k, dr_plan_call *c, dr_tensor **out, int *n_out)
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

/* ---- replay ----------------------------------------------------------------------------------------------------- */

/* Results that someone still has are left to him; the kernels write to new memory. */
static dr_status find_addresses(capture *k, char *arena)
{
    dr_recording *r = k->step;
    for (int32_t i = 0; i < r->slots; i++) {
        dr_slot *s = &r->slot[i];
        if (s->kind == SLOT_INNER && s->output && s->storage->refs > 1) {
            dr_storage *fresh = dr_storage_new(r->device, s->bytes);
            if (!fresh) return dr_failed();
            dr_storage_release(s->storage);
            s->storage = fresh;
        }
        if (s->kind == SLOT_INPUT) {
            k->base[i] = k->input[s->input]->storage->data;
        } else {
            k->base[i] = s->storage ? s->storage->data : arena + s->offset;
        }
    }
    return DR_OK;
}

static dr_status replay_event(const capture *k, dr_event *e, int64_t sample)
{
    dr_recording *r = k->step;
    for (int i = 0; i < e->n_in + e->n_out; i++) {
        const dr_place *w = &e->where[i];
        if (w->slot < 0) continue;
        e->view[i].data = k->base[w->slot] + w->offset;
        dr_slot *s = &r->slot[w->slot];
        if (s->kind == SLOT_OUTER && (i >= e->n_in || e->mutates)) s->storage->version++;
    }
    if (e->kind == EVENT_HOST) return e->fn(e->ctx, e->data);
    if (e->kind == EVENT_WRITE) {
        dr_device *d = r->device;
        return d->api->copy(d->self, e->view[0].data, e->data, e->bytes, DR_COPY_TO_DEVICE);
    }
    if (e->sample) *e->sample = e->sample_base + sample;
    dr_launch l = e->launch;
    l.args.in = e->view;
    l.args.out = e->view + e->n_in;
    l.args.attr = e->bytes > 0 ? e->data : NULL;
    return dr_launch_kernel(&l);
}

static dr_status replay_events(const capture *k, bool once, int64_t sample)
{
    for (int64_t i = 0; i < k->step->events; i++) {
        dr_event *e = &k->step->event[i];
        if (e->once == once && replay_event(k, e, sample) != DR_OK) return dr_failed();
    }
    return dr_failed();
}

/* Has anything been written to since, from which something was computed once? Notes when what was. */
static bool once_outdated(const capture *k)
{
    bool outdated = !k->once_done;
    for (int32_t i = 0; i < k->step->slots; i++) {
        dr_slot *s = &k->step->slot[i];
        if (s->kind != SLOT_OUTER || s->version == s->storage->version) continue;
        s->version = s->storage->version;
        outdated = true;
    }
    return outdated;
}

static void give_results(const capture *k, dr_tensor **out, int *n_out)
{
    const dr_recording *r = k->step;
    for (int i = 0; i < r->outputs; i++) {
        const dr_output *o = &r->output[i];
        out[i] = NULL;
        if (o->where.slot < 0) continue;
        const dr_slot *s = &r->slot[o->where.slot];
        dr_view v = o->view;
        v.data = k->base[o->where.slot] + o->where.offset;
        out[i] = dr_keep(dr_tensor_wrap(&v, s->kind == SLOT_INPUT ? k->input[s->input]->storage : s->storage));
    }
    *n_out = r->outputs;
}

static dr_status replay(dr_plan *p, capture *k, const dr_plan_call *c, dr_tensor **out, int *n_out)
{
    dr_device *d = k->step->device;
    if (bind(k, c) != DR_OK) return dr_failed();
    if (d->arena_user != k || !d->arena || d->arena->bytes < k->arena) k->once_done = false;
    dr_storage *arena = dr_device_arena(d, k->arena, k);
    if (!arena || find_addresses(k, arena->data) != DR_OK) return dr_failed();
    if (once_outdated(k)) {
        k->once_done = false;
        if (replay_events(k, true, c->sample) != DR_OK) return dr_failed();
        k->once_done = true;
    }
    const int phase = dr_profile_begin("replay");
    const dr_status status = replay_events(k, false, c->sample);
    dr_profile_end(phase);
    if (status != DR_OK) return status;
    give_results(k, out, n_out);
    k->since_check++;
    p->replayed++;
    return dr_failed();
}

/* ---- a call ----------------------------------------------------------------------------------------------------- */

dr_status dr_plan_run(dr_plan *p, dr_plan_call *c, dr_tensor **out, int *n_out)
{
    c->ran = false;
    *n_out = 0;
    if (dr_failed()) return dr_failed();
    if (!enabled || dr_plan_recording() || p->as_written) return run_as_written(c, c->in, out, n_out);
    capture *k = capture_for(p, c);
    if (!k) return dr_failed();
    if (k->stage == NEW) {
        const char *why = unfit(c);
        if (!why && p->captures_made > MOST_CAPTURES) why = "its inputs have another shape too often", p->as_written = true;
        if (why) run_as_written_for_good(p, k, "", why);
    }
    switch (k->stage) {
    case RUN_ONCE:
    case RECORDED: return record_step(p, k, c, out, n_out);
    case READY:
        if (k->check || k->generation != generation || k->since_check >= k->interval) {
            return check_step(p, k, c, out, n_out);
        }
        return replay(p, k, c, out, n_out);
    case NEW:
        if (dr_device_current()) dr_device_drop_arena(dr_device_current()); /* as in record() */
        k->stage = RUN_ONCE;
        break;
    case AS_WRITTEN: break;
    }
    return run_as_written(c, c->in, out, n_out);
}

dr_plan_state dr_plan_look(const dr_plan *p)
{
    dr_plan_state s = { .reason = p->reason[0] ? p->reason : NULL, .replayed = p->replayed, .checked = p->checked };
    const capture *last = NULL;
    for (int i = 0; i < p->captures; i++) {
        if (!last || p->capture[i]->used > last->used) last = p->capture[i];
    }
    if (!last || last->stage != READY) return s;
    s.replays = true;
    s.arena = last->arena;
    s.made = last->step->made;
    for (int64_t i = 0; i < last->step->events; i++) {
        s.launches += last->step->event[i].kind == EVENT_LAUNCH;
        s.once += last->step->event[i].kind == EVENT_LAUNCH && last->step->event[i].once;
    }
    return s;
}
