/* tape.c: reverse-mode differentiation. Each result of a recorded op points to the node that made it; a node points to
 * the nodes of its inputs, or to leaves, and holds only what its op's backward declared that it needs; of that, not what
 * the node that made it can make again (dr_op.again: batch_norm_act's output), unless the device keeps it. dr_backward walks nodes in the reverse
 * order of their making and frees each one's saved tensors as soon as it has passed. */
#include "tensor.h"

#include <stdlib.h>
#include <string.h>

typedef struct edge { /* where the gradient of one input goes */
    dr_node *node;    /* the op that made it ... */
    int output;       /* ... and as which of its outputs; */
    dr_tensor *leaf;  /* or a leaf, owned; both NULL: nowhere */
} edge;

struct dr_node {
    int refs;
    int64_t order; /* of making */
    bool done;     /* backward has passed: nothing saved any more */
    const dr_component *component;
    void *attr;
    int n_in, n_out;
    edge *edges;       /* [n_in] */
    dr_tensor **in;    /* [n_in] saved, or NULL */
    uint64_t again;    /* bit i: input i is not saved; the node that made it makes it again */
    dr_tensor *made;   /* during backward: output 0 made again, for all who did not save it */
    dr_tensor **out;   /* [n_out] saved, or NULL */
    dr_view *in_view;  /* [n_in], data NULL */
    dr_view *out_view; /* [n_out] */
    dr_tensor **dout;  /* [n_out] during backward: gradients that have arrived */
    bool queued;       /* during backward */
    char *place;       /* the module that it was made in, while results are listened to (dr_set_apply_hook); or NULL */
    dr_node *next;     /* while being freed */
};

static bool recording = true;
static int64_t made;

bool dr_grad_mode(bool on)
{
    const bool was = recording;
    recording = on;
    return was;
}

dr_tensor *dr_requires_grad(dr_tensor *t, bool on)
{
    if (on && t && dr_tensor_is_frozen(t)) {
        dr_fail(DR_EINVAL, "a weight as it lies in a file has no gradient: build the network with trainable = true, which copies it");
        return t;
    }
    if (t && !t->node) t->requires_grad = on;
    return t;
}

bool dr_tape_open(const dr_tensor *t) { return t && t->node && !t->node->done; }
bool dr_has_requires_grad(const dr_tensor *t) { return t && (t->requires_grad || t->node); }
dr_tensor *dr_grad(dr_tensor *leaf) { return leaf ? leaf->grad : NULL; }

void dr_zero_grad(dr_tensor *leaf)
{
    if (!leaf) return;
    dr_release(leaf->grad);
    leaf->grad = NULL;
}

bool dr_tape_wants(dr_tensor *const *in, int n)
{
    if (!recording) return false;
    for (int i = 0; i < n; i++) {
        if (dr_has_requires_grad(in[i])) return true;
    }
    return false;
}

/* The same memory without gradient and outside all scopes: saving a result itself would tie it to its own node. */
static dr_tensor *saved_alias(dr_tensor *t)
{
    dr_tensor *alias = dr_tensor_wrap(&t->view, t->storage);
    return alias ? dr_keep(alias) : NULL;
}

static void free_saved(dr_node *n)
{
    dr_release(n->made);
    n->made = NULL;
    for (int i = 0; i < n->n_in; i++) {
        dr_release(n->in[i]);
        n->in[i] = NULL;
    }
    for (int j = 0; j < n->n_out; j++) {
        dr_release(n->out[j]);
        dr_release(n->dout[j]);
        n->out[j] = n->dout[j] = NULL;
    }
}

/* A chain of a thousand ops is freed in a loop: nodes to free are linked by `next`. */
void dr_node_release(dr_node *n)
{
    if (!n || --n->refs > 0) return;
    dr_node *stack = n;
    while (stack) {
        dr_node *top = stack;
        stack = top->next;
        free_saved(top);
        for (int i = 0; i < top->n_in; i++) {
            dr_node *below = top->edges[i].node;
            dr_release(top->edges[i].leaf);
            if (!below || --below->refs > 0) continue;
            below->next = stack;
            stack = below;
        }
        free(top->attr);
        free(top->place);
        free(top->edges);
        free(top->in);
        free(top->in_view);
        free(top);
    }
}

