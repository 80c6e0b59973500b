/* A plan on a device that has graphs is one launch a replay, with the numbers of the function as written: random
 * streams move, results are the caller's own, memory that moves is captured again, what cannot be captured runs kernel
 * by kernel. The device is ref with a queue of its own: what it is given between begin and end, each launch runs. */
#include "../host.h"
#include "plan.h"

#include <stdlib.h>

/* ---- a device with graphs ---------------------------------------------------------------------------------------- */

enum { OPS = 64, NODES = 64, VIEWS = 8, BYTES = 1024 };

typedef struct node { /* a kernel, or a copy */
    dr_kernel kernel;
    dr_kargs args;
    dr_view view[VIEWS];
    _Alignas(16) char data[BYTES];
    size_t sample_at; /* in data */
    void *to;
    size_t bytes;
    int32_t lane, n, after[16];
    bool done;
} node;

typedef struct graph {
    node node[NODES];
    int nodes, steps;
} graph;

static struct queue {
    dr_kernel (*find)(void *self, const char *op, dr_dtype dtype);
    dr_status (*copy)(void *self, void *to, const void *from, size_t bytes, dr_copy_kind kind);
    const char *op[OPS];
    dr_kernel kernel[OPS];
    int ops;
    graph *captured;
    int begun, launched, freed; /* graphs */
    int64_t ran;                /* kernels outside of graphs */
    bool refuses;
    int lanes; /* of the last graph that ran: how many it has */
    int beside; /* nodes that ran before an earlier one */
} q;

static node *add_node(void)
{
    assert_true(q.captured->nodes < NODES);
    return &q.captured->node[q.captured->nodes++]; /* zero, but for what graph_step said of it */
}

static dr_status copy(void *self, void *to, const void *from, size_t bytes, dr_copy_kind kind)
{
    if (!q.captured) return q.copy(self, to, from, bytes, kind);
    assert_int_not_equal(kind, DR_COPY_TO_HOST);
    assert_true(bytes <= BYTES);
    node *n = add_node();
    memcpy(n->data, from, bytes);
    n->to = to;
    n->bytes = bytes;
    return DR_OK;
}

static void capture(const dr_kargs *a, dr_kernel kernel)
{
    const dr_component *op = dr_component_find("op", a->op);
    node *n = add_node();
    const dr_param *p;
    assert_true(op->self_size <= BYTES && a->n_in + a->n_out <= VIEWS);
    n->kernel = kernel;
    n->args = *a;
    memcpy(n->view, a->in, (size_t)a->n_in * sizeof *a->in);
    memcpy(n->view + a->n_in, a->out, (size_t)a->n_out * sizeof *a->out);
    if (a->attr) memcpy(n->data, a->attr, op->self_size);
    for (int i = 0; (p = dr_param_at(op, i)); i++) {
        if (strcmp(p->name, "sample") == 0) n->sample_at = p->offset;
    }
}

/* All kernels of the device: of this one name, there is one dtype in these tests. */
static void run(const dr_kargs *a)
{
    int i = 0;
    while (i < q.ops && strcmp(q.op[i], a->op) != 0) i++;
    assert_true(i < q.ops);
    if (q.captured) {
        capture(a, q.kernel[i]);
        return;
    }
    assert_false(a->sample_moves);
    q.ran++;
    q.kernel[i](a);
}

static dr_kernel find(void *self, const char *op, dr_dtype dtype)
{
    const dr_kernel kernel = q.find(self, op, dtype);
    if (!kernel || dtype != DR_F32) return kernel;
    assert_true(q.ops < OPS);
    q.op[q.ops] = op;
    q.kernel[q.ops++] = kernel;
    return run;
}

static dr_status graph_begin(void *self)
{
    (void)self;
    q.begun++;
    if (q.refuses) return dr_fail(DR_EUNSUPPORTED, "the queue is full");
    q.captured = calloc(1, sizeof *q.captured);
    return DR_OK;
}

