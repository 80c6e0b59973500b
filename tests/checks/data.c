/* data.c: every data set: sizes that can be, every pixel written and within [0,1] and none beside the image, labels
 * within the classes, the same image each time. Every tokenizer: ids of its vocabulary; what it decodes is encoded the
 * same again; any bytes are taken. One that needs a file is given it: drift check X.so NAME.path=FILE. */
#include "kinds.h"

#include <math.h>

static dr_instance *opened(const dr_component *c)
{
    walk_args a;
    default_args(c, &a);
    dr_instance *i = dr_instance_new(kind_of(c), c->name, a.args);
    if (!i)
        check_skip("it cannot be opened with its defaults (%s); give it what it needs: drift check FILE %s.path=...",
                   dr_error_message(), c->name);
    return i;
}

enum { GUARD = 16 };
static const float CANARY = -123.25F;

/* The image, in memory with a guard behind it; the caller frees it. */
static float *image_at(const dr_instance *d, dr_split split, int64_t index, int64_t size, int32_t *label)
{
    float *image = malloc((size_t)(size + GUARD) * sizeof *image);
    expect(image != NULL, "out of memory for an image of %lld numbers", (long long)size);
    for (int64_t i = 0; i < size + GUARD; i++) image[i] = CANARY;
    const dr_status status = ((const dr_dataset *)d->iface)->read(d->self, split, index, image, label);
    expect_ok("read");
    expect(status == DR_OK, "read of %lld fails and does not say why", (long long)index);
    for (int64_t i = 0; i < size; i++)
        expect(image[i] >= 0.0F && image[i] <= 1.0F,
               image[i] == CANARY ? "number %lld of image %lld is not written (%g)"
                                  : "number %lld of image %lld is %g, outside [0, 1]",
               (long long)i, (long long)index, image[i]);
    for (int64_t i = size; i < size + GUARD; i++)
        expect(image[i] == CANARY, "image %lld writes beyond its end", (long long)index);
    return image;
}

static void check_split(const dr_instance *d, dr_split split)
{
    const dr_dataset *api = d->iface;
    dr_dataset_info info = { 0 };
    const dr_status status = api->info(d->self, split, &info);
    expect_ok("info");
    expect(status == DR_OK, "info fails and does not say why");
    if (info.n == 0) return;
    expect(info.n > 0 && info.channels > 0 && info.height > 0 && info.width > 0 && info.classes >= 0,
           "its info says %lld images of %lld x %lld x %lld in %lld classes", (long long)info.n,
           (long long)info.channels, (long long)info.height, (long long)info.width, (long long)info.classes);
    const int64_t size = info.channels * info.height * info.width;
    for (int k = 0; k < 5; k++) {
        const int64_t index = k * (info.n - 1) / 4;
        int32_t label = -7, again_label = -7;
        float *image = image_at(d, split, index, size, &label);
        expect(info.classes == 0 || (label >= 0 && label < info.classes), "image %lld has label %d of %lld classes",
               (long long)index, label, (long long)info.classes);
        int32_t other;
        free(image_at(d, split, (index + 1) % info.n, size, &other)); /* another in between */
        float *again = image_at(d, split, index, size, &again_label);
        expect(memcmp(image, again, (size_t)size * sizeof *image) == 0 && label == again_label,
               "image %lld is another one when it is read again", (long long)index);
        free(image);
        free(again);
    }
}

static void check_dataset(const dr_component *c)
{
    dr_instance *d = opened(c);
    check_split(d, DR_TRAIN);
    check_split(d, DR_TEST);
    dr_instance_free(d);
}

