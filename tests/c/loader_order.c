/* The loader: every sample once per epoch, in an order that only (seed, epoch) decides; batches, their numbers and
 * their memory order; what cannot be is said. The next batch is read by a thread, one reader at a time. The data set is
 * a fake: image i is filled with i, its label is i. */
#include "../host.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { N = 23, C = 3, H = 2, W = 2 };

typedef struct fake { int64_t classes, broken; } fake;

static atomic_int inside, together; /* readers now; two at once so far */
static atomic_int elsewhere;        /* samples that another thread has read */
static pthread_t program;

static dr_status info(void *self, dr_split split, dr_dataset_info *out)
{
    (void)split;
    *out = (dr_dataset_info){ .n = N, .channels = C, .height = H, .width = W, .classes = ((fake *)self)->classes };
    return DR_OK;
}

static dr_status read_fake(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    (void)split;
    if (atomic_fetch_add(&inside, 1) > 0) atomic_fetch_add(&together, 1);
    if (!pthread_equal(pthread_self(), program)) atomic_fetch_add(&elsewhere, 1);
    usleep(100);
    atomic_fetch_sub(&inside, 1);
    if (index == ((fake *)self)->broken) return DR_EIO;
    for (int i = 0; i < C * H * W; i++) image[i] = (float)index + 0.01f * (float)i;
    *label = (int32_t)index;
    return DR_OK;
}

static const dr_dataset api = { .size = sizeof(dr_dataset), .info = info, .read = read_fake };
static const dr_component component = { .size = sizeof(dr_component), .kind = "dataset/1", .name = "fake" };

static dr_instance dataset(fake *f) { return (dr_instance){ .component = &component, .iface = &api, .self = f }; }

/* The indices of an epoch, in order. */
static int64_t order(dr_loader *l, int64_t epoch, int32_t *out)
{
    int64_t n = 0;
    for (int64_t i = 0; i < dr_loader_batches(l); i++) {
        dr_batch b;
        dr_scope_open();
        assert_int_equal(dr_loader_read(l, epoch, i, &b), DR_OK);
        assert_int_equal(b.first, epoch * dr_loader_samples(l) + n);
        assert_int_equal(dr_tensor_read(b.label, DR_I32, out + n), DR_OK);
        n += b.size;
        dr_scope_close();
    }
    assert_int_equal(n, dr_loader_samples(l));
    return n;
}

static void each_sample_comes_once(void **state)
{
    (void)state;
    fake f = { .classes = N, .broken = -1 };
    dr_instance d = dataset(&f);
    dr_loader *l = dr_loader_new(&d, DR_TRAIN, 5, true, false, 1, 0);
    assert_int_equal(dr_loader_batches(l), 5);
    int32_t first[N], second[N];
    int seen[N] = { 0 };
    assert_int_equal(order(l, 0, first), N);
    order(l, 1, second);
    for (int i = 0; i < N; i++) seen[first[i]]++;
    for (int i = 0; i < N; i++) assert_int_equal(seen[i], 1);
    assert_memory_not_equal(first, second, sizeof first);
    order(l, 0, second); /* back again */
    assert_memory_equal(first, second, sizeof first);
    dr_loader_free(l);
}

static void the_order_does_not_depend_on_the_batch(void **state)
{
    (void)state;
    fake f = { .classes = N, .broken = -1 };
    dr_instance d = dataset(&f);
    int32_t fives[N], sevens[N], other[N], plain[N];
    dr_loader *l5 = dr_loader_new(&d, DR_TRAIN, 5, true, false, 1, 0);
    dr_loader *l7 = dr_loader_new(&d, DR_TRAIN, 7, true, false, 1, 0);
    dr_loader *seed2 = dr_loader_new(&d, DR_TRAIN, 7, true, false, 2, 0);
    dr_loader *unshuffled = dr_loader_new(&d, DR_TRAIN, 7, false, false, 1, 0);
    order(l5, 3, fives);
    order(l7, 3, sevens);
    order(seed2, 3, other);
    order(unshuffled, 3, plain);
    assert_memory_equal(fives, sevens, sizeof fives);
    assert_memory_not_equal(sevens, other, sizeof other);
    for (int i = 0; i < N; i++) assert_int_equal(plain[i], i);
    dr_loader_free(l5);
    dr_loader_free(l7);
    dr_loader_free(seed2);
    dr_loader_free(unshuffled);
}