static dr_status graph_step(void *self, int32_t lane, int32_t n, const int32_t *after)
{
    (void)self;
    graph *g = q.captured;
    assert_int_equal(g->steps, g->nodes); /* one for each */
    node *next = &g->node[g->steps++];
    *next = (node){ .lane = lane, .n = n };
    assert_in_range(lane, 0, DR_PLAN_LANES - 1);
    assert_true(n <= 16);
    for (int32_t i = 0; i < n; i++) {
        assert_in_range(after[i], 0, g->nodes - 1);
        next->after[i] = after[i];
    }
    return DR_OK;
}

static void *graph_end(void *self)
{
    (void)self;
    graph *g = q.captured;
    q.captured = NULL;
    return g;
}

static void run_node(void *self, node *n, int64_t sample)
{
    if (!n->kernel) {
        q.copy(self, n->to, n->data, n->bytes, DR_COPY_TO_DEVICE);
        return;
    }
    int64_t relative;
    memcpy(&relative, n->data + n->sample_at, sizeof relative);
    const int64_t absolute = relative + sample;
    if (n->args.sample_moves) memcpy(n->data + n->sample_at, &absolute, sizeof absolute);
    n->args.in = n->view;
    n->args.out = n->view + n->args.n_in;
    n->args.attr = n->data;
    n->kernel(&n->args);
    memcpy(n->data + n->sample_at, &relative, sizeof relative);
}

/* May node i run now? What lies before it in its lane has run, and what it waits for. */
static bool may_run(const graph *g, int i)
{
    for (int k = 0; k < i; k++) {
        if (!g->node[k].done && g->node[k].lane == g->node[i].lane) return false;
    }
    for (int32_t k = 0; k < g->node[i].n; k++) {
        if (!g->node[g->node[i].after[k]].done) return false;
    }
    return !g->node[i].done;
}

/* In the most unlikely order that the lanes allow: always the last node that may run. */
static dr_status graph_launch(void *self, void *made, int64_t sample)
{
    graph *g = made;
    q.launched++;
    q.lanes = q.beside = 0;
    for (int i = 0; i < g->nodes; i++) {
        g->node[i].done = false;
        if (g->node[i].lane >= q.lanes) q.lanes = g->node[i].lane + 1;
    }
    for (int left = g->nodes, i; left > 0; left--) {
        for (i = g->nodes - 1; i >= 0 && !may_run(g, i); i--) continue;
        assert_true(i >= 0);
        for (int k = 0; k < i; k++) q.beside += !g->node[k].done;
        run_node(self, &g->node[i], sample);
        g->node[i].done = true;
    }
    return dr_failed();
}

static void graph_free(void *self, void *made)
{
    (void)self;
    q.freed++;
    free(made);
}

static int open_with_graphs(void **state)
{
    if (open_ref(state) != 0) return -1;
    dr_backend *b = &dr_device_current()->api_read;
    q = (struct queue){ .find = b->kernel, .copy = b->copy };
    b->kernel = find;
    b->copy = copy;
    b->graph_begin = graph_begin;
    b->graph_end = graph_end;
    b->graph_step = graph_step;
    b->graph_launch = graph_launch;
    b->graph_free = graph_free;
    return 0;
}

static int64_t live(void) { return q.begun - q.freed; }

/* ---- a step
 * ------------------------------------------------------------------------------------------------------------ */

enum { N = 6 };

typedef struct step {
    dr_tensor *weight; /* [N] */
    int64_t runs, host;
} step;

static dr_status count(void *ctx, const void *data)
{
    (void)data;
    ((step *)ctx)->host++;
    return DR_OK;
}

/* weight += x + noise + {1..N};  gives exp(weight/100), and two rows of it that share its memory */
static dr_status step_of(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    step *s = ctx;
    const float numbers[N] = { 1, 2, 3, 4, 5, 6 };
    s->runs++;
    const dr_random_attr draw = { DR_F32, { 1, { N } }, 1, 2, 3, 1000 };
    dr_tensor *noise = dr_apply1("rand_normal", NULL, 0, &draw);
    dr_assign(s->weight, dr_add(s->weight, dr_add(in[0], dr_add(noise, dr_tensor_from(DR_F32, DR_SHAPE(N), numbers)))));
    dr_tensor *y = dr_exp(dr_scale(0.01, s->weight));
    out[0] = dr_retain(y);
    out[1] = dr_retain(dr_slice(y, 0, 2, 2));
    out[2] = NULL;
    *n_out = 3;
    dr_plan_host(count, s, NULL, 0);
    s->host++;
    return dr_failed();
}

