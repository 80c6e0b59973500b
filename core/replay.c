/* replay.c: the recorded kernels once more. The call's inputs are copied to where they read, results that somebody
 * still has are left to him, what follows from weights and labels alone runs only if these have changed. The rest is one
 * launch where the device can do that (replay_graph.c), else kernel by kernel. */
#include "plan.h"

#include <string.h>

/* ---- inputs ----------------------------------------------------------------------------------------------------- */

static size_t bytes_of(const dr_tensor *t)
{
    size_t bytes = 0;
    dr_checked_size("an input of a plan", (dr_dtype)t->view.dtype, t->view.rank, t->view.shape, NULL, &bytes);
    return bytes;
}

/* The call's tensors in the plan's own memory, where recorded kernels read them. A tensor that someone still has is
 * left to him, and another takes its place. */
dr_status dr_bind_inputs(dr_capture *k, const dr_plan_call *c)
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

/* ---- replay ----------------------------------------------------------------------------------------------------- */

/* Results that someone still has are left to him; the kernels write to new memory. */
static dr_status find_addresses(dr_capture *k, char *arena)
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

void dr_count_writes(const dr_capture *k, const dr_event *e)
{
    for (int i = e->mutates ? 0 : e->n_in; i < e->n_in + e->n_out; i++) {
        const dr_slot *s = e->where[i].slot >= 0 ? &k->step->slot[e->where[i].slot] : NULL;
        if (s && s->kind == SLOT_OUTER) s->storage->version++;
    }
}

dr_status dr_replay_event(const dr_capture *k, dr_event *e, int64_t sample, bool moves)
{
    if (e->kind == EVENT_HOST) return e->fn(e->ctx, e->data);
    for (int i = 0; i < e->n_in + e->n_out; i++) {
        const dr_place *w = &e->where[i];
        if (w->slot >= 0) e->view[i].data = k->base[w->slot] + w->offset;
    }
    if (e->kind == EVENT_WRITE) {
        dr_device *d = k->step->device;
        return d->api->copy(d->self, e->view[0].data, e->data, e->bytes, DR_COPY_TO_DEVICE);
    }
    if (e->sample) *e->sample = e->sample_base + sample;
    dr_launch l = e->launch;
    l.args.in = e->view;
    l.args.out = e->view + e->n_in;
    l.args.attr = e->bytes > 0 ? e->data : NULL;
    l.args.sample_moves = moves && e->sample;
    return dr_launch_kernel(&l);
}

static dr_status replay_events(const dr_capture *k, bool once, int64_t sample)
{
    for (int64_t i = 0; i < k->step->events; i++) {
        dr_event *e = &k->step->event[i];
        if (e->once != once) continue;
        if (dr_replay_event(k, e, sample, false) != DR_OK) return dr_failed();
        dr_count_writes(k, e);
    }
    return dr_failed();
}

/* Has anything been written to since, from which something was computed once? Notes when what was. */
static bool once_outdated(const dr_capture *k)
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

static void give_results(const dr_capture *k, dr_tensor **out, int *n_out)
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

static dr_status replay(dr_capture *k, const dr_plan_call *c, dr_tensor **out, int *n_out)
{
    dr_device *d = k->step->device;
    if (dr_bind_inputs(k, c) != DR_OK) return dr_failed();
    if (d->arena_user != k || !d->arena || d->arena->bytes < k->arena) k->once_done = false;
    dr_storage *arena = dr_device_arena(d, k->arena, k);
    if (!arena || find_addresses(k, arena->data) != DR_OK) return dr_failed();
    if (once_outdated(k)) {
        k->once_done = false;
        if (replay_events(k, true, c->sample) != DR_OK) return dr_failed();
        k->once_done = true;
    }
    const bool graph = dr_replay_graph_ready(k);
    const int phase = dr_profile_begin("replay");
    const dr_status status = graph ? dr_replay_graph_launch(k, c->sample) : replay_events(k, false, c->sample);
    dr_profile_end(phase);
    if (status != DR_OK) return status;
    if (graph) {
        dr_replay_graph_results(k, out, n_out);
    } else {
        give_results(k, out, n_out);
    }
    k->since_check++;
    return dr_failed();
}

dr_status dr_replay(dr_capture *k, const dr_plan_call *c, dr_tensor **out, int *n_out)
{
    dr_device *d = k->step->device;
    const bool before = d->arena_in_use;
    d->arena_in_use = true;
    const dr_status status = replay(k, c, out, n_out);
    d->arena_in_use = before;
    return status;
}
