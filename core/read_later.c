/* read_later.c: a number of a device, asked for now and read later, so that the host goes on meanwhile. Devices that
 * have no queue of their own (no read_begin) are read at once. */
#include "tensor.h"

#include <math.h>
#include <stdlib.h>

struct dr_reading {
    dr_device *device;
    void *begun; /* the backend's; NULL: value is there */
    dr_dtype dtype;
    double value;
};

static bool is_one_number(const dr_view *v)
{
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->shape[i];
    return n == 1;
}

static dr_status begin(dr_reading *r, dr_tensor *t)
{
    const dr_device *d = r->device;
    if (!d->api->read_begin || !is_one_number(&t->view)) {
        r->value = dr_tensor_item(t); /* or says what is wrong */
        return dr_failed();
    }
    dr_plan_refuse("it reads a tensor back to the host");
    r->dtype = (dr_dtype)t->view.dtype;
    r->begun = d->api->read_begin(d->self, t->view.data, dr_dtype_size(r->dtype));
    if (r->begun || dr_failed()) return dr_failed();
    return dr_fail(DR_EINTERNAL, "device %s: a number cannot be read back", d->name);
}

dr_reading *dr_read_later(dr_tensor *t)
{
    if (!t || dr_failed()) return NULL;
    dr_reading *r = calloc(1, sizeof *r);
    if (!r) {
        dr_fail(DR_ENOMEM, "out of memory reading a tensor");
        return NULL;
    }
    r->device = t->storage->device;
    if (begin(r, t) == DR_OK) return r;
    free(r);
    return NULL;
}

bool dr_read_is_there(const dr_reading *r) { return !r->begun; }

double dr_read_now(dr_reading *r)
{
    uint64_t raw[8];
    if (!r || dr_failed()) return NAN;
    if (!r->begun) return r->value;
    const dr_status status = r->device->api->read_end(r->device->self, r->begun, raw);
    r->begun = NULL;
    r->value = NAN;
    if (status != DR_OK) {
        dr_fail(status, "device %s: a number cannot be read back", r->device->name);
        return NAN;
    }
    dr_convert(DR_F64, &r->value, r->dtype, raw, 1);
    return r->value;
}

void dr_reading_free(dr_reading *r)
{
    if (!r) return;
    if (r->begun) r->device->api->read_end(r->device->self, r->begun, NULL);
    free(r);
}
