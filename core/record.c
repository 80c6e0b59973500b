/* record.c: what a function does to a device, written down while it runs: each kernel with its views and attributes,
 * each write from the host, and which memory each view lies in. Memory that the function makes is known by when it is
 * met, memory from outside is held, so that no other can get its address. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

static const char no_kernel[] = "it runs no kernel";

static dr_recording *now; /* NULL: nothing is recorded */
static int64_t recordings;

bool dr_plan_recording(void) { return now != NULL; }

void dr_plan_refuse(const char *format, ...)
{
    if (!now || now->fault[0]) return; /* the first reason counts */
    va_list args;
    va_start(args, format);
    vsnprintf(now->fault, sizeof now->fault, format, args);
    va_end(args);
}

bool dr_nothing_to_replay(const char *fault) { return strcmp(fault, no_kernel) == 0; }

/* ---- beginning -------------------------------------------------------------------------------------------------- */

dr_recording *dr_record_begin(dr_tensor *const *in, int n_in, const dr_plan_call *c)
{
    dr_recording *r = calloc(1, sizeof *r);
    if (!r) {
        dr_fail(DR_ENOMEM, "out of memory for a plan");
        return NULL;
    }
    r->number = ++recordings;
    r->first_id = dr_storage_next_id();
    r->sample = c->sample;
    r->has_sample = c->has_sample;
    r->inputs = n_in;
    for (int i = 0; i < n_in; i++) r->input[i] = in[i] ? in[i]->storage : NULL;
    now = r;
    return r;
}