static dr_node *node_new(const dr_component *component, const void *attr, int n_in, int n_out)
{
    dr_node *n = calloc(1, sizeof *n);
    const size_t inputs = (size_t)(n_in > 0 ? n_in : 1);
    if (!n) return NULL;
    n->refs = 1;
    n->component = component;
    n->n_in = n_in;
    n->n_out = n_out;
    n->attr = malloc(component->self_size > 0 ? component->self_size : 1);
    n->edges = calloc(inputs, sizeof *n->edges);
    n->in = calloc(inputs + 2 * DR_OP_MAX_OUT, sizeof *n->in);
    n->in_view = calloc(inputs + DR_OP_MAX_OUT, sizeof *n->in_view);
    if (!n->attr || !n->edges || !n->in || !n->in_view) {
        free(n->attr);
        free(n->edges);
        free(n->in);
        free(n->in_view);
        free(n);
        return NULL;
    }
    n->out = n->in + inputs;
    n->dout = n->out + DR_OP_MAX_OUT;
    n->out_view = n->in_view + inputs;
    if (attr) memcpy(n->attr, attr, component->self_size);
    n->order = ++made;
    return n;
}

static bool strides_agree(const dr_view *a, const dr_view *b)
{
    for (int i = 0; i < a->rank; i++) {
        if (a->shape[i] > 1 && a->stride[i] != b->stride[i]) return false;
    }
    return true;
}

/* t, as it went into an op that wants to see it in its backward: can it be made again then, and should it? */
static bool comes_again(const dr_tensor *t, const dr_tensor *laid)
{
    if (!t->node || t->output != 0 || (laid && laid != t)) return false;
    if (t->storage->device->api->flags & DR_BACKEND_KEEPS_RESULTS) return false;
    if (dr_apply_is_hooked()) return false; /* whoever listens to two devices hears the same ops of both */
    const dr_op *op = t->node->component->iface;
    return op->again && strides_agree(&t->view, &t->node->out_view[0]);
}

/* Output 0 of a node that has not passed yet; held by the node until then. */
static dr_tensor *make_again(dr_node *n)
{
    if (n->made) return n->made;
    const dr_op *op = n->component->iface;
    const dr_backward_args args = { .attr = n->attr, .n_in = n->n_in, .n_out = n->n_out, .in = n->in, .out = n->out,
                                    .in_view = n->in_view, .out_view = n->out_view };
    n->made = dr_keep(op->again(&args));
    return n->made;
}

void dr_tape_record(const dr_component *component, const void *attr, dr_tensor *const *in, dr_tensor *const *laid, int n_in,
                    dr_tensor *const *out, int n_out)
{
    const dr_op *op = component->iface;
    dr_node *n = node_new(component, attr, n_in, n_out);
    if (!n) {
        dr_fail(DR_ENOMEM, "%s: out of memory recording it for backward", component->name);
        return;
    }
    if (dr_apply_is_hooked()) n->place = strdup(dr_error_place());
    for (int i = 0; i < n_in; i++) {
        n->in_view[i].rank = -1;
        if (!in[i]) continue;
        n->in_view[i] = in[i]->view;
        n->in_view[i].data = NULL;
        if (in[i]->node) {
            n->edges[i] = (edge){ .node = in[i]->node, .output = in[i]->output };
            in[i]->node->refs++;
        } else if (in[i]->requires_grad) {
            n->edges[i].leaf = dr_retain(in[i]);
        }
        const int bit = i < 63 ? i : 63; /* inputs past the 63rd of a variadic op share its bit */
        if (!(op->save_in >> bit & 1)) continue;
        if (i < 63 && comes_again(in[i], laid[i])) n->again |= 1ull << i;
        else n->in[i] = saved_alias(laid[i] ? laid[i] : in[i]);
    }
    for (int j = 0; j < n_out; j++) {
        if (!out[j]) continue;
        n->out_view[j] = out[j]->view;
        n->out_view[j].data = NULL;
        if (op->save_out >> j & 1) n->out[j] = saved_alias(out[j]);
        dr_node_release(out[j]->node);
        out[j]->node = n;
        out[j]->output = j;
        n->refs++;
    }
    dr_node_release(n); /* its outputs hold it */
}

/* ---- backward -------------------------------------------------------------------------------------------------------- */

