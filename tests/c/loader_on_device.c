/* Where a device has memory of its own, a data set that fits lives there: its batches are those that the host would
 * have put together, to the bit and in the same layout, and only an epoch's order is uploaded any more. What does not
 * fit, has noise of its own or cannot be read comes from the host. The device is ref, which says that its memory is its
 * own. */
#include "../host.h"
#include "tensor.h"

enum { N = 23, BATCH = 5 };

typedef struct fake { int64_t n, channels, side, classes, broken; } fake;

static int64_t samples_read, uploads; /* copies to the device, while the device is not the host */
static dr_status (*copy_of_ref)(void *self, void *to, const void *from, size_t bytes, dr_copy_kind kind);

static dr_status info(void *self, dr_split split, dr_dataset_info *out)
{
    const fake *f = self;
    (void)split;
    *out = (dr_dataset_info){ .n = f->n, .channels = f->channels, .height = f->side, .width = f->side + 1,
                              .classes = f->classes > 0 ? 1 << 23 : 0 };
    return DR_OK;
}

static dr_status read_fake(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    const fake *f = self;
    (void)split;
    __atomic_fetch_add(&samples_read, 1, __ATOMIC_SEQ_CST);
    if (index == f->broken) return DR_EIO;
    const int64_t pixels = f->channels * f->side * (f->side + 1);
    for (int64_t i = 0; i < pixels; i++) image[i] = (float)index / 255.0f + 0.01f * (float)i;
    *label = (int32_t)(index * 1000003 % (1 << 23));
    return DR_OK;
}

static dr_status noise_of(void *self, dr_split split, int64_t index, float *noise)
{
    const fake *f = self;
    (void)split;
    for (int64_t i = 0; i < f->channels * f->side * (f->side + 1); i++) noise[i] = (float)index;
    return DR_OK;
}

static const dr_dataset plain = { .size = sizeof(dr_dataset), .info = info, .read = read_fake };
static const dr_dataset noisy = { .size = sizeof(dr_dataset), .info = info, .read = read_fake, .noise = noise_of };
static const dr_component component = { .size = sizeof(dr_component), .kind = "dataset/1", .name = "fake" };

static dr_instance dataset(fake *f) { return (dr_instance){ .component = &component, .iface = &plain, .self = f }; }

static dr_status count_copies(void *self, void *to, const void *from, size_t bytes, dr_copy_kind kind)
{
    uploads += kind == DR_COPY_TO_DEVICE;
    return copy_of_ref(self, to, from, bytes, kind);
}

static int open_counting(void **state)
{
    if (open_ref(state) != 0) return -1;
    dr_backend *b = &dr_device_current()->api_read;
    copy_of_ref = b->copy;
    b->copy = count_copies;
    return 0;
}

static void memory_is_the_hosts(bool yes)
{
    dr_device_current()->api_read.flags = yes ? DR_BACKEND_HOST_MEMORY : 0;
}

static void same_tensor(dr_tensor *a, dr_tensor *b)
{
    assert_int_equal(!a, !b);
    if (!a) return;
    const dr_view *v = dr_tensor_view(a), *w = dr_tensor_view(b);
    assert_int_equal(v->rank, w->rank);
    assert_int_equal(v->dtype, w->dtype);
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) {
        assert_int_equal(v->shape[i], w->shape[i]);
        assert_int_equal(v->stride[i], w->stride[i]);
        n *= v->shape[i];
    }
    uint32_t *x = malloc(2 * (size_t)n * sizeof *x), *y = x + n;
    assert_int_equal(dr_tensor_read(a, (dr_dtype)v->dtype, x), DR_OK);
    assert_int_equal(dr_tensor_read(b, (dr_dtype)v->dtype, y), DR_OK);
    assert_memory_equal(x, y, (size_t)n * sizeof *x);
    free(x);
}