static step new_step(void)
{
    const float zero[N] = { 0 };
    return (step){ .weight = dr_keep(dr_tensor_from(DR_F32, DR_SHAPE(N), zero)) };
}

/* Owned by the caller. */
static dr_tensor *call(dr_plan *p, step *s, float value)
{
    float x[N], whole[N], part[2];
    dr_tensor *in[1], *out[DR_PLAN_OUTPUTS];
    int n;
    for (int i = 0; i < N; i++) x[i] = value * (float)i;
    dr_scope_open();
    in[0] = dr_tensor_from(DR_F32, DR_SHAPE(N), x);
    dr_plan_call c = { .fn = step_of, .ctx = s, .in = in, .n_in = 1 };
    assert_int_equal(dr_plan_run(p, &c, out, &n), DR_OK);
    assert_int_equal(n, 3);
    assert_null(out[2]);
    assert_int_equal(dr_tensor_read(out[0], DR_F32, whole), DR_OK);
    assert_int_equal(dr_tensor_read(out[1], DR_F32, part), DR_OK);
    assert_memory_equal(part, whole + 2, sizeof part);
    assert_ptr_equal(out[0]->storage, out[1]->storage);
    dr_release(out[1]);
    dr_scope_close();
    return out[0];
}

static void check_calls(dr_plan *p, step *s, dr_plan *other, step *as_written, int calls)
{
    float given[N], expected[N];
    for (int i = 0; i < calls; i++) {
        dr_plan_enable(false);
        dr_tensor *wanted = call(other, as_written, 0.1f * (float)i);
        dr_plan_enable(true);
        dr_tensor *got = call(p, s, 0.1f * (float)i);
        dr_tensor_read(got, DR_F32, given);
        dr_tensor_read(wanted, DR_F32, expected);
        assert_memory_equal(given, expected, sizeof given);
        dr_release(got);
        dr_release(wanted);
        assert_int_equal(s->host, as_written->host);
    }
}

/* ---- promises
 * ---------------------------------------------------------------------------------------------------------- */

static void a_replay_is_one_launch_with_the_same_numbers(void **state)
{
    (void)state;
    step s = new_step(), t = new_step();
    dr_plan *p = dr_plan_new("a step", 1000), *other = dr_plan_new("as written", 1000);
    check_calls(p, &s, other, &t, 3);
    assert_int_equal(q.launched, 0);
    const int64_t ran = q.ran, version = s.weight->storage->version;
    dr_tensor *first = call(p, &s, 0.5f);
    float before[N], after[N];
    dr_tensor_read(first, DR_F32, before);
    dr_tensor *second = call(p, &s, 0.5f);
    dr_tensor_read(first, DR_F32, after);
    assert_memory_equal(before, after, sizeof before); /* it is the caller's own */
    dr_tensor_read(second, DR_F32, after);
    assert_memory_not_equal(before, after, sizeof before);
    assert_int_equal(q.launched, 2);
    assert_int_equal(q.begun, 1);
    assert_int_equal(q.ran, ran);
    assert_int_equal(s.weight->storage->version, version + 2);
    assert_true(dr_plan_look(p).graph);
    dr_release(first);
    dr_release(second);
    dr_release(call(other, &t, 0.5f));
    dr_release(call(other, &t, 0.5f));
    check_calls(p, &s, other, &t, 4);
    dr_plan_free(p);
    dr_plan_free(other);
    assert_int_equal(live(), 0);
    dr_release(s.weight);
    dr_release(t.weight);
}