typedef struct queue { /* nodes whose gradient is complete come out in reverse order of making: a binary heap */
    dr_node **v;
    int64_t n, capacity;
} queue;

static dr_status push(queue *q, dr_node *node)
{
    if (node->queued) return DR_OK;
    if (q->n == q->capacity) {
        const int64_t capacity = q->capacity ? 2 * q->capacity : 64;
        dr_node **v = realloc(q->v, (size_t)capacity * sizeof *v);
        if (!v) return dr_fail(DR_ENOMEM, "backward: out of memory");
        q->v = v;
        q->capacity = capacity;
    }
    node->queued = true;
    node->refs++;
    int64_t i = q->n++;
    for (; i > 0 && q->v[(i - 1) / 2]->order < node->order; i = (i - 1) / 2) q->v[i] = q->v[(i - 1) / 2];
    q->v[i] = node;
    return DR_OK;
}

static dr_node *pop(queue *q)
{
    dr_node *top = q->v[0], *last = q->v[--q->n];
    int64_t i = 0;
    for (int64_t child = 1; child < q->n; child = 2 * i + 1) {
        if (child + 1 < q->n && q->v[child + 1]->order > q->v[child]->order) child++;
        if (last->order >= q->v[child]->order) break;
        q->v[i] = q->v[child];
        i = child;
    }
    q->v[i] = last;
    top->queued = false;
    return top;
}

/* A leaf's gradient has the leaf's own memory order, so that an optimizer may walk both as flat arrays, and memory of
 * its own: a gradient that arrives may be a view, or another tensor's gradient too. fresh: made by a backward just now,
 * so that it may be taken over if only `pass` and its scope hold it. */
static dr_status add_to_leaf(dr_tensor *leaf, dr_tensor *g, bool fresh)
{
    if (leaf->grad) {
        dr_tensor *sum = dr_keep(dr_add(leaf->grad, g));
        if (!sum) return dr_failed();
        dr_release(leaf->grad);
        leaf->grad = sum;
        if (strides_agree(&sum->view, &leaf->view)) return DR_OK;
        g = sum;
    } else if (fresh && g->refs == 2 && g->scope && g->storage->refs == 1 && strides_agree(&g->view, &leaf->view) &&
               dr_view_is(&g->view, DR_LAYOUT_DENSE)) {
        leaf->grad = dr_keep(g);
        return DR_OK;
    }
    dr_view like = leaf->view;
    if (!dr_view_is(&like, DR_LAYOUT_DENSE)) dr_view_lay(&like, DR_LAYOUT_ROW); /* the leaf is a view with holes */
    dr_tensor *own = dr_keep(dr_tensor_make(leaf->storage->device, &like));
    if (!own || dr_assign(own, g) != DR_OK) {
        dr_release(own);
        return dr_failed();
    }
    dr_release(leaf->grad);
    leaf->grad = own;
    return DR_OK;
}

static dr_status add_to_node(queue *q, dr_node *node, int output, dr_tensor *g)
{
    dr_tensor **slot = &node->dout[output];
    if (*slot) {
        dr_tensor *sum = dr_keep(dr_add(*slot, g));
        if (!sum) return dr_failed();
        dr_release(*slot);
        *slot = sum;
        return DR_OK;
    }
    *slot = dr_retain(g);
    return push(q, node);
}

static dr_status check_gradient(const dr_node *n, int i, const dr_tensor *g)
{
    const dr_view *want = &n->in_view[i];
    bool same = g->view.rank == want->rank && g->view.dtype == want->dtype;
    for (int k = 0; same && k < want->rank; k++) same = g->view.shape[k] == want->shape[k];
    char got[128], expected[128];
    return same ? DR_OK
                : dr_fail(DR_EINTERNAL, "%s: its backward made %s as the gradient of input %d, which is %s", n->component->name,
                          dr_view_text(&g->view, got, sizeof got), i + 1, dr_view_text(want, expected, sizeof expected));
}

static dr_status is_gone(const dr_node *n)
{
    return dr_fail(DR_EINVAL, "backward: part of the graph (%s) is gone, backward has already passed there", n->component->name);
}

