/* weights_from_files.c: conv2d, conv2d_act, linear and embedding with weights as files have them - f32, f16, bf16, beside
 * x in f32 or bf16 - on ref and cpu against ref in f64 on the same numbers. Frozen or not, at the first call and when a
 * kernel has kept what it made of them, also for other batches; and what is kept goes with the weight. The weights'
 * numbers are such that every dtype holds them exactly, so a result is rounded once, to x's dtype. */
#include "../host.h"
#include "both_devices.h"

#include <math.h>

typedef struct layer {
    const char *op;
    int64_t B, Ci, Co, H, W, k, stride, act; /* linear: B rows of Ci */
    bool bias;
} layer;

static const layer layers[] = {
    { "conv2d", 2, 17, 33, 5, 7, 3, 1, 0, true },         { "conv2d", 1, 8, 6, 12, 9, 3, 1, 0, true },
    { "conv2d", 3, 33, 5, 6, 6, 1, 1, 0, false },         { "conv2d", 2, 16, 32, 9, 8, 3, 2, 0, true },
    { "conv2d", 2, 9, 1, 6, 5, 3, 1, 0, true },           { "conv2d", 2, 5, 7, 4, 4, 4, 1, 0, true },
    { "conv2d", 2, 32, 48, 12, 12, 3, 1, 0, true },       { "conv2d_act", 2, 40, 24, 8, 8, 3, 1, DR_ACT_GELU, true },
    { "conv2d_act", 1, 7, 17, 5, 3, 1, 1, DR_ACT_SILU, false },
    { "linear", 3, 17, 33, 0, 0, 0, 0, 0, true },         { "linear", 1, 65, 5, 0, 0, 0, 0, 0, false },
    { "linear", 130, 64, 96, 0, 0, 0, 0, 0, true },       { "linear", 2, 256, 512, 0, 0, 0, 0, 0, true },
};
enum { LAYERS = sizeof layers / sizeof *layers, MOST = 1 << 18 };

static int gone_count;

static void gone(void *ctx) { (void)ctx, gone_count++; }

/* 8 bits of a normal-like number, which f16, bf16 and f32 hold exactly */
static double exact(int64_t i, int seed)
{
    uint32_t word[4];
    dr_philox((uint64_t)seed, (const uint32_t[4]){ (uint32_t)i, 0, 0, 9 }, word);
    return ((double)(word[0] & 127) + (double)(word[1] & 127) - 127.0) / 128.0;
}

static void fill_with(double *v, int64_t n, int seed)
{
    for (int64_t i = 0; i < n; i++) v[i] = exact(i, seed);
}

/* On the current device, of `memory`, where it is frozen */
static dr_tensor *weight_of(const double *v, int rank, const int64_t *shape, dr_dtype dtype, bool frozen, void *memory)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= shape[i];
    dr_convert(dtype, memory, DR_F64, v, n);
    if (!frozen) return dr_tensor_from(dtype, rank, shape, memory);
    dr_view view = { .dtype = dtype, .rank = rank, .data = memory };
    for (int i = 0; i < rank; i++) view.shape[i] = shape[i];
    dr_view_lay(&view, DR_LAYOUT_ROW);
    return dr_tensor_in_place(&view, &(dr_memory_keeper){ .gone = gone });
}

static dr_tensor *tensor_of(const double *v, int rank, const int64_t *shape, dr_dtype dtype)
{
    dr_tensor *t = dr_tensor_new(dtype, rank, shape, DR_LAYOUT_ROW);
    return t && dr_tensor_write(t, DR_F64, v) == DR_OK ? t : NULL;
}

static int weight_rank(const layer *l) { return l->k ? 4 : 2; }

static dr_tensor *applied(const layer *l, dr_tensor *x, dr_tensor *weight, dr_tensor *bias)
{
    dr_tensor *in[] = { x, weight, bias };
    if (strcmp(l->op, "conv2d") == 0) return dr_apply1(l->op, in, 3, &(dr_conv2d_attr){ l->stride, l->k / 2 });
    if (l->k) return dr_apply1(l->op, in, 3, &(dr_conv2d_act_attr){ l->stride, l->k / 2, l->act });
    return dr_linear(x, weight, bias);
}

static double x_values[MOST], w_values[MOST], b_values[MOST], want[MOST], got[MOST];
static float memory[MOST];

typedef struct how {
    dr_device *device;
    dr_dtype x, weight;
    bool frozen;
} how;