static dr_status noise_from(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    const int64_t sample = *(int64_t *)ctx;
    const dr_random_attr moves = { DR_F32, { 1, { N } }, 1, 2, 3, sample + 7 };
    const dr_random_attr stays = { DR_F32, { 1, { N } }, 1, 2, 3, 7 };
    (void)in;
    out[0] = dr_retain(dr_add(dr_apply1("rand_normal", NULL, 0, &moves),
                              dr_scale(10, dr_apply1("rand_normal", NULL, 0, &stays))));
    *n_out = 1;
    return dr_failed();
}

static void random_streams_move_with_the_launch(void **state)
{
    (void)state;
    dr_plan *p = dr_plan_new("noise", 1000);
    float given[N], expected[N];
    for (int64_t i = 0; i < 12; i++) {
        int64_t sample = 13 * i * i;
        dr_tensor *out[DR_PLAN_OUTPUTS], *wanted[1];
        dr_plan_call c = { .fn = noise_from, .ctx = &sample, .sample = sample, .has_sample = true };
        int n;
        dr_scope_open();
        assert_int_equal(dr_plan_run(p, &c, out, &n), DR_OK);
        noise_from(&sample, NULL, wanted, &n);
        dr_tensor_read(out[0], DR_F32, given);
        dr_tensor_read(wanted[0], DR_F32, expected);
        assert_memory_equal(given, expected, sizeof given);
        dr_release(out[0]);
        dr_release(wanted[0]);
        dr_scope_close();
    }
    assert_true(q.launched >= 8);
    dr_plan_free(p);
    assert_int_equal(live(), 0);
}

/* Two chains of products that meet, and a step in place beside them: what is independent goes in lanes of its own. */
static dr_status two_chains(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    step *s = ctx;
    dr_tensor *a = in[0], *b = dr_scale(0.5, in[0]);
    for (int i = 0; i < 6; i++) {
        a = dr_sin(dr_add(a, in[0]));
        b = dr_cos(dr_mul(b, a));
        if (i % 3 == 0) dr_assign(s->weight, dr_add(s->weight, a));
    }
    out[0] = dr_retain(dr_add(dr_add(a, b), s->weight));
    *n_out = 1;
    return dr_failed();
}

static void what_is_independent_may_run_in_any_order(void **state)
{
    (void)state;
    step s = new_step(), t = new_step();
    dr_plan *p = dr_plan_new("two chains", 1000);
    float x[N], given[N], expected[N];
    for (int i = 0; i < 8; i++) {
        dr_tensor *in[1], *out[DR_PLAN_OUTPUTS], *wanted[1];
        int n;
        for (int k = 0; k < N; k++) x[k] = 0.1f * (float)(i + k);
        dr_scope_open();
        in[0] = dr_tensor_from(DR_F32, DR_SHAPE(N), x);
        dr_plan_call c = { .fn = two_chains, .ctx = &s, .in = in, .n_in = 1 };
        assert_int_equal(dr_plan_run(p, &c, out, &n), DR_OK);
        assert_int_equal(two_chains(&t, in, wanted, &n), DR_OK);
        dr_tensor_read(out[0], DR_F32, given);
        dr_tensor_read(wanted[0], DR_F32, expected);
        assert_memory_equal(given, expected, sizeof given);
        dr_release(out[0]);
        dr_release(wanted[0]);
        dr_scope_close();
    }
    assert_true(q.launched > 0);
    assert_true(q.lanes > 1);
    assert_true(q.beside > 0);
    dr_plan_free(p);
    dr_release(s.weight);
    dr_release(t.weight);
    assert_int_equal(live(), 0);
}

static void memory_that_has_moved_is_captured_again(void **state)
{
    (void)state;
    step s = new_step(), t = new_step();
    dr_plan *p = dr_plan_new("a step", 1000), *other = dr_plan_new("as written", 1000);
    dr_device *d = dr_device_current();
    check_calls(p, &s, other, &t, 5);
    assert_int_equal(dr_plan_look(p).graphs, 1);
    dr_plan_check(p); /* the memory stays: the graph is bound to it */
    check_calls(p, &s, other, &t, 3);
    assert_int_equal(dr_plan_look(p).graphs, 1);
    dr_storage *arena = d->arena;
    arena->refs++; /* it goes, and nothing else can come to lie there */
    dr_device_drop_arena(d);
    check_calls(p, &s, other, &t, 3);
    assert_int_equal(dr_plan_look(p).graphs, 2);
    assert_int_equal(live(), 1);
    dr_storage_release(arena);
    dr_plan_free(p);
    dr_plan_free(other);
    dr_release(s.weight);
    dr_release(t.weight);
}

