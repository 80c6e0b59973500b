/* scope.c: who owns the results of ops. A scope holds one reference to each tensor made while it is the current one,
 * and gives them all back when it closes; dr_keep hands the reference to the caller, dr_escape to the scope around.
 * Depth 1 is always open. */
#define _GNU_SOURCE /* gettid */
#include "tensor.h"

#include <stdlib.h>
#include <unistd.h>

enum { SCOPE_DEPTH = 256 };

typedef struct scope {
    dr_tensor **held; /* NULL where a tensor left */
    int count, capacity;
} scope;

static scope scopes[SCOPE_DEPTH];
static int depth = 1;
static int fence;    /* a component is being called, and scopes up to this one are not its own; 0: none is */
static bool refused; /* it tried to close one of those */

void dr_scope_open(void)
{
    if (depth + 1 >= SCOPE_DEPTH) {
        dr_fail(DR_EINTERNAL, "more than %d scopes inside one another", SCOPE_DEPTH);
        return;
    }
    depth++;
}

static void empty(scope *s)
{
    for (int i = s->count - 1; i >= 0; i--) {
        dr_tensor *t = s->held[i];
        if (!t) continue;
        t->scope = 0;
        dr_release(t);
    }
    s->count = 0;
}

/* Scopes belong to the program's first thread. */
static bool is_first_thread(void)
{
    static _Thread_local int known; /* 1: it is, 2: it is not */
    if (known == 0) known = gettid() == getpid() ? 1 : 2;
    return known == 1;
}

int dr_scope_depth(void) { return is_first_thread() ? depth : 0; }

int dr_scope_fence(int at)
{
    const int before = fence;
    fence = at;
    return before;
}

bool dr_scope_refused(void)
{
    const bool was = refused;
    refused = false;
    return was;
}

void dr_scope_close(void)
{
    if (fence > 0 && depth <= fence) {
        refused = true;
        return;
    }
    empty(&scopes[depth]);
    if (depth > 1) {
        depth--;
        return;
    }
    free(scopes[1].held); /* the outermost: the program's end */
    scopes[1] = (scope){ 0 };
}

static void hold_at(dr_tensor *t, int level)
{
    scope *s = &scopes[level];
    /* Tensors that came and went leave holes at the end: reuse them, so that a scope that lives long stays small. */
    while (s->count > 0 && !s->held[s->count - 1]) s->count--;
    if (s->count == s->capacity) {
        const int capacity = s->capacity ? 2 * s->capacity : 64;
        dr_tensor **held = realloc(s->held, (size_t)capacity * sizeof *held);
        if (!held) {
            dr_fail(DR_ENOMEM, "out of memory for a scope of %d tensors", s->count);
            t->scope = 0;
            return; /* the reference leaks rather than dangles */
        }
        s->held = held;
        s->capacity = capacity;
    }
    t->scope = level;
    t->slot = s->count;
    s->held[s->count++] = t;
}

void dr_scope_hold(dr_tensor *t) { hold_at(t, depth); }

void dr_scope_drop(dr_tensor *t)
{
    if (t->scope == 0) return;
    scopes[t->scope].held[t->slot] = NULL;
    t->scope = 0;
}

dr_tensor *dr_keep(dr_tensor *t)
{
    if (!t) return NULL;
    if (t->scope == 0) return dr_retain(t); /* a weight, or kept before: one more owner */
    dr_scope_drop(t);
    return t;
}

dr_tensor *dr_escape(dr_tensor *t)
{
    if (!t || t->scope == 0 || t->scope < depth || depth == 1) return t;
    dr_scope_drop(t);
    hold_at(t, depth - 1);
    return t;
}
