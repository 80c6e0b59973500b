/* loader.c: batches of a data set, in an order that is a function of (seed, epoch) alone, so that a resumed run, or one
 * with another batch size, sees the same images in the same order.
 * A thread reads the next batch while the step runs on this one. On devices with memory of their own the images live
 * there, where they fit (resident.c), and nothing is read any more.
 *   Fisher-Yates: for i = n-1..1 swap order[i] and order[floor(u_i (i+1))],  u_i from Philox (seed, "order", epoch) */
#include "resident.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct reading { /* one batch in the host's memory */
    int64_t epoch, i, size;
    float *image;   /* [batch,C,H,W] */
    int32_t *label; /* [batch] */
    float *noise;   /* [batch,C,H,W], or NULL where images have no noise of their own */
    dr_status status;
    char message[512]; /* where it failed */
} reading;

struct dr_loader {
    dr_instance *dataset;
    int64_t renewals;         /* of it, when images of it were last looked for */
    dr_split split;
    dr_dataset_info info;
    int64_t batch, n, batches; /* n: samples of an epoch */
    bool shuffle;
    uint64_t seed;
    int64_t *order, order_of; /* [pool]: the order of an epoch; -1: of none yet. The thread's, while it reads */
    int64_t pool;             /* samples that an epoch draws from */
    reading ahead;            /* what the thread reads, or has read */
    reading mine;             /* what is uploaded */
    pthread_t thread;
    bool runs;                /* the thread does */
    pthread_mutex_t mutex;    /* of `state` */
    pthread_cond_t changed;
    enum { IDLE = 0, ASKED, DONE, LEAVE } state;
    dr_resident *resident;    /* NULL: batches are read on the host */
    dr_device *asked;         /* where it was last tried whether images can live */
};

/* Whoever calls a data set's functions holds this: one may be read by several loaders and by the script itself. A data
 * set may be made of another, so the thread that holds it may take it again. */
static pthread_mutex_t datasets;
static pthread_once_t datasets_made = PTHREAD_ONCE_INIT;

static void make_lock(void)
{
    pthread_mutexattr_t again;
    pthread_mutexattr_init(&again);
    pthread_mutexattr_settype(&again, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&datasets, &again);
    pthread_mutexattr_destroy(&again);
}

void dr_dataset_lock(void)
{
    pthread_once(&datasets_made, make_lock);
    pthread_mutex_lock(&datasets);
}

void dr_dataset_unlock(void) { pthread_mutex_unlock(&datasets); }

static bool has_noise(const dr_dataset *api) { return api->noise != NULL; }

static const dr_dataset *api_of(const dr_loader *l) { return l->dataset->iface; } /* another one after a reload */

static bool room_for(reading *r, const dr_loader *l, size_t bytes)
{
    r->image = malloc(bytes + 1);
    r->label = malloc((size_t)l->batch * sizeof *r->label + 1);
    r->noise = has_noise(api_of(l)) ? malloc(bytes + 1) : NULL;
    r->epoch = r->i = -1;
    return r->image && r->label && (r->noise || !has_noise(api_of(l)));
}

static void free_reading(reading *r)
{
    free(r->image);
    free(r->label);
    free(r->noise);
}

static dr_status allocate(dr_loader *l)
{
    const int64_t shape[] = { l->batch + 1, l->info.channels, l->info.height, l->info.width };
    size_t bytes = 0;
    if (!dr_checked_size("a batch of images", DR_F32, 4, shape, NULL, &bytes)) return dr_failed();
    l->order = malloc((size_t)l->pool * sizeof *l->order + 1);
    if (l->order && room_for(&l->mine, l, bytes) && room_for(&l->ahead, l, bytes)) return DR_OK;
    return dr_fail(DR_ENOMEM, "no memory for batches of %lld", (long long)l->batch);
}

static dr_status count(dr_loader *l, bool drop_last, int64_t limit)
{
    const char *name = l->dataset->component->name;
    l->pool = limit > 0 && limit < l->info.n ? limit : l->info.n;
    if (l->batch < 1) return dr_fail(DR_EINVAL, "dataset %s: batch = %lld", name, (long long)l->batch);
    if (l->info.n < 0 || l->info.channels < 1 || l->info.height < 1 || l->info.width < 1 || l->info.classes < 0) {
        return dr_fail(DR_EINTERNAL, "dataset %s: info says %lld images of %lldx%lldx%lld in %lld classes, which cannot be", name,
                       (long long)l->info.n, (long long)l->info.channels, (long long)l->info.height, (long long)l->info.width,
                       (long long)l->info.classes);
    }
    if (l->pool < 1) {
        return dr_fail(DR_EINVAL, "dataset %s: its %s split has no images", name, l->split == DR_TRAIN ? "train" : "test");
    }
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
    *l = (dr_loader){ .dataset = dataset, .renewals = dr_instance_renewals(dataset), .split = split, .batch = batch,
                      .shuffle = shuffle, .seed = seed, .order_of = -1 };
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->changed, NULL);
    dr_dataset_lock();
    const dr_component_call call = dr_component_enter(dataset->component, "info");
    const dr_status status = dr_component_leave(&call, api_of(l)->info(dataset->self, split, &l->info));
    dr_dataset_unlock();
    if (status == DR_OK && count(l, drop_last, limit) == DR_OK && allocate(l) == DR_OK) return l;
    dr_loader_free(l);
    return NULL;
}

