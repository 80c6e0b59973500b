/* fake_objects.c: a hash table of what lives, by address. */
#include "fake_objects.h"

#include <stdlib.h>

enum { BUCKETS = 4096 };

typedef struct object {
    struct object *next;
    const char *kind;
    _Alignas(16) char data[];
} object;

static object *living[BUCKETS];

static object **bucket_of(const void *p) { return &living[((uintptr_t)p >> 4) % BUCKETS]; }

static object **find(const void *p)
{
    for (object **o = bucket_of(p); *o; o = &(*o)->next) {
        if ((*o)->data == p) return o;
    }
    return NULL;
}

void *fake_object_create(const char *kind, size_t bytes)
{
    object *o = calloc(1, sizeof *o + bytes);
    if (!o) return NULL;
    o->kind = kind;
    object **first = bucket_of(o->data);
    o->next = *first;
    *first = o;
    fake_alive(kind, 1);
    return o->data;
}

bool fake_object_is(const void *p, const char *kind, const char *what)
{
    object **o = find(p);
    if (o && strcmp((*o)->kind, kind) == 0) return true;
    fake_violation("%s: %p is %s%s, and should be %s", what, p, o ? "" : "none that lives", o ? (*o)->kind : "", kind);
    return false;
}

void fake_object_destroy(void *p)
{
    object **o = find(p);
    if (!o) return;
    object *dead = *o;
    *o = dead->next;
    fake_alive(dead->kind, -1);
    free(dead);
}
