/* replay_graph.c: a replay as one launch, on devices that have graphs (see dr_backend's graph_begin). The events that
 * vary are captured once, with the addresses of that moment, and again when any of these has changed. Results lie in
 * memory that belongs to the graph, so callers get copies. Where random streams begin is told with each launch. A
 * replay runs kernel by kernel while a profile is open, with DRIFT_CUDA_GRAPH=off, and with DRIFT_SYNC=1, where an
 * error is to name its kernel. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

typedef struct dr_replay_graph {
    dr_device *device; /* NULL: it has closed */
    void *made;        /* the backend's */
    char **base;       /* [slots]: the addresses in it */
    struct dr_replay_graph *next; /* of the same device */
} dr_replay_graph;

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void unlink_graph(dr_replay_graph *g)
{
    dr_replay_graph **at = &g->device->graphs;
    while (*at != g) at = &(*at)->next;
    *at = g->next;
}

void dr_replay_graph_free(dr_capture *k)
{
    dr_replay_graph *g = k->graph;
    if (!g) return;
    if (g->device) {
        unlink_graph(g);
        g->device->api->graph_free(g->device->self, g->made);
    }
    free(g->base);
    free(g);
    k->graph = NULL;
}

void dr_replay_graphs_close(dr_device *d)
{
    for (dr_replay_graph *g = d->graphs; g; g = g->next) {
        d->api->graph_free(d->self, g->made);
        g->device = NULL;
    }
    d->graphs = NULL;
}

static dr_status keep(dr_capture *k, void *made)
{
    dr_device *d = k->step->device;
    dr_replay_graph *g = calloc(1, sizeof *g);
    const size_t bytes = (size_t)k->step->slots * sizeof *g->base;
    if (g) g->base = malloc(bytes + 1);
    if (!g || !g->base) {
        free(g);
        d->api->graph_free(d->self, made);
        return dr_fail(DR_ENOMEM, "out of memory for a plan");
    }
    memcpy(g->base, k->base, bytes);
    g->device = d;
    g->made = made;
    g->next = d->graphs;
    d->graphs = g;
    k->graph = g;
    k->graphs++;
    return DR_OK;
}

/* ---- capturing --------------------------------------------------------------------------------------------------- */

static bool is_set(const char *name, const char *off) /* to anything but "" and `off` */
{
    const char *value = getenv(name);
    return value && *value && strcmp(value, off) != 0;
}

static bool wanted(const dr_capture *k)
{
    const char *graph = getenv("DRIFT_CUDA_GRAPH");
    if (k->no_graph || !k->step->device->api->graph_begin || dr_launch_is_hooked()) return false;
    return !(graph && strcmp(graph, "off") == 0) && !is_set("DRIFT_SYNC", "0");
}

static bool has_lanes(const dr_device *d) /* DRIFT_CUDA_LANES=off: all kernels follow each other */
{
    const char *lanes = getenv("DRIFT_CUDA_LANES");
    return d->api->graph_step && !(lanes && strcmp(lanes, "off") == 0);
}

static dr_status capture(dr_capture *k)
{
    const dr_recording *r = k->step;
    dr_device *d = r->device;
    dr_lane_step *lane = has_lanes(d) ? dr_lanes_of(r, k->base) : NULL;
    if (dr_failed()) return dr_failed();
    if (d->api->graph_begin(d->self) != DR_OK) {
        free(lane);
        return dr_failed();
    }
    int64_t n = 0;
    for (int64_t i = 0; i < r->events && !dr_failed(); i++) {
        dr_event *e = &r->event[i];
        if (e->once || e->kind == EVENT_HOST) continue;
        if (lane) d->api->graph_step(d->self, lane[n].lane, lane[n].n, lane[n].after);
        n++;
        if (!dr_failed()) dr_replay_event(k, e, 0, true);
    }
    free(lane);
    void *made = d->api->graph_end(d->self);
    if (!made) return dr_failed() ? dr_failed() : dr_fail(DR_EINTERNAL, "device %s made no graph", d->name);
    return keep(k, made);
}

/* What cannot be captured may run nevertheless: if it cannot, the kernels themselves say so. */
bool dr_replay_graph_ready(dr_capture *k)
{
    if (!wanted(k)) return false;
    const size_t bytes = (size_t)k->step->slots * sizeof *k->base;
    if (k->graph && memcmp(k->graph->base, k->base, bytes) == 0) return true;
    dr_replay_graph_free(k);
    const int phase = dr_profile_begin("graph");
    const dr_status status = capture(k);
    dr_profile_end(phase);
    if (status == DR_OK) return true;
    dr_note("%s is replayed kernel by kernel, not as one graph: %s", k->plan, dr_error_message());
    dr_error_clear();
    k->no_graph = true;
    return false;
}

/* ---- launching --------------------------------------------------------------------------------------------------- */

dr_status dr_replay_graph_launch(const dr_capture *k, int64_t sample)
{
    const dr_recording *r = k->step;
    dr_device *d = r->device;
    if (d->api->graph_launch(d->self, k->graph->made, sample) != DR_OK) {
        return dr_failed() ? dr_failed() : dr_fail(DR_EINTERNAL, "device %s: a graph could not be launched", d->name);
    }
    for (int64_t i = 0; i < r->events && !dr_failed(); i++) {
        const dr_event *e = &r->event[i];
        if (e->once) continue;
        if (e->kind == EVENT_HOST) e->fn(e->ctx, e->data);
        dr_count_writes(k, e);
    }
    return dr_failed();
}

static dr_storage *copy_of_slot(const dr_capture *k, int32_t slot)
{
    dr_device *d = k->step->device;
    const size_t bytes = k->step->slot[slot].bytes;
    dr_storage *copy = dr_storage_new(d, bytes);
    if (!copy || bytes == 0) return copy;
    if (d->api->copy(d->self, copy->data, k->base[slot], bytes, DR_COPY_ON_DEVICE) == DR_OK) return copy;
    dr_storage_release(copy);
    dr_fail(DR_EINTERNAL, "device %s: a copy failed", d->name);
    return NULL;
}

/* Results that share memory share the copy. */
void dr_replay_graph_results(const dr_capture *k, dr_tensor **out, int *n_out)
{
    const dr_recording *r = k->step;
    dr_storage *copy[DR_PLAN_OUTPUTS] = { NULL };
    int shared[DR_PLAN_OUTPUTS];
    *n_out = r->outputs;
    for (int i = 0; i < r->outputs; i++) {
        const dr_output *o = &r->output[i];
        out[i] = NULL;
        if (o->where.slot < 0) continue;
        for (shared[i] = 0; r->output[shared[i]].where.slot != o->where.slot; shared[i]++) continue;
        if (shared[i] == i) copy[i] = copy_of_slot(k, o->where.slot);
        dr_storage *storage = copy[shared[i]];
        if (!storage) continue;
        dr_view v = o->view;
        v.data = (char *)storage->data + o->where.offset;
        out[i] = dr_keep(dr_tensor_wrap(&v, storage));
    }
    for (int i = 0; i < r->outputs; i++) dr_storage_release(copy[i]);
}
