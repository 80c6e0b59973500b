/* loader.c: batches of a data set, in an order that is a function of (seed, epoch) alone, so that a resumed run, or one
 * with another batch size, sees the same images in the same order.
 *   Fisher-Yates: for i = n-1..1 swap order[i] and order[floor(u_i (i+1))],  u_i from Philox (seed, "order", epoch) */
#include "drift.h"

#include <stdlib.h>

struct dr_loader {
    dr_instance *dataset;
    const dr_dataset *api;
    dr_split split;
    dr_dataset_info info;
    int64_t batch, n, batches; /* n: samples of an epoch */
    bool shuffle;
    uint64_t seed;
    int64_t *order, epoch; /* [pool]: the order of this epoch; -1: none yet */
    int64_t pool;          /* samples that an epoch draws from */
    float *image;          /* [batch,C,H,W]: room to read into */
    int32_t *label;        /* [batch] */
    float *noise;          /* [batch,C,H,W], or NULL where images have no noise of their own */
};

/* Older plugins' structs end before `noise`. */
static bool has_noise(const dr_dataset *api) { return api->size > offsetof(dr_dataset, noise) && api->noise; }

static dr_status allocate(dr_loader *l)
{
    const int64_t shape[] = { l->batch, l->info.channels, l->info.height, l->info.width };
    size_t bytes = 0;
    if (!dr_checked_size("a batch of images", DR_F32, 4, shape, NULL, &bytes)) return dr_failed();
    l->order = malloc((size_t)l->pool * sizeof *l->order + 1);
    l->image = malloc(bytes + 1);
    l->label = malloc((size_t)l->batch * sizeof *l->label + 1);
    l->noise = has_noise(l->api) ? malloc(bytes + 1) : NULL;
    if (l->order && l->image && l->label && (l->noise || !has_noise(l->api))) return DR_OK;
    return dr_fail(DR_ENOMEM, "no memory for batches of %lld", (long long)l->batch);
}

static dr_status count(dr_loader *l, bool drop_last, int64_t limit)
{
    const char *name = l->dataset->component->name;
    l->pool = limit > 0 && limit < l->info.n ? limit : l->info.n;
    if (l->batch < 1) return dr_fail(DR_EINVAL, "dataset %s: batch = %lld", name, (long long)l->batch);
    if (l->pool < 1) return dr_fail(DR_EINVAL, "dataset %s: no samples", name);
    l->batches = drop_last ? l->pool / l->batch : (l->pool + l->batch - 1) / l->batch;
    l->n = drop_last ? l->batches * l->batch : l->pool;
    if (l->batches > 0) return DR_OK;
    return dr_fail(DR_EINVAL, "dataset %s: %lld samples do not fill a batch of %lld", name, (long long)l->pool,
                   (long long)l->batch);
}

dr_loader *dr_loader_new(dr_instance *dataset, dr_split split, int64_t batch, bool shuffle, bool drop_last,
                         uint64_t seed, int64_t limit)
{
    dr_loader *l = dr_failed() ? NULL : calloc(1, sizeof *l);
    if (!l) {
        dr_fail(DR_ENOMEM, "no memory for a loader");
        return NULL;
    }
    *l = (dr_loader){ .dataset = dataset, .api = dataset->iface, .split = split, .batch = batch, .shuffle = shuffle,
                      .seed = seed, .epoch = -1 };
    const dr_status status = l->api->info(dataset->self, split, &l->info);
    if (status == DR_OK && count(l, drop_last, limit) == DR_OK && allocate(l) == DR_OK) return l;
    dr_loader_free(l);
    dr_fail(DR_EINTERNAL, "dataset %s: nothing is known about it", dataset->component->name);
    return NULL;
}

void dr_loader_free(dr_loader *l)
{
    if (!l) return;
    free(l->order);
    free(l->image);
    free(l->label);
    free(l->noise);
    free(l);
}

int64_t dr_loader_batches(const dr_loader *l) { return l->batches; }
int64_t dr_loader_samples(const dr_loader *l) { return l->n; }

static void lay_order(dr_loader *l, int64_t epoch)
{
    if (l->epoch == epoch) return;
    const dr_rng rng = { .seed = l->seed, .purpose = dr_purpose("order"), .step = (uint32_t)epoch };
    for (int64_t i = 0; i < l->pool; i++) l->order[i] = i;
    for (int64_t i = l->pool - 1; i > 0 && l->shuffle; i--) {
        const int64_t j = (int64_t)(dr_rng_uniform(&rng, (uint32_t)i) * (double)(i + 1));
        const int64_t swap = l->order[i];
        l->order[i] = l->order[j];
        l->order[j] = swap;
    }
    l->epoch = epoch;
}

static dr_status read_rows(dr_loader *l, int64_t start, int64_t size)
{
    const int64_t pixels = l->info.channels * l->info.height * l->info.width;
    for (int64_t b = 0; b < size; b++) {
        const int64_t index = l->order[start + b];
        l->label[b] = 0;
        dr_status status = l->api->read(l->dataset->self, l->split, index, l->image + b * pixels, &l->label[b]);
        if (status == DR_OK && l->noise)
            status = l->api->noise(l->dataset->self, l->split, index, l->noise + b * pixels);
        if (status == DR_OK) continue;
        return dr_fail(status, "dataset %s: sample %lld cannot be read", l->dataset->component->name, (long long)index);
    }
    return dr_failed();
}

dr_status dr_loader_read(dr_loader *l, int64_t epoch, int64_t i, dr_batch *out)
{
    *out = (dr_batch){ 0 };
    if (dr_failed()) return dr_failed();
    if (epoch < 0 || i < 0 || i >= l->batches) {
        return dr_fail(DR_EINVAL, "dataset %s: epoch %lld has no batch %lld, only %lld batches",
                       l->dataset->component->name, (long long)epoch, (long long)i, (long long)l->batches);
    }
    lay_order(l, epoch);
    const int64_t start = i * l->batch, left = l->n - start;
    const int64_t size = left < l->batch ? left : l->batch;
    if (read_rows(l, start, size)) return dr_failed();

    const int64_t shape[] = { size, l->info.channels, l->info.height, l->info.width };
    dr_tensor *image = dr_tensor_from(DR_F32, 4, shape, l->image);
    out->image = image ? dr_contiguous(image, DR_LAYOUT_CL) : NULL;
    dr_tensor *noise = l->noise ? dr_tensor_from(DR_F32, 4, shape, l->noise) : NULL;
    out->noise = noise ? dr_contiguous(noise, DR_LAYOUT_CL) : NULL;
    out->label = l->info.classes > 0 ? dr_tensor_from(DR_I32, 1, &size, l->label) : NULL;
    out->size = size;
    out->first = epoch * l->n + start;
    return dr_failed();
}
