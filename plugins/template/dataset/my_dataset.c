/* my_dataset.c: discs and squares, drawn where and as large as a random stream says. No files: for first experiments.
 *   image i: a shape of radius r, bright on black;  label = i mod 2: 0 a disc, 1 a square
 *   r in [0.15, 0.35] and the middle in [0.35, 0.65] of the image's size */
#include <drift/plugin.h>
#include <math.h>
#include <string.h>

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { int64_t n, size; } my_dataset;

static const dr_param params[] = {
    DR_INT(my_dataset, n, 10000, 1, 1 << 24, "images for training; a tenth as many, but one at least, for tests"),
    DR_INT(my_dataset, size, 16, 4, 4096, "rows and columns of an image"),
    DR_END
};

static int64_t images_in(const my_dataset *d, dr_split split)
{
    return split == DR_TRAIN ? d->n : d->n / 10 > 0 ? d->n / 10 : 1;
}

/* Here files are found and checked, and an error says which and why. dr_cache_dir is where fetched ones are kept. */
static dr_status open_it(void *self)
{
    (void)self;
    return DR_OK;
}

static void close_it(void *self) { (void)self; }

static dr_status info(void *self, dr_split split, dr_dataset_info *info)
{
    const my_dataset *d = self;
    *info = (dr_dataset_info){ .n = images_in(d, split), .channels = 1, .height = d->size, .width = d->size, .classes = 2,
                               .source = "drawn" };
    return DR_OK;
}

/* The share of pixel (y, x) that the shape covers, its edge smoothed over a pixel. */
static double coverage(double y, double x, double r, int32_t label)
{
    const double distance = label == 0 ? sqrt(y * y + x * x) : fmax(fabs(y), fabs(x));
    return fmin(fmax(r - distance + 0.5, 0.0), 1.0);
}

/* Image `index` of a split, [C,H,W] in [0,1], and its label. Called from other threads too, several at once: it reads self
 * and writes nothing but its results; an image depends on its index alone. */
static dr_status read_one(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    const my_dataset *d = self;
    const dr_rng rng = { .seed = 0, .purpose = dr_purpose(split == DR_TRAIN ? "train" : "test"), .sample = (uint64_t)index };
    const double size = (double)d->size, r = size * (0.15 + 0.2 * dr_rng_uniform(&rng, 0));
    const double cy = size * (0.35 + 0.3 * dr_rng_uniform(&rng, 1)), cx = size * (0.35 + 0.3 * dr_rng_uniform(&rng, 2));
    *label = (int32_t)(index % 2);
    for (int64_t y = 0; y < d->size; y++) {
        for (int64_t x = 0; x < d->size; x++) {
            image[y * d->size + x] = (float)coverage((double)y + 0.5 - cy, (double)x + 0.5 - cx, r, *label);
        }
    }
    return DR_OK;
}

static const char *class_name(void *self, int64_t label)
{
    (void)self;
    return label == 0 ? "disc" : "square";
}

DR_DATASET(my_dataset, "Discs and squares, drawn on the spot", params, .open = open_it, .close = close_it, .info = info,
           .read = read_one, .class_name = class_name)