/* What n did not save, from the nodes that made it. Those were made earlier, so they pass later. */
static dr_status bring_again(dr_node *n)
{
    for (int i = 0; i < n->n_in && i < 63 && n->again; i++) {
        if (!(n->again >> i & 1)) continue;
        dr_node *maker = n->edges[i].node;
        if (maker->done) return is_gone(maker);
        n->in[i] = dr_retain(make_again(maker));
        if (!n->in[i]) return dr_failed();
    }
    return DR_OK;
}

static dr_status pass(queue *q, dr_node *n)
{
    enum { FEW = 64 };
    uint8_t few_need[FEW];
    dr_tensor *few_din[FEW];
    uint8_t *need = n->n_in <= FEW ? few_need : calloc((size_t)n->n_in, 1);
    dr_tensor **din = n->n_in <= FEW ? few_din : calloc((size_t)n->n_in, sizeof *din);
    if (!need || !din) {
        if (need != few_need) free(need);
        if (din != few_din) free(din);
        return dr_fail(DR_ENOMEM, "backward: out of memory");
    }
    for (int i = 0; i < n->n_in; i++) {
        need[i] = n->edges[i].node || n->edges[i].leaf;
        din[i] = NULL;
    }
    const dr_op *op = n->component->iface;
    const dr_backward_args args = { .attr = n->attr, .n_in = n->n_in, .n_out = n->n_out, .in = n->in, .out = n->out,
                                    .in_view = n->in_view, .out_view = n->out_view, .dout = n->dout, .need = need, .din = din };
    dr_scope_open();
    dr_status status = bring_again(n);
    if (n->place) dr_error_push(n->place);
    if (status == DR_OK) status = op->backward(&args);
    if (status == DR_OK) status = dr_failed();
    if (n->place) dr_error_pop();
    for (int i = 0; i < n->n_in; i++) dr_retain(din[i]); /* it may be dout itself */
    free_saved(n); /* before the gradients below are added up: this is where memory peaks */
    n->done = true;
    for (int i = 0; i < n->n_in && status == DR_OK; i++) {
        if (!need[i] || !din[i]) continue;
        status = check_gradient(n, i, din[i]);
        if (status == DR_OK) {
            status = n->edges[i].leaf ? add_to_leaf(n->edges[i].leaf, din[i], true) : add_to_node(q, n->edges[i].node, n->edges[i].output, din[i]);
        }
    }
    for (int i = 0; i < n->n_in; i++) dr_release(din[i]);
    dr_scope_close();
    if (need != few_need) free(need);
    if (din != few_din) free(din);
    return status;
}

static dr_tensor *ones_like(dr_tensor *y)
{
    int64_t n = 1;
    for (int i = 0; i < y->view.rank; i++) n *= y->view.shape[i];
    char text[128];
    if (n != 1) {
        dr_fail(DR_ESHAPE, "backward: %s has %lld elements; give the gradient to start from", dr_view_text(&y->view, text, sizeof text), (long long)n);
        return NULL;
    }
    dr_tensor *dy = dr_tensor_make(y->storage->device, &y->view);
    return dy && dr_fill(dy, 1.0) == DR_OK ? dy : NULL;
}

dr_status dr_backward(dr_tensor *y, dr_tensor *dy)
{
    if (!y || dr_failed()) return dr_failed() ? dr_failed() : dr_fail(DR_EINVAL, "backward: no tensor");
    if (!dr_has_requires_grad(y)) return dr_fail(DR_EINVAL, "backward: nothing that led to this tensor requires a gradient");
    if (y->node && y->node->done) return dr_fail(DR_EINVAL, "backward: its graph is gone, backward has already passed; compute the value again");
    const bool was_recording = dr_grad_mode(false);
    dr_device *const before = dr_device_current();
    dr_device_use(y->storage->device);
    queue q = { 0 };
    dr_scope_open();
    if (!dy) dy = ones_like(y);
    dr_status status = dy ? DR_OK : dr_failed();
    if (status == DR_OK) status = y->node ? add_to_node(&q, y->node, y->output, dy) : add_to_leaf(y, dy, false);
    while (q.n > 0) {
        dr_node *n = pop(&q);
        if (status == DR_OK && n->done) {
            status = is_gone(n);
        }
        if (status == DR_OK) status = pass(&q, n);
        dr_node_release(n);
    }
    dr_scope_close();
    free(q.v);
    dr_device_use(before);
    dr_grad_mode(was_recording);
    return status;
}