static dr_tensor *x_of(const layer *l, int64_t B, dr_dtype dtype)
{
    return l->k ? tensor_of(x_values, 4, (int64_t[]){ B, l->Ci, l->H, l->W }, dtype)
                : tensor_of(x_values, 2, (int64_t[]){ B, l->Ci }, dtype);
}

static int64_t reference(const layer *l, int64_t B)
{
    const int64_t shape[] = { l->Co, l->Ci, l->k, l->k };
    dr_device_use(ref);
    dr_tensor *bias = l->bias ? tensor_of(b_values, 1, &l->Co, DR_F64) : NULL;
    dr_tensor *y = applied(l, x_of(l, B, DR_F64), tensor_of(w_values, weight_rank(l), shape, DR_F64), bias);
    if (dr_tensor_read(y, DR_F64, want) != DR_OK) fail_msg("%s on ref: %s", l->op, dr_error_message());
    return view_count(dr_tensor_view(y));
}

static void compare(const layer *l, const how *h, int64_t B, int call, dr_tensor *weight)
{
    dr_scope_open();
    const int64_t n = reference(l, B);
    dr_device_use(h->device);
    dr_tensor *bias = l->bias ? tensor_of(b_values, 1, &l->Co, DR_F32) : NULL;
    dr_tensor *y = applied(l, x_of(l, B, h->x), weight, bias);
    if (dr_tensor_read(y, DR_F64, got) != DR_OK) fail_msg("%s: %s", l->op, dr_error_message());
    assert_int_equal(dr_tensor_view(y)->dtype, h->x);
    const double most = fmax(1.0, largest(want, n)), terms = (double)(l->Ci * (l->k ? l->k * l->k : 1));
    const double sums = 0x1p-23 * (8 + 2 * sqrt(terms)) * most + (l->act ? 1e-4 * most : 0);
    for (int64_t i = 0; i < n; i++) {
        const double allowed = sums + (h->x == DR_BF16 ? fabs(want[i]) / 256.0 + 1e-4 * most : 0)
                             + (h->x == DR_BF16 && l->act ? most / 128.0 : 0); /* composed, it rounds between */
        if (!(fabs(got[i] - want[i]) <= allowed)) {
            fail_msg("%s %lldx%lldx%lldx%lld to %lld, k %lld on %s, x %s, weight %s%s, batch %lld, call %d: element %lld is "
                     "%.9g, should be %.9g", l->op, (long long)l->B, (long long)l->Ci, (long long)l->H, (long long)l->W,
                     (long long)l->Co, (long long)l->k, dr_device_name(h->device), dr_dtype_name(h->x),
                     dr_dtype_name(h->weight), h->frozen ? " frozen" : "", (long long)B, call, (long long)i, got[i], want[i]);
        }
    }
    dr_scope_close();
}

static void check(const layer *l, const how *h)
{
    const int64_t shape[] = { l->Co, l->Ci, l->k, l->k };
    for (int seed = 1; seed <= 2; seed++) { /* another weight comes to the same address */
        const int before = gone_count;
        fill_with(w_values, l->Co * l->Ci * (l->k ? l->k * l->k : 1), seed);
        dr_scope_open();
        dr_device_use(h->device);
        dr_tensor *weight = weight_of(w_values, weight_rank(l), shape, h->weight, h->frozen, memory);
        const int64_t batches[] = { l->B, l->B, 2 * l->B, 2 * l->B, 2 * l->B, l->B };
        for (int call = 0; call < (h->device == ref ? 1 : 6); call++) compare(l, h, batches[call], call, weight);
        dr_scope_close();
        assert_int_equal(gone_count - before, h->frozen);
    }
}

static void check_on(dr_device *device)
{
    static const dr_dtype weights[] = { DR_F32, DR_F16, DR_BF16 };
    fill_with(x_values, MOST, 3);
    fill_with(b_values, MOST, 4);
    for (int i = 0; i < LAYERS; i++)
        for (int k = 0; k < 12; k++)
            check(&layers[i], &(how){ device, k % 2 ? DR_BF16 : DR_F32, weights[k / 2 % 3], k / 6 == 1 });
}

static void on_ref(void **state)
{
    (void)state;
    check_on(ref);
}

static void on_cpu(void **state)
{
    static const char *const forms[] = { "onednn", "winograd", "winograd_small" };
    (void)state;
    for (int f = 0; f < 3; f++) {
        setenv("DRIFT_CPU_CONV", forms[f], 1);
        check_on(cpu);
    }
    unsetenv("DRIFT_CPU_CONV");
}

