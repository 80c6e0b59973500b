/* tensor.c: tensors, their memory and their way to and from the host's memory. A tensor is a view (shape, strides,
 * dtype) of a reference-counted storage. Logical shapes are PyTorch's (B,C,H,W); memory order is in the strides. */
#include "plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

dr_tensor *dr_tensor_wrap(const dr_view *view, dr_storage *storage)
{
    dr_tensor *t = calloc(1, sizeof *t);
    if (!t) {
        dr_fail(DR_ENOMEM, "out of memory for a tensor");
        return NULL;
    }
    t->refs = 1;
    t->view = *view;
    t->storage = storage;
    storage->refs++;
    dr_scope_hold(t);
    return t;
}

dr_tensor *dr_tensor_make(dr_device *d, const dr_view *like)
{
    if (dr_failed()) return NULL;
    size_t bytes;
    if (!dr_checked_size("tensor", (dr_dtype)like->dtype, like->rank, like->shape, NULL, &bytes)) return NULL;
    dr_storage *storage = dr_storage_new(d, bytes);
    if (!storage) return NULL;
    dr_view view = *like;
    view.data = storage->data;
    dr_tensor *t = dr_tensor_wrap(&view, storage);
    dr_storage_release(storage); /* t holds it now */
    return t;
}

dr_tensor *dr_tensor_new(dr_dtype dtype, int rank, const int64_t *shape, dr_layout layout)
{
    if (dr_failed()) return NULL;
    dr_device *d = dr_device_current();
    if (!d) {
        dr_fail(DR_EINVAL, "no device is open");
        return NULL;
    }
    if (!dr_checked_size("tensor", dtype, rank, shape, NULL, NULL)) return NULL;
    dr_view v = { .dtype = dtype, .rank = rank };
    for (int i = 0; i < rank; i++) v.shape[i] = shape[i];
    dr_view_lay(&v, layout);
    return dr_tensor_make(d, &v);
}

/* All that the host writes to a device goes through here: a plan has to know of it. */
static dr_status upload(dr_tensor *t, const void *from, size_t bytes)
{
    dr_device *d = t->storage->device;
    if (dr_tensor_is_frozen(t)) return dr_fail(DR_EINVAL, "the tensor is a weight as it lies in a file: it cannot be written to");
    dr_record_write(t, from, bytes);
    t->storage->version++;
    return d->api->copy(d->self, t->view.data, from, bytes, DR_COPY_TO_DEVICE);
}

dr_tensor *dr_tensor_from(dr_dtype dtype, int rank, const int64_t *shape, const void *row_major)
{
    dr_tensor *t = dr_tensor_new(dtype, rank, shape, DR_LAYOUT_ROW);
    size_t bytes; /* of the tensor: its storage may be larger */
    if (!t || !dr_checked_size("tensor", dtype, rank, shape, NULL, &bytes)) return NULL;
    if (bytes == 0) return t;
    return upload(t, row_major, bytes) == DR_OK ? t : NULL;
}

dr_tensor *dr_tensor_full(dr_dtype dtype, int rank, const int64_t *shape, double value)
{
    dr_tensor *t = dr_tensor_new(dtype, rank, shape, DR_LAYOUT_ROW);
    return t && dr_fill(t, value) == DR_OK ? t : NULL;
}

const dr_view *dr_tensor_view(const dr_tensor *t) { return t ? &t->view : NULL; }
dr_device *dr_tensor_device(const dr_tensor *t) { return t ? t->storage->device : NULL; }

dr_tensor *dr_retain(dr_tensor *t)
{
    if (t) t->refs++;
    return t;
}

void dr_release(dr_tensor *t)
{
    if (!t || --t->refs > 0) return;
    dr_scope_drop(t);
    dr_storage_release(t->storage);
    dr_release(t->grad);
    dr_node *node = t->node;
    free(t);
    dr_node_release(node); /* last: a long chain of results unwinds there, without recursion */
}

dr_tensor *dr_detach(dr_tensor *t)
{
    if (!t || dr_failed()) return NULL;
    return dr_tensor_wrap(&t->view, t->storage);
}

void dr_tensor_swap(dr_tensor *a, dr_tensor *b)
{
    dr_plan_refuse("it swaps the memory of two tensors");
    dr_storage *storage = a->storage;
    dr_view view = a->view;
    a->storage = b->storage;
    a->view = b->view;
    b->storage = storage;
    b->view = view;
    dr_plan_outdate();
}

/* Row-major copy on t's own device, or t itself. */
static dr_tensor *row_major_of(dr_tensor *t)
{
    if (dr_view_is(&t->view, DR_LAYOUT_ROW)) return t;
    const bool recording = dr_grad_mode(false);
    dr_tensor *copy = dr_contiguous(t, DR_LAYOUT_ROW);
    dr_grad_mode(recording);
    return copy;
}