void dr_recording_free(dr_recording *r)
{
    if (!r) return;
    if (now == r) now = NULL;
    for (int64_t i = 0; i < r->events; i++) {
        free(r->event[i].view);
        free(r->event[i].where);
        free(r->event[i].data);
    }
    for (int32_t i = 0; i < r->slots; i++) dr_storage_release(r->slot[i].storage);
    free(r->event);
    free(r->slot);
    free(r);
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static void *grown(void *list, int64_t n, int64_t *room, size_t each)
{
    if (n < *room) return list;
    const int64_t more = *room ? 2 * *room : 256;
    void *larger = realloc(list, (size_t)more * each);
    if (!larger) {
        dr_plan_refuse("there is no memory to record it");
        return NULL;
    }
    *room = more;
    return larger;
}

/* What is frozen has its values from elsewhere, whenever it was made: no event of the recording gives them. */
static dr_slot slot_for(dr_storage *s)
{
    for (int i = 0; i < now->inputs; i++) {
        if (now->input[i] == s) return (dr_slot){ .kind = SLOT_INPUT, .input = i };
    }
    if (s->id >= now->first_id && !s->frozen) return (dr_slot){ .kind = SLOT_INNER, .alive = true };
    s->refs++;
    return (dr_slot){ .kind = SLOT_OUTER, .storage = s };
}

static int32_t slot_of(dr_storage *s)
{
    if (s->recording == now->number) return s->slot;
    int64_t room = now->slot_room;
    dr_slot *slot = grown(now->slot, now->slots, &room, sizeof *slot);
    if (!slot) return -1;
    now->slot = slot;
    now->slot_room = (int32_t)room;
    slot[now->slots] = slot_for(s);
    s->recording = now->number;
    s->slot = now->slots;
    return now->slots++;
}

void dr_record_freed(const dr_storage *s)
{
    if (now && s->recording == now->number) now->slot[s->slot].alive = false;
}

/* Bytes from the view's first element to the end of its last one. */
size_t dr_view_extent(const dr_view *v)
{
    int64_t last = 0;
    for (int i = 0; i < v->rank; i++) {
        if (v->shape[i] == 0) return 0;
        last += (v->shape[i] - 1) * v->stride[i];
    }
    return (size_t)(last + 1) * dr_dtype_size((dr_dtype)v->dtype);
}

static dr_place place_of(const dr_tensor *t, const dr_view *v)
{
    dr_place w = { .slot = -1 };
    if (!t) return w;
    if (!now->device) now->device = t->storage->device;
    if (now->device != t->storage->device) dr_plan_refuse("it works on two devices");
    w.slot = slot_of(t->storage);
    w.offset = (size_t)((char *)v->data - (char *)t->storage->data);
    if (w.slot < 0) return w;
    dr_slot *s = &now->slot[w.slot];
    const size_t end = w.offset + dr_view_extent(v);
    if (end > s->bytes) s->bytes = end;
    return w;
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

static dr_event *add_event(event_kind kind, int views, const void *data, size_t bytes)
{
    dr_event *list = grown(now->event, now->events, &now->event_room, sizeof *list);
    if (!list) return NULL;
    now->event = list;
    dr_event *e = &list[now->events];
    *e = (dr_event){ .kind = kind, .bytes = bytes };
    e->data = malloc(bytes + 1);
    e->view = calloc((size_t)views + 1, sizeof *e->view);
    e->where = calloc((size_t)views + 1, sizeof *e->where);
    now->events++;
    if (!e->data || !e->view || !e->where) {
        dr_plan_refuse("there is no memory to record it");
        return NULL;
    }
    if (bytes > 0 && data) memcpy(e->data, data, bytes);
    return e;
}

static void add_view(dr_event *e, int i, const dr_tensor *t, const dr_view *v)
{
    e->view[i] = *v;
    e->view[i].data = NULL;
    e->where[i] = place_of(t, v);
}

/* The attribute that says with which row a random stream begins, by its name: rand_normal's, dropout's. */
static int64_t *sample_in(const dr_component *op, void *attr)
{
    const dr_param *p;
    for (int i = 0; (p = dr_param_at(op, i)); i++) {
        if (p->type == DR_PARAM_INT && strcmp(p->name, "sample") == 0) return (void *)((char *)attr + p->offset);
    }
    return NULL;
}

void dr_record_launch(const dr_launch *l)
{
    if (!now || now->fault[0]) return;
    if (!l->component || !l->in || !l->out) {
        dr_plan_refuse("it launches a kernel that is no op");
        return;
    }
    dr_event *e = add_event(EVENT_LAUNCH, l->args.n_in + l->args.n_out, l->args.attr, l->args.attr ? l->attr_size : 0);
    if (!e) return;
    e->component = l->component;
    e->launch = *l;
    e->launch.in = e->launch.out = NULL;
    e->mutates = (((const dr_op *)l->component->iface)->flags & DR_OP_MUTATES) != 0;
    for (int i = 0; i < l->args.n_in; i++) add_view(e, i, l->in[i], &l->args.in[i]);
    for (int j = 0; j < l->args.n_out; j++) add_view(e, l->args.n_in + j, l->out[j], &l->args.out[j]);
    e->n_in = l->args.n_in;
    e->n_out = l->args.n_out;
    e->sample = l->args.attr ? sample_in(l->component, e->data) : NULL;
    if (e->sample) e->sample_base = *e->sample - now->sample;
}

void dr_record_write(const dr_tensor *t, const void *from, size_t bytes)
{
    if (!now || now->fault[0]) return;
    dr_event *e = add_event(EVENT_WRITE, 1, from, bytes);
    if (!e) return;
    add_view(e, 0, t, &t->view);
    e->n_out = 1;
}

void dr_plan_host(dr_status (*fn)(void *ctx, const void *data), void *ctx, const void *data, size_t bytes)
{
    if (!now || now->fault[0]) return;
    dr_event *e = add_event(EVENT_HOST, 0, data, bytes);
    if (!e) return;
    e->fn = fn;
    e->ctx = ctx;
}

/* ---- end -------------------------------------------------------------------------------------------------------- */

static void add_output(dr_recording *r, const dr_tensor *t)
{
    dr_output *o = &r->output[r->outputs++];
    *o = (dr_output){ .where = { .slot = -1 } };
    if (!t) return;
    if (dr_tape_open(t)) dr_plan_refuse("it gives back a tensor whose graph is still open: call backward inside");
    if (t->requires_grad) dr_plan_refuse("it gives back a tensor that requires a gradient");
    o->view = t->view;
    o->view.data = NULL;
    o->where = place_of(t, &t->view);
    if (o->where.slot < 0) return;
    dr_slot *s = &r->slot[o->where.slot];
    if (s->kind == SLOT_OUTER) dr_plan_refuse("it gives back a tensor that was there before");
    s->output = true;
}

/* The op that made the memory of a slot. */
static const char *maker(const dr_recording *r, int32_t slot)
{
    for (int64_t i = 0; i < r->events; i++) {
        const dr_event *e = &r->event[i];
        for (int k = 0; k < e->n_in + e->n_out; k++) {
            if (e->where[k].slot == slot) return e->kind == EVENT_LAUNCH ? e->component->name : "the host";
        }
    }
    return "the host";
}

void dr_record_end(dr_recording *r, dr_tensor *const *out, int n_out)
{
    for (int i = 0; i < n_out && !r->fault[0]; i++) add_output(r, out[i]);
    for (int32_t i = 0; i < r->slots && !r->fault[0]; i++) {
        const dr_slot *s = &r->slot[i];
        if (s->kind == SLOT_INNER && s->alive && !s->output) {
            dr_plan_refuse("it leaves a tensor behind that %s made, and does not give it back", maker(r, i));
        }
        if (s->kind == SLOT_INNER) r->made += s->bytes;
    }
    if (!r->fault[0] && r->events == 0) dr_plan_refuse("%s", no_kernel);
    now = NULL;
}
