/* in_place.c: tensors of memory that somebody else has and nobody writes to: weights as they lie in a mapped file. They
 * are frozen. A kernel may keep a form of its own of such a weight, since it cannot change; the backend forgets it when
 * the memory goes. A device that cannot read the host's memory gets a copy, frozen as well. */
#include "tensor.h"

#include <string.h>

static dr_storage *storages; /* those in place, to find who has the memory at an address */

static void hand_back(const dr_memory_keeper *k)
{
    if (k->gone) k->gone(k->ctx);
}

bool dr_tensor_is_frozen(const dr_tensor *t) { return t->storage->frozen; }

/* What lasts longer than a plan is no part of its arena, so the copy is made past the recording. */
static dr_storage *uploaded(dr_device *d, const dr_view *view, size_t bytes)
{
    dr_storage *s = dr_storage_new(d, bytes);
    if (!s || bytes == 0) return s;
    if (d->api->copy(d->self, s->data, view->data, bytes, DR_COPY_TO_DEVICE) == DR_OK) return s;
    if (!dr_failed()) dr_fail(DR_EINTERNAL, "device %s: a copy failed", d->name);
    dr_storage_release(s);
    return NULL;
}

static dr_storage *kept(dr_device *d, const dr_view *view, size_t bytes, const dr_memory_keeper *keeper)
{
    dr_storage *s = dr_storage_around(d, view->data, bytes);
    if (!s) return NULL;
    s->in_place = true;
    s->keeper = *keeper;
    s->next_in_place = storages;
    storages = s;
    return s;
}

static dr_storage *storage_of(const dr_view *view, bool *in_place, const dr_memory_keeper *keeper)
{
    dr_device *d = dr_device_current();
    size_t bytes;
    if (dr_failed() || !dr_checked_size("tensor", (dr_dtype)view->dtype, view->rank, view->shape, NULL, &bytes)) return NULL;
    if (!d || !dr_view_is(view, DR_LAYOUT_DENSE) || (uintptr_t)view->data % dr_dtype_size((dr_dtype)view->dtype) != 0) {
        dr_fail(DR_EINVAL, d ? "a tensor in place needs dense memory that begins at a whole element" : "no device is open");
        return NULL;
    }
    *in_place = (d->api->flags & DR_BACKEND_HOST_MEMORY) != 0;
    return *in_place ? kept(d, view, bytes, keeper) : uploaded(d, view, bytes);
}

dr_tensor *dr_tensor_in_place(const dr_view *view, const dr_memory_keeper *keeper)
{
    bool in_place = false;
    dr_storage *s = storage_of(view, &in_place, keeper);
    if (!s || !in_place) hand_back(keeper);
    if (!s) return NULL;
    s->frozen = true;
    dr_view v = *view;
    v.data = s->data;
    dr_tensor *t = dr_tensor_wrap(&v, s);
    dr_storage_release(s); /* t holds it now */
    return t;
}

void dr_in_place_gone(dr_storage *s)
{
    dr_storage **at = &storages;
    while (*at && *at != s) at = &(*at)->next_in_place;
    if (*at) *at = s->next_in_place;
    hand_back(&s->keeper);
}

void dr_weight_packed(const void *data, size_t bytes)
{
    const char *from = data;
    for (const dr_storage *s = storages; s; s = s->next_in_place) {
        const char *first = s->data;
        if (from < first || from >= first + s->bytes) continue;
        const size_t left = s->bytes - (size_t)(from - first);
        if (s->keeper.packed) s->keeper.packed(s->keeper.ctx, data, bytes < left ? bytes : left);
        return;
    }
}
