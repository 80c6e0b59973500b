/* data.c: a data set and a tokenizer that break a promise. */
#include <drift/plugin.h>

typedef struct {
    int64_t nothing;
} another_each_time;

static dr_status info(void *self, dr_split split, dr_dataset_info *info)
{
    (void)self;
    *info = (dr_dataset_info){
        .n = split == DR_TRAIN ? 10 : 0, .channels = 1, .height = 4, .width = 4, .source = "nowhere"
    };
    return DR_OK;
}

static dr_status read_another(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    static int reads;
    (void)self, (void)split, (void)index, (void)label;
    reads++;
    for (int i = 0; i < 16; i++) image[i] = (float)(reads % 7) / 7.0F;
    return DR_OK;
}

DR_DATASET(another_each_time, "augments where it should read", NULL, .info = info, .read = read_another)

typedef struct {
    int64_t nothing;
} too_bright;

static dr_status read_bright(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    (void)self, (void)split, (void)label;
    for (int i = 0; i < 16; i++) image[i] = index == 9 ? 255.0F : 0.5F;
    return DR_OK;
}

DR_DATASET(too_bright, "one image in bytes", NULL, .info = info, .read = read_bright)

typedef struct {
    int32_t ids[64];
    char text[64];
} loses_text;

static dr_status vocabulary(void *self, dr_tokenizer_info *info)
{
    (void)self;
    *info = (dr_tokenizer_info){ .pieces = 256, .pad = -1, .eos = -1, .unk = -1 };
    return DR_OK;
}

static const int32_t *encode(void *self, const char *text, size_t bytes, int64_t *n)
{
    loses_text *t = self;
    *n = (int64_t)(bytes < 64 ? bytes : 64);
    for (int64_t i = 0; i < *n; i++) t->ids[i] = (unsigned char)text[i];
    return t->ids;
}

static const char *decode(void *self, const int32_t *ids, int64_t n, size_t *bytes)
{
    loses_text *t = self;
    *bytes = 0;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] != ' ') t->text[(*bytes)++] = (char)ids[i];
    }
    return t->text;
}

static const char *normalize(void *self, const char *text, size_t bytes, size_t *length)
{
    (void)self;
    *length = bytes;
    return text;
}

DR_TOKENIZER(loses_text, "bytes, but for spaces", NULL, .info = vocabulary, .encode = encode, .decode = decode,
             .normalize = normalize)