void dr_loader_free(dr_loader *l)
{
    if (!l) return;
    if (l->runs) {
        pthread_mutex_lock(&l->mutex);
        l->state = LEAVE;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->mutex);
        pthread_join(l->thread, NULL);
    }
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mutex);
    dr_resident_free(l->resident);
    free_reading(&l->mine);
    free_reading(&l->ahead);
    free(l->order);
    free(l);
}

int64_t dr_loader_batches(const dr_loader *l) { return l->batches; }
int64_t dr_loader_samples(const dr_loader *l) { return l->n; }

static void lay_order(dr_loader *l, int64_t epoch)
{
    if (l->order_of == epoch) return;
    const dr_rng rng = { .seed = l->seed, .purpose = dr_purpose("order"), .step = (uint32_t)epoch };
    for (int64_t i = 0; i < l->pool; i++) l->order[i] = i;
    for (int64_t i = l->pool - 1; i > 0 && l->shuffle; i--) {
        const int64_t j = (int64_t)(dr_rng_uniform(&rng, (uint32_t)i) * (double)(i + 1));
        const int64_t swap = l->order[i];
        l->order[i] = l->order[j];
        l->order[j] = swap;
    }
    l->order_of = epoch;
}

/* ---- reading, on either thread ---------------------------------------------------------------------------------- */

/* Behind each image there is room for another one, which begins with a number that no image has: what is written beyond an
 * image is seen then, and not read as the next one. */
static const uint32_t GUARD = 0x7FA5C3B1; /* of the NaNs, one */

static void guard(float *behind)
{
    if (behind) memcpy(behind, &GUARD, sizeof GUARD);
}

static bool is_guarded(const float *behind) { return !behind || memcmp(behind, &GUARD, sizeof GUARD) == 0; }

static dr_status check_sample(const dr_loader *l, int64_t index, const float *image_end, const float *noise_end, int32_t label)
{
    const char *name = l->dataset->component->name;
    if (!is_guarded(image_end) || !is_guarded(noise_end)) {
        return dr_fail(DR_EINTERNAL, "dataset %s: sample %lld is larger than the %lldx%lldx%lld that info gives", name, (long long)index,
                       (long long)l->info.channels, (long long)l->info.height, (long long)l->info.width);
    }
    if (l->info.classes == 0 || (label >= 0 && label < l->info.classes)) return DR_OK;
    return dr_fail(DR_EINTERNAL, "dataset %s: sample %lld has label %d, and info gives %lld classes, counted from 0", name, (long long)index,
                   (int)label, (long long)l->info.classes);
}

static dr_status read_rows(const dr_loader *l, reading *r, int64_t start)
{
    const int64_t pixels = l->info.channels * l->info.height * l->info.width;
    for (int64_t b = 0; b < r->size; b++) {
        const int64_t index = l->order[start + b];
        float *image = r->image + b * pixels, *noise = r->noise ? r->noise + b * pixels : NULL;
        r->label[b] = 0;
        guard(image + pixels), guard(noise ? noise + pixels : NULL);
        dr_status status = api_of(l)->read(l->dataset->self, l->split, index, image, &r->label[b]);
        if (status == DR_OK && noise) status = api_of(l)->noise(l->dataset->self, l->split, index, noise);
        if (status == DR_OK && dr_failed() == DR_OK && check_sample(l, index, image + pixels, noise ? noise + pixels : NULL, r->label[b]) == DR_OK)
            continue;
        if ((unsigned)status > DR_EINTERNAL) status = DR_EINTERNAL;
        return dr_fail(status, "dataset %s: sample %lld cannot be read", l->dataset->component->name, (long long)index);
    }
    return DR_OK;
}

/* Fills r with its batch. The error, if there is one, is kept there: the thread that made it cannot tell anybody. */
static void read_batch(dr_loader *l, reading *r)
{
    lay_order(l, r->epoch);
    const int64_t start = r->i * l->batch, left = l->n - start;
    r->size = left < l->batch ? left : l->batch;
    dr_dataset_lock();
    read_rows(l, r, start);
    dr_dataset_unlock();
    r->status = dr_failed();
    snprintf(r->message, sizeof r->message, "%s", dr_error_message());
    dr_error_clear();
}