/* A batch as training reads it, of the shape that info says. */
static void check_loader(const dr_component *c)
{
    dr_instance *d = opened(c);
    dr_dataset_info info = { 0 };
    ((const dr_dataset *)d->iface)->info(d->self, DR_TRAIN, &info);
    if (info.n < 1) dr_instance_free(d);
    if (info.n < 1) check_skip("it has no images for training");
    dr_loader *l = expect_made(dr_loader_new(d, DR_TRAIN, info.n < 8 ? info.n : 8, true, false, 3, 0), "a loader");
    dr_batch b;
    dr_loader_read(l, 0, 0, &b);
    expect_ok("a batch");
    const dr_view *v = dr_tensor_view(b.image);
    expect(v && v->rank == 4 && v->shape[1] == info.channels && v->shape[2] == info.height && v->shape[3] == info.width,
           "a batch is %s, and info says images of %lld x %lld x %lld", shape_text(b.image), (long long)info.channels,
           (long long)info.height, (long long)info.width);
    expect((b.label != NULL) == (info.classes > 0), "a batch has %s labels", b.label ? "" : "no");
    dr_loader_free(l);
    dr_instance_free(d);
}

const check dataset_checks[] = {
    { "images are whole, in range, and the same each time", check_dataset },
    { "training reads batches of it", check_loader },
    { NULL, NULL },
};

/* ---- tokenizers -------------------------------------------------------------------------------------------------- */

static int32_t *ids_of(const dr_instance *t, const dr_tokenizer_info *info, const char *text, size_t bytes, int64_t *n)
{
    const int32_t *ids = ((const dr_tokenizer *)t->iface)->encode(t->self, text, bytes, n);
    expect_ok("encode");
    expect(ids || *n == 0, "encode gives nothing, and no error");
    int32_t *own = malloc((size_t)(*n + 1) * sizeof *own);
    expect(own != NULL, "out of memory");
    for (int64_t i = 0; i < *n; i++) {
        own[i] = ids[i];
        expect(ids[i] >= 0 && ids[i] < info->pieces, "encode gives the id %d of a vocabulary of %lld", ids[i],
               (long long)info->pieces);
    }
    return own;
}

static void check_tokenizer(const dr_component *c)
{
    static const struct {
        const char *text;
        size_t bytes;
    } texts[] = {
        { "a photo of a lighthouse", 23 },
        { "", 0 },
        { " two  spaces ", 13 },
        { "\xc3\xa9t\xc3\xa9 \xe2\x82\xac 42", 13 },
        { "broken \xff\xfe\xc3", 10 },
        { "nul\0byte", 8 },
        { "the sea, the sea; THE SEA!", 26 },
    };
    dr_instance *t = opened(c);
    const dr_tokenizer *api = t->iface;
    dr_tokenizer_info info = { 0 };
    expect(api->info(t->self, &info) == DR_OK, "info fails");
    expect(info.pieces > 0 && info.pad < info.pieces && info.eos < info.pieces && info.unk < info.pieces,
           "its info says %lld pieces, pad %lld, eos %lld, unk %lld", (long long)info.pieces, (long long)info.pad,
           (long long)info.eos, (long long)info.unk);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        int64_t n = 0, again = 0;
        size_t bytes = 0;
        int32_t *ids = ids_of(t, &info, texts[k].text, texts[k].bytes, &n), *second;
        const char *decoded = api->decode(t->self, ids, n, &bytes);
        expect_ok("decode");
        char *own = malloc(bytes + 1);
        expect(own && (decoded || bytes == 0), "decode gives nothing, and no error");
        if (bytes) memcpy(own, decoded, bytes);
        second = ids_of(t, &info, own, bytes, &again);
        bool unknown = false;
        for (int64_t i = 0; i < n; i++) unknown = unknown || ids[i] == info.unk;
        expect(unknown || (n == again && memcmp(ids, second, (size_t)n * sizeof *ids) == 0),
               "text %zu: what it decodes is encoded otherwise than before: %lld ids, then %lld", k + 1, (long long)n,
               (long long)again);
        free(ids);
        free(second);
        free(own);
    }
    dr_instance_free(t);
}

const check tokenizer_checks[] = { { "what it decodes is encoded the same again", check_tokenizer }, { NULL, NULL } };