/* Where the backend's kernels do not take them, the host widens. */
static void where_kernels_want_f32(void **state)
{
    (void)state;
    ref->api_read.flags &= ~(uint32_t)DR_BACKEND_ANY_WEIGHT;
    cpu->api_read.flags &= ~(uint32_t)DR_BACKEND_ANY_WEIGHT;
    check_on(ref);
    for (int i = 0; i < LAYERS; i++) check(&layers[i], &(how){ cpu, i % 2 ? DR_BF16 : DR_F32, DR_F16, true });
    ref->api_read.flags |= DR_BACKEND_ANY_WEIGHT;
    cpu->api_read.flags |= DR_BACKEND_ANY_WEIGHT;
}

/* Guidance by a gradient: dx through a frozen f16 weight is dx through the same numbers in f32. */
static void gradients_pass_through_them(void **state)
{
    (void)state;
    fill_with(x_values, MOST, 3);
    for (int i = 0; i < LAYERS; i++) {
        const layer *l = &layers[i];
        const int64_t shape[] = { l->Co, l->Ci, l->k, l->k };
        double *grad[2] = { want, got };
        fill_with(w_values, l->Co * l->Ci * (l->k ? l->k * l->k : 1), 1);
        for (int k = 0; k < 2; k++) {
            dr_scope_open();
            dr_device_use(k ? cpu : ref);
            dr_tensor *weight = weight_of(w_values, weight_rank(l), shape, k ? DR_F16 : DR_F32, k, memory);
            dr_tensor *x = dr_requires_grad(x_of(l, l->B, DR_F32), true);
            dr_tensor *y = applied(l, x, weight, NULL);
            assert_int_equal(dr_backward(dr_sum(dr_square(y), 0, NULL, false), NULL), DR_OK);
            assert_int_equal(dr_tensor_read(dr_grad(x), DR_F64, grad[k]), DR_OK);
            dr_scope_close();
        }
        const int64_t n = l->B * l->Ci * (l->k ? l->H * l->W : 1);
        if (!(difference(got, want, n) <= 1e-4 * largest(want, n))) fail_msg("%s %d: off by %g", l->op, i, difference(got, want, n));
    }
}

/* Those of a frozen half table are f32, as of a table in f32 with these numbers; the table itself is not widened. */
static void rows_of_a_table_keep_its_dtype_unless_it_is_frozen(void **state)
{
    static const dr_dtype dtypes[] = { DR_F32, DR_F16, DR_BF16 };
    (void)state;
    fill_with(w_values, 11 * 5, 1);
    for (int k = 0; k < 12; k++) {
        dr_scope_open();
        dr_device_use(k % 2 ? cpu : ref);
        const bool frozen = k / 6 == 1;
        dr_tensor *table = weight_of(w_values, 2, (int64_t[]){ 11, 5 }, dtypes[k / 2 % 3], frozen, memory);
        dr_tensor *ids = dr_tensor_from(DR_I32, DR_SHAPE(2, 2), (int32_t[]){ 10, 0, 3, 10 });
        dr_tensor *rows = dr_embed(table, ids);
        assert_int_equal(dr_tensor_read(rows, DR_F64, got), DR_OK);
        assert_int_equal(dr_tensor_view(rows)->dtype, frozen ? DR_F32 : dtypes[k / 2 % 3]);
        for (int i = 0; i < 5; i++) assert_true(got[i] == w_values[50 + i] && got[5 + i] == w_values[i]);
        dr_scope_close();
    }
}

static void two_kinds_of_f64_and_half_are_refused(void **state)
{
    (void)state;
    dr_scope_open();
    dr_device_use(ref);
    dr_tensor *x = dr_tensor_full(DR_F64, DR_SHAPE(2, 3), 1.0), *w = dr_tensor_full(DR_F16, DR_SHAPE(4, 3), 1.0);
    assert_null(dr_linear(x, w, NULL));
    assert_error_has("linear");
    dr_tensor *ids = dr_tensor_full(DR_I32, DR_SHAPE(4, 3), 1.0);
    assert_null(dr_linear(dr_tensor_full(DR_F32, DR_SHAPE(2, 3), 1.0), ids, NULL));
    assert_error_has("linear");
    dr_scope_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_ref),
        cmocka_unit_test(on_cpu),
        cmocka_unit_test(where_kernels_want_f32),
        cmocka_unit_test(gradients_pass_through_them),
        cmocka_unit_test(rows_of_a_table_keep_its_dtype_unless_it_is_frozen),
        cmocka_unit_test(two_kinds_of_f64_and_half_are_refused),
    };
    return cmocka_run_group_tests(tests, open_both, close_all);
}
