/* resident.c: a data set's images in a device's memory. They are uploaded once, channels-last; a batch is then a gather
 * of rows by a piece of the epoch's order, which is uploaded once an epoch, so that a step moves no image from the
 * host. The same bits as a batch that the host has put together: rows are copied, labels are whole numbers below 2^24
 * in f32. */
#include "resident.h"

#include "tensor.h"

#include <stdlib.h>

enum { CHUNK = 256 }; /* images that are uploaded at a time */
static const size_t most_bytes = (size_t)1 << 30;
static const int32_t most_label = 1 << 24;

struct dr_resident {
    dr_device *device;
    int64_t rows, channels, height, width;
    dr_tensor *image;  /* [rows, H W C] f32 */
    dr_tensor *label;  /* [rows,1] f32, or NULL */
    dr_tensor *order;  /* [rows] i32 of epoch order_of */
    int64_t order_of;
};


static void to_channels_last(const dr_resident *r, const float *from, float *to) /* [C,H,W] -> [H,W,C] */
{
    const int64_t area = r->height * r->width;
    for (int64_t c = 0; c < r->channels; c++) {
        for (int64_t p = 0; p < area; p++) to[p * r->channels + c] = from[c * area + p];
    }
}

/* ---- upload ------------------------------------------------------------------------------------------------------ */

static dr_status upload_rows(const dr_resident *r, int64_t first, int64_t n, const float *image, const float *label)
{
    dr_scope_open();
    dr_tensor_write(dr_slice(r->image, 0, first, n), DR_F32, image);
    if (r->label) dr_tensor_write(dr_slice(r->label, 0, first, n), DR_F32, label);
    dr_scope_close();
    return dr_failed();
}

/* one: room for an image; image, label: for CHUNK of them. */
static dr_status read_rows(const dr_resident *r, dr_instance *dataset, dr_split split, float *one, float *image,
                           float *label)
{
    const dr_dataset *api = dataset->iface;
    const int64_t pixels = r->channels * r->height * r->width;
    for (int64_t first = 0; first < r->rows && !dr_failed(); first += CHUNK) {
        const int64_t n = r->rows - first < CHUNK ? r->rows - first : CHUNK;
        dr_status status = DR_OK;
        dr_dataset_lock();
        for (int64_t i = 0; i < n && status == DR_OK; i++) {
            int32_t number = 0;
            status = api->read(dataset->self, split, first + i, one, &number);
            if (number > most_label || number < -most_label) status = DR_EUNSUPPORTED;
            if (status == DR_OK) to_channels_last(r, one, image + i * pixels);
            label[i] = (float)number;
        }
        dr_dataset_unlock();
        if (status != DR_OK) return dr_fail(status, "a sample cannot be read");
        upload_rows(r, first, n, image, label);
    }
    return dr_failed();
}

static dr_status fill(dr_resident *r, dr_instance *dataset, dr_split split, bool labelled)
{
    const int64_t pixels = r->channels * r->height * r->width;
    dr_scope_open();
    r->image = dr_keep(dr_tensor_new(DR_F32, DR_SHAPE(r->rows, pixels), DR_LAYOUT_ROW));
    if (labelled) r->label = dr_keep(dr_tensor_new(DR_F32, DR_SHAPE(r->rows, 1), DR_LAYOUT_ROW));
    dr_scope_close();
    float *memory = malloc(((size_t)pixels * (CHUNK + 1) + CHUNK) * sizeof *memory);
    if (!memory) dr_fail(DR_ENOMEM, "no memory to read images into");
    if (!dr_failed()) read_rows(r, dataset, split, memory, memory + pixels, memory + (CHUNK + 1) * pixels);
    free(memory);
    return dr_failed();
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static bool fits(const dr_dataset *api, const dr_dataset_info *info, int64_t rows)
{
    const dr_device *d = dr_device_current();
    const int64_t shape[] = { rows, info->channels, info->height, info->width };
    size_t bytes;
    if (dr_apply_is_hooked()) return false; /* another device may gather nothing */
    if (!d || (d->api->flags & (DR_BACKEND_HOST_MEMORY | DR_BACKEND_SHAPES_ONLY))) return false;
    if (api->noise) return false;
    if (rows > INT32_MAX || !dr_checked_size("images", DR_F32, 4, shape, NULL, &bytes)) return false;
    return bytes > 0 && bytes <= most_bytes;
}

dr_resident *dr_resident_new(dr_instance *dataset, dr_split split, const dr_dataset_info *info, int64_t rows)
{
    if (dr_failed() || dr_plan_recording()) return NULL;
    dr_resident *r = fits(dataset->iface, info, rows) ? calloc(1, sizeof *r) : NULL;
    if (r) {
        *r = (dr_resident){ .device = dr_device_current(), .rows = rows, .channels = info->channels,
                            .height = info->height, .width = info->width, .order_of = -1 };
        if (fill(r, dataset, split, info->classes > 0) == DR_OK) return r;
    }
    dr_resident_free(r);
    dr_error_clear(); /* if it matters, reading on the host will say so */
    return NULL;
}

void dr_resident_free(dr_resident *r)
{
    if (!r) return;
    dr_release(r->image);
    dr_release(r->label);
    dr_release(r->order);
    free(r);
}

dr_device *dr_resident_device(const dr_resident *r) { return r ? r->device : NULL; }

/* ---- a batch ----------------------------------------------------------------------------------------------------- */

static dr_status lay_order(dr_resident *r, const int64_t *order, int64_t number)
{
    if (r->order && r->order_of == number) return DR_OK;
    int32_t *narrow = malloc((size_t)r->rows * sizeof *narrow);
    if (!narrow) return dr_fail(DR_ENOMEM, "no memory for the order of an epoch");
    for (int64_t i = 0; i < r->rows; i++) narrow[i] = (int32_t)order[i];
    dr_scope_open();
    dr_tensor *fresh = dr_keep(dr_tensor_from(DR_I32, 1, &r->rows, narrow));
    dr_scope_close();
    free(narrow);
    if (!fresh) return dr_failed();
    dr_release(r->order);
    r->order = fresh;
    r->order_of = number;
    return DR_OK;
}

static dr_tensor *rows_of(dr_tensor *table, dr_tensor *numbers) /* [rows,D], [B] -> [B,D] */
{
    return dr_apply1("embedding", (dr_tensor *[]){ table, numbers }, 2, NULL);
}

dr_status dr_resident_batch(dr_resident *r, const int64_t *order, int64_t number, int64_t start, int64_t size,
                            dr_batch *out)
{
    if (lay_order(r, order, number) != DR_OK) return dr_failed();
    const int64_t B = size, C = r->channels, H = r->height, W = r->width;
    const bool recording = dr_grad_mode(false);
    dr_scope_open();
    dr_tensor *rows = dr_slice(r->order, 0, start, B);                  /* [B] */
    dr_tensor *image = rows_of(r->image, rows);                    /* [B, H W C] */
    if (C == 1) { /* both orders are one; strides as the host's batches have them */
        image = dr_reshape(image, DR_SHAPE(B, C, H, W));
    } else {
        image = dr_permute(dr_reshape(image, DR_SHAPE(B, H, W, C)), 4, (const int64_t[]){ 0, 3, 1, 2 });
    }
    out->image = dr_escape(dr_contiguous(image, DR_LAYOUT_CL));
    if (r->label) out->label = dr_escape(dr_reshape(dr_cast(rows_of(r->label, rows), DR_I32), DR_SHAPE(B)));
    dr_scope_close();
    dr_grad_mode(recording);
    return dr_failed();
}
