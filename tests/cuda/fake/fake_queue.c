/* fake_queue.c: work that is queued on streams: done at once, or as late as it may (fake_late): when the host waits for it,
 * or frees what it may use. While a stream is captured, work becomes nodes of a graph. A node remembers which allocations
 * it was made with: doing it after one was freed is a violation. */
#include "fake_queue.h"

#include <stdlib.h>
#include <string.h>

/* Any word of the closure that points into an allocation says that the node uses it. */
static void note_uses(node *n, size_t bytes)
{
    for (size_t at = 0; at + sizeof(void *) <= bytes; at += sizeof(void *)) {
        void *word;
        memcpy(&word, (char *)n->closure + at, sizeof word);
        const int64_t serial = fake_serial(word);
        if (serial) n->serial[n->uses++] = serial;
    }
}

void fake_free_node(node *n)
{
    free(n->closure);
    free(n->serial);
    free(n);
}

static node *new_node(const char *name, void (*run)(void *), const void *closure, size_t bytes)
{
    node *n = calloc(1, sizeof *n);
    if (!n) abort();
    n->name = name;
    n->run = run;
    n->closure = malloc(bytes ? bytes : 1);
    n->serial = calloc(bytes / sizeof(void *) + 1, sizeof *n->serial);
    if (!n->closure || !n->serial) abort(); /* the test's own memory */
    memcpy(n->closure, closure, bytes);
    note_uses(n, bytes);
    return n;
}

/* ---- what waits to be done ------------------------------------------------------------------------------------------ */

static bool late;
static node *waiting, **waiting_end = &waiting; /* all streams' work, in the order in which it came */
int64_t fake_queued, fake_finished;

void fake_run_node(node *n)
{
    for (int i = 0; i < n->uses && fake_sticky() == cudaSuccess; i++) {
        if (fake_lives(n->serial[i])) continue;
        fake_violation("%s uses memory that was freed since it was asked for", n->name);
        fake_make_sticky(cudaErrorIllegalAddress);
    }
    if (fake_sticky() == cudaSuccess) n->run(n->closure);
}

void fake_finish(int64_t position)
{
    while (waiting && fake_finished < position) {
        node *n = waiting;
        waiting = n->next;
        if (!waiting) waiting_end = &waiting;
        fake_finished++;
        fake_run_node(n);
        fake_free_node(n);
    }
}

void fake_late(bool on)
{
    fake_finish(fake_queued);
    late = on;
}

void fake_submit(cudaStream_t s, const char *name, void (*run)(void *closure), const void *closure, size_t bytes)
{
    if (!fake_is_stream(s, name)) return;
    node *n = new_node(name, run, closure, bytes);
    if (s->capturing) {
        n->after = s->tail;
        s->tail = (tail){ { n }, 1 };
        *s->capturing->last = n;
        s->capturing->last = &n->next;
        s->capturing->nodes++;
        return;
    }
    *waiting_end = n;
    waiting_end = &n->next;
    fake_queued++;
    if (!late) fake_finish(fake_queued);
}