static void ignore_launch(void *ctx, const dr_launch *l, double start, double seconds)
{
    (void)start, (void)seconds;
    assert_non_null(l->args.op);
    ++*(int64_t *)ctx;
}

static void profiles_and_the_user_get_kernel_by_kernel(void **state)
{
    (void)state;
    step s = new_step(), t = new_step();
    dr_plan *p = dr_plan_new("a step", 1000), *other = dr_plan_new("as written", 1000);
    int64_t launches = 0;
    check_calls(p, &s, other, &t, 5);
    assert_int_equal(q.launched, 2);
    dr_set_launch_hook(ignore_launch, &launches);
    check_calls(p, &s, other, &t, 2);
    dr_set_launch_hook(NULL, NULL);
    assert_true(launches > 0);
    setenv("DRIFT_CUDA_GRAPH", "off", 1);
    check_calls(p, &s, other, &t, 2);
    unsetenv("DRIFT_CUDA_GRAPH");
    setenv("DRIFT_SYNC", "1", 1);
    check_calls(p, &s, other, &t, 2);
    unsetenv("DRIFT_SYNC");
    assert_int_equal(q.launched, 2);
    check_calls(p, &s, other, &t, 2);
    assert_int_equal(q.launched, 4);
    dr_plan_free(p);
    dr_plan_free(other);
    dr_release(s.weight);
    dr_release(t.weight);
}

static void read_note(void *ctx, const char *line) { snprintf(ctx, 256, "%s", line); }

static void what_cannot_be_captured_runs_kernel_by_kernel(void **state)
{
    (void)state;
    step s = new_step(), t = new_step();
    dr_plan *p = dr_plan_new("a step", 1000), *other = dr_plan_new("as written", 1000);
    char note[256] = "";
    q.refuses = true;
    dr_set_note_sink(read_note, note);
    check_calls(p, &s, other, &t, 6);
    dr_set_note_sink(NULL, NULL);
    assert_non_null(strstr(note, "a step is replayed kernel by kernel"));
    assert_non_null(strstr(note, "the queue is full"));
    assert_int_equal(q.begun, 1); /* it is not tried again */
    assert_int_equal(q.launched, 0);
    assert_int_equal(dr_plan_look(p).replayed, 3);
    assert_false(dr_plan_look(p).graph);
    dr_plan_free(p);
    dr_plan_free(other);
    dr_release(s.weight);
    dr_release(t.weight);
}

static void graphs_go_before_their_device(void **state)
{
    step s = new_step(), t = new_step();
    dr_plan *p = dr_plan_new("a step", 1000), *other = dr_plan_new("as written", 1000);
    check_calls(p, &s, other, &t, 5);
    assert_int_equal(live(), 1);
    dr_replay_graphs_close(dr_device_current());
    assert_int_equal(live(), 0);
    dr_plan_free(p);
    dr_plan_free(other);
    assert_int_equal(live(), 0);
    dr_release(s.weight);
    dr_release(t.weight);
    (void)state;
}

int main(void)
{
#define ON_ITS_OWN(test) cmocka_unit_test_setup_teardown(test, open_with_graphs, close_all)
    const struct CMUnitTest tests[] = {
        ON_ITS_OWN(a_replay_is_one_launch_with_the_same_numbers),
        ON_ITS_OWN(random_streams_move_with_the_launch),
        ON_ITS_OWN(what_is_independent_may_run_in_any_order),
        ON_ITS_OWN(memory_that_has_moved_is_captured_again),
        ON_ITS_OWN(profiles_and_the_user_get_kernel_by_kernel),
        ON_ITS_OWN(what_cannot_be_captured_runs_kernel_by_kernel),
        ON_ITS_OWN(graphs_go_before_their_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