static void *read_ahead(void *loader)
{
    dr_loader *l = loader;
    pthread_mutex_lock(&l->mutex);
    while (l->state != LEAVE) {
        if (l->state != ASKED) {
            pthread_cond_wait(&l->changed, &l->mutex);
            continue;
        }
        pthread_mutex_unlock(&l->mutex);
        read_batch(l, &l->ahead);
        pthread_mutex_lock(&l->mutex);
        if (l->state == ASKED) l->state = DONE;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

/* ---- the thread, from outside ----------------------------------------------------------------------------------- */

/* Signals are for the program's own thread. Without a thread, batches are read when they are asked for. */
static void start_thread(dr_loader *l)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    l->runs = pthread_create(&l->thread, NULL, read_ahead, l) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void ask(dr_loader *l, int64_t epoch, int64_t i)
{
    if (!l->runs && !dr_instance_has_one_thread(l->dataset)) start_thread(l);
    if (!l->runs) return;
    pthread_mutex_lock(&l->mutex);
    l->ahead.epoch = epoch;
    l->ahead.i = i;
    l->state = ASKED;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
}

/* Waits until the thread reads nothing; true: it has read this batch. */
static bool is_read(dr_loader *l, int64_t epoch, int64_t i)
{
    if (!l->runs) return false;
    pthread_mutex_lock(&l->mutex);
    while (l->state == ASKED) pthread_cond_wait(&l->changed, &l->mutex);
    const bool done = l->state == DONE;
    l->state = IDLE;
    pthread_mutex_unlock(&l->mutex);
    return done && l->ahead.epoch == epoch && l->ahead.i == i;
}

/* ---- a batch ---------------------------------------------------------------------------------------------------- */

static dr_status fetch(dr_loader *l, int64_t epoch, int64_t i)
{
    if (is_read(l, epoch, i)) {
        const reading read = l->ahead;
        l->ahead = l->mine;
        l->mine = read;
    } else {
        l->mine.epoch = epoch;
        l->mine.i = i;
        read_batch(l, &l->mine);
    }
    if (i + 1 < l->batches) {
        ask(l, epoch, i + 1);
    } else {
        ask(l, epoch + 1, 0);
    }
    if (l->mine.status == DR_OK) return DR_OK;
    return dr_fail(l->mine.status, "%s", l->mine.message);
}

/* Once for each device that batches are asked for on. The thread reads nothing yet, or what nobody will want. */
static bool lives_on_device(dr_loader *l)
{
    dr_device *d = dr_device_current();
    if (l->asked != d) {
        dr_resident_free(l->resident);
        l->resident = dr_resident_new(l->dataset, l->split, &l->info, l->pool);
        l->asked = d;
    }
    return l->resident != NULL;
}

/* The data set's plugin was reloaded: what was read ahead, or uploaded, is the earlier version's. */
static void forget_images(dr_loader *l)
{
    is_read(l, -1, -1);
    l->ahead.epoch = l->ahead.i = -1;
    dr_resident_free(l->resident);
    l->resident = NULL;
    l->asked = NULL;
    l->renewals = dr_instance_renewals(l->dataset);
}

static dr_status gather(dr_loader *l, int64_t epoch, int64_t i, dr_batch *out)
{
    const int64_t start = i * l->batch, left = l->n - start;
    is_read(l, epoch, i); /* the order is the thread's while it reads */
    lay_order(l, epoch);
    out->size = left < l->batch ? left : l->batch;
    out->first = epoch * l->n + start;
    return dr_resident_batch(l->resident, l->order, epoch, start, out->size, out);
}

dr_status dr_loader_read(dr_loader *l, int64_t epoch, int64_t i, dr_batch *out)
{
    *out = (dr_batch){ 0 };
    if (dr_failed()) return dr_failed();
    if (epoch < 0 || i < 0 || i >= l->batches) {
        return dr_fail(DR_EINVAL, "dataset %s: epoch %lld has no batch %lld, only %lld batches",
                       l->dataset->component->name, (long long)epoch, (long long)i, (long long)l->batches);
    }
    if (l->renewals != dr_instance_renewals(l->dataset)) forget_images(l);
    if (lives_on_device(l)) return gather(l, epoch, i, out);
    if (fetch(l, epoch, i) != DR_OK) return dr_failed();
    const reading *r = &l->mine;
    const int64_t shape[] = { r->size, l->info.channels, l->info.height, l->info.width };
    dr_tensor *image = dr_tensor_from(DR_F32, 4, shape, r->image);
    out->image = image ? dr_contiguous(image, DR_LAYOUT_CL) : NULL;
    dr_tensor *noise = r->noise ? dr_tensor_from(DR_F32, 4, shape, r->noise) : NULL;
    out->noise = noise ? dr_contiguous(noise, DR_LAYOUT_CL) : NULL;
    out->label = l->info.classes > 0 ? dr_tensor_from(DR_I32, 1, &r->size, r->label) : NULL;
    out->size = r->size;
    out->first = epoch * l->n + i * l->batch;
    return dr_failed();
}