static void the_last_batch_is_smaller_or_dropped(void **state)
{
    (void)state;
    fake f = { .classes = N, .broken = -1 };
    dr_instance d = dataset(&f);
    dr_batch b;
    dr_loader *l = dr_loader_new(&d, DR_TRAIN, 10, true, false, 1, 0);
    assert_int_equal(dr_loader_read(l, 2, 2, &b), DR_OK);
    assert_int_equal(b.size, 3);
    assert_int_equal(b.first, 2 * N + 20);
    assert_int_not_equal(dr_loader_read(l, 0, 3, &b), DR_OK);
    assert_error_has("epoch 0 has no batch 3");
    dr_loader_free(l);

    l = dr_loader_new(&d, DR_TRAIN, 10, true, true, 1, 0);
    assert_int_equal(dr_loader_batches(l), 2);
    assert_int_equal(dr_loader_samples(l), 20);
    dr_loader_free(l);

    l = dr_loader_new(&d, DR_TRAIN, 10, true, false, 1, 12); /* only the first 12 samples */
    int32_t some[N];
    assert_int_equal(order(l, 0, some), 12);
    for (int i = 0; i < 12; i++) assert_true(some[i] < 12);
    dr_loader_free(l);

    assert_null(dr_loader_new(&d, DR_TRAIN, 24, true, true, 1, 0));
    assert_error_has("dataset fake: 23 samples do not fill a batch of 24");
    assert_null(dr_loader_new(&d, DR_TRAIN, 0, true, true, 1, 0));
    assert_error_has("batch = 0");
}

static void images_are_channels_last(void **state)
{
    (void)state;
    fake f = { .classes = 0, .broken = -1 };
    dr_instance d = dataset(&f);
    dr_batch b;
    dr_loader *l = dr_loader_new(&d, DR_TEST, 4, false, false, 1, 0);
    assert_int_equal(dr_loader_read(l, 0, 1, &b), DR_OK);
    assert_null(b.label);
    assert_true(dr_view_is(dr_tensor_view(b.image), DR_LAYOUT_CL));
    float image[4][C * H * W];
    assert_int_equal(dr_tensor_read(b.image, DR_F32, image), DR_OK);
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < C * H * W; i++) assert_true(image[k][i] == (float)(4 + k) + 0.01f * (float)i);
    }
    dr_loader_free(l);
}

static void a_sample_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    fake f = { .classes = N, .broken = 6 };
    dr_instance d = dataset(&f);
    dr_batch b;
    dr_loader *l = dr_loader_new(&d, DR_TRAIN, 4, false, false, 1, 0);
    assert_int_equal(dr_loader_read(l, 0, 0, &b), DR_OK);
    assert_int_equal(dr_loader_read(l, 0, 1, &b), DR_EIO);
    assert_error_has("dataset fake: sample 6 cannot be read");
    assert_int_equal(dr_loader_read(l, 0, 2, &b), DR_OK); /* what was read ahead and not asked for harms nobody */
    assert_int_equal(dr_loader_read(l, 0, 0, &b), DR_OK); /* the bad batch is on its way */
    assert_int_equal(dr_failed(), DR_OK);
    assert_int_equal(dr_loader_read(l, 0, 2, &b), DR_OK);
    assert_int_equal(dr_loader_read(l, 0, 1, &b), DR_EIO);
    assert_error_has("dataset fake: sample 6 cannot be read");
    assert_int_equal(dr_loader_read(l, 0, 1, &b), DR_EIO); /* and again */
    assert_error_has("dataset fake: sample 6 cannot be read");
    dr_loader_free(l);
}

static void a_thread_reads_ahead_and_never_beside_another_reader(void **state)
{
    (void)state;
    fake f = { .classes = N, .broken = -1 };
    dr_instance d = dataset(&f);
    dr_batch a, b;
    program = pthread_self();
    atomic_store(&together, 0);
    atomic_store(&elsewhere, 0);
    dr_loader *one = dr_loader_new(&d, DR_TRAIN, 4, true, false, 1, 0);
    dr_loader *two = dr_loader_new(&d, DR_TRAIN, 4, true, false, 1, 0);
    for (int64_t i = 0; i < 18; i++) {
        int32_t x[4], y[4], label;
        float image[C * H * W];
        dr_scope_open();
        assert_int_equal(dr_loader_read(one, i / 6, i % 6, &a), DR_OK);
        dr_dataset_lock();
        assert_int_equal(read_fake(&f, DR_TRAIN, i, image, &label), DR_OK); /* the script, meanwhile */
        dr_dataset_unlock();
        assert_int_equal(dr_loader_read(two, i / 6, i % 6, &b), DR_OK);
        assert_int_equal(a.size, b.size);
        dr_tensor_read(a.label, DR_I32, x);
        dr_tensor_read(b.label, DR_I32, y);
        assert_memory_equal(x, y, (size_t)a.size * sizeof *x);
        dr_scope_close();
    }
    dr_loader_free(one);
    dr_loader_free(two);
    assert_int_equal(atomic_load(&together), 0);
    assert_true(atomic_load(&elsewhere) >= 3 * 2 * N - 2 * 4); /* all but the first batches */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sample_comes_once),
        cmocka_unit_test(the_order_does_not_depend_on_the_batch),
        cmocka_unit_test(the_last_batch_is_smaller_or_dropped),
        cmocka_unit_test(images_are_channels_last),
        cmocka_unit_test(a_sample_that_cannot_be_read_is_named),
        cmocka_unit_test(a_thread_reads_ahead_and_never_beside_another_reader),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