/* Reads all batches of some epochs by both ways; the uploads of the device's. */
static int64_t compare(fake *f, bool drop_last, int64_t limit)
{
    dr_instance d = dataset(f);
    dr_loader *host = dr_loader_new(&d, DR_TRAIN, BATCH, true, drop_last, 1, limit);
    dr_loader *device = dr_loader_new(&d, DR_TRAIN, BATCH, true, drop_last, 1, limit);
    const int64_t epochs[] = { 0, 1, 2, 0 };
    int64_t counted = 0;
    dr_batch a, b;
    memory_is_the_hosts(true);
    assert_int_equal(dr_loader_read(host, 0, 0, &a), DR_OK);
    memory_is_the_hosts(false);
    assert_int_equal(dr_loader_read(device, 0, 1, &b), DR_OK);
    for (int e = 0; e < 4; e++) {
        for (int64_t i = 0; i < dr_loader_batches(host); i++) {
            dr_scope_open();
            assert_int_equal(dr_loader_read(host, epochs[e], i, &a), DR_OK);
            uploads = 0;
            assert_int_equal(dr_loader_read(device, epochs[e], i, &b), DR_OK);
            counted += uploads;
            assert_int_equal(a.size, b.size);
            assert_int_equal(a.first, b.first);
            same_tensor(a.image, b.image);
            same_tensor(a.label, b.label);
            assert_null(b.noise);
            dr_scope_close();
        }
    }
    dr_loader_free(host);
    dr_loader_free(device);
    return counted;
}

static void batches_are_those_of_the_host(void **state)
{
    (void)state;
    for (int64_t channels = 1; channels <= 3; channels++) {
        fake f = { .n = N, .channels = channels, .side = 3, .classes = 10, .broken = -1 };
        assert_int_equal(compare(&f, false, 0), 3); /* the order of epochs 1, 2 and 0 again */
        assert_int_equal(compare(&f, true, 0), 3);
        assert_int_equal(compare(&f, true, 12), 3);
    }
    fake large = { .n = 600, .channels = 2, .side = 4, .classes = 0, .broken = -1 }; /* in several uploads */
    assert_int_equal(compare(&large, false, 0), 3);
}

static void nothing_is_read_any_more(void **state)
{
    (void)state;
    fake f = { .n = N, .channels = 3, .side = 2, .classes = 10, .broken = -1 };
    dr_instance d = dataset(&f);
    dr_batch b;
    memory_is_the_hosts(false);
    dr_loader *l = dr_loader_new(&d, DR_TRAIN, BATCH, true, true, 1, 0);
    samples_read = 0;
    for (int64_t i = 0; i < 12; i++) assert_int_equal(dr_loader_read(l, i / 4, i % 4, &b), DR_OK);
    assert_int_equal(samples_read, N);
    dr_loader_free(l);
}

/* How many samples are read for one batch, as soon as no more are on their way. */
static int64_t read_for_a_batch(dr_instance *d, dr_status expected)
{
    dr_batch b;
    memory_is_the_hosts(false);
    dr_loader *l = dr_loader_new(d, DR_TRAIN, BATCH, false, false, 1, 0);
    samples_read = 0;
    assert_int_equal(dr_loader_read(l, 0, 0, &b), expected);
    dr_loader_free(l);
    return samples_read;
}

static void others_come_from_the_host(void **state)
{
    (void)state;
    fake huge = { .n = 30000, .channels = 3, .side = 64, .classes = 10, .broken = -1 }; /* 1.5 GB */
    dr_instance d = dataset(&huge);
    assert_true(read_for_a_batch(&d, DR_OK) <= 2 * BATCH);
    fake f = { .n = N, .channels = 1, .side = 2, .classes = 10, .broken = -1 };
    d = dataset(&f);
    d.iface = &noisy;
    assert_true(read_for_a_batch(&d, DR_OK) <= 2 * BATCH);
    f.broken = 17; /* told when its batch is asked for */
    d.iface = &plain;
    read_for_a_batch(&d, DR_OK);
    f.broken = 3;
    read_for_a_batch(&d, DR_EIO);
    assert_error_has("dataset fake: sample 3 cannot be read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_those_of_the_host),
        cmocka_unit_test(nothing_is_read_any_more),
        cmocka_unit_test(others_come_from_the_host),
    };
    return cmocka_run_group_tests(tests, open_counting, close_all);
}