dr_status dr_tensor_read(dr_tensor *t, dr_dtype as, void *row_major)
{
    if (!t || dr_failed()) return dr_failed() ? dr_failed() : dr_fail(DR_EINVAL, "no tensor to read");
    dr_device *d = t->storage->device;
    int64_t n;
    size_t bytes;
    if (!dr_checked_size("tensor", (dr_dtype)t->view.dtype, t->view.rank, t->view.shape, &n, &bytes)) return dr_failed();
    if (n == 0) return DR_OK;
    dr_plan_refuse("it reads a tensor back to the host");
    dr_scope_open();
    dr_tensor *source = row_major_of(t);
    dr_status status = source ? DR_OK : dr_failed();
    if (source && as == (dr_dtype)t->view.dtype) {
        status = d->api->copy(d->self, row_major, source->view.data, bytes, DR_COPY_TO_HOST);
    } else if (source) {
        void *raw = malloc(bytes);
        status = raw ? d->api->copy(d->self, raw, source->view.data, bytes, DR_COPY_TO_HOST) : dr_fail(DR_ENOMEM, "out of memory reading a tensor");
        if (status == DR_OK) dr_convert(as, row_major, (dr_dtype)t->view.dtype, raw, n);
        free(raw);
    }
    dr_scope_close();
    return status;
}

dr_status dr_tensor_write(dr_tensor *t, dr_dtype from, const void *row_major)
{
    if (!t || dr_failed()) return dr_failed() ? dr_failed() : dr_fail(DR_EINVAL, "no tensor to write");
    dr_device *d = t->storage->device;
    int64_t n;
    size_t bytes;
    if (!dr_checked_size("tensor", (dr_dtype)t->view.dtype, t->view.rank, t->view.shape, &n, &bytes)) return dr_failed();
    if (n == 0) return DR_OK;
    void *raw = NULL;
    if (from != (dr_dtype)t->view.dtype) {
        raw = malloc(bytes);
        if (!raw) return dr_fail(DR_ENOMEM, "out of memory writing a tensor");
        dr_convert((dr_dtype)t->view.dtype, raw, from, row_major, n);
        row_major = raw;
    }
    dr_status status = DR_OK;
    if (dr_view_is(&t->view, DR_LAYOUT_ROW)) {
        status = upload(t, row_major, bytes);
    } else {
        dr_scope_open();
        dr_view row = t->view;
        dr_view_lay(&row, DR_LAYOUT_ROW);
        dr_tensor *staged = dr_tensor_make(d, &row);
        status = staged ? upload(staged, row_major, bytes) : dr_failed();
        if (status == DR_OK) status = dr_assign(t, staged);
        dr_scope_close();
    }
    free(raw);
    return status;
}

double dr_tensor_item(dr_tensor *t)
{
    if (!t || dr_failed()) return NAN;
    int64_t n = 1;
    for (int i = 0; i < t->view.rank; i++) n *= t->view.shape[i];
    if (n != 1) {
        char text[128];
        dr_fail(DR_ESHAPE, "item: %s has %lld elements, not one", dr_view_text(&t->view, text, sizeof text), (long long)n);
        return NAN;
    }
    double value = NAN;
    return dr_tensor_read(t, DR_F64, &value) == DR_OK ? value : NAN;
}

dr_tensor *dr_tensor_to(dr_tensor *t, dr_device *d)
{
    if (!t || dr_failed()) return NULL;
    if (t->storage->device == d) return t;
    size_t bytes;
    if (!dr_checked_size("tensor", (dr_dtype)t->view.dtype, t->view.rank, t->view.shape, NULL, &bytes)) return NULL;
    dr_view row = t->view;
    const bool channels_last = dr_view_is(&t->view, DR_LAYOUT_CL);
    dr_view_lay(&row, channels_last ? DR_LAYOUT_CL : DR_LAYOUT_ROW);
    dr_tensor *to = dr_tensor_make(d, &row);
    if (!to || bytes == 0) return to;
    dr_plan_refuse("it moves a tensor from %s to %s", t->storage->device->name, d->name);
    dr_tensor *from = channels_last ? t : row_major_of(t);
    void *raw = malloc(bytes);
    dr_device *source = t->storage->device;
    dr_status status = raw && from ? DR_OK : dr_fail(DR_ENOMEM, "out of memory moving a tensor");
    if (status == DR_OK) status = source->api->copy(source->self, raw, from->view.data, bytes, DR_COPY_TO_HOST);
    if (status == DR_OK) status = d->api->copy(d->self, to->view.data, raw, bytes, DR_COPY_TO_DEVICE);
    free(raw);
    return status == DR_OK ? to : NULL;
}
