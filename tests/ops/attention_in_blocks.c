/* attention_in_blocks.c: cpu's attention, which never has all scores at once, against its composed form on ref in f64:
 * more keys than a block, keys that nobody may see, heads that lie beside each other in a row, dtypes side by side; and
 * that a query's bits depend on nothing but its own numbers and its keys. */
#include "../host.h"
#include "both_devices.h"

#include <math.h>

typedef struct size {
    int64_t B, H, L, S, D;
} size;

enum { MOST = 1 << 18 };
static double want[MOST], got[MOST], values[4][MOST];

static double number(uint64_t key, int64_t i)
{
    uint32_t word[4];
    dr_philox(key, (const uint32_t[4]){ (uint32_t)i, 0, 0, 5 }, word);
    return (double)(float)(((double)word[0] + (double)word[1] + (double)word[2]) / 4294967296.0 - 1.5) * 2;
}

/* Half of the keys hidden, and from the first keys all, which are more than a block */
static void fill(const size *s, bool hidden, dr_dtype rounded)
{
    const int64_t n[] = { s->B * s->H * s->L * s->D, s->B * s->H * s->S * s->D, s->B * s->H * s->S * s->D, s->B * s->S };
    for (int k = 0; k < 4; k++)
        for (int64_t i = 0; i < n[k]; i++) {
            float narrow[2] = { 0 }, value = (float)number((uint64_t)k + 11, i);
            dr_convert(rounded, narrow, DR_F32, &value, 1);
            dr_convert(DR_F32, &value, rounded, narrow, 1);
            values[k][i] = k < 3 ? value : hidden && (i % s->S < 2 * s->S / 3 || i % 2) ? -INFINITY : 0.0;
        }
}

/* [B,H,n,D], as parts of rows [B,n,H D] where beside */
static dr_tensor *heads(const size *s, int k, int64_t n, dr_dtype dtype, bool beside)
{
    dr_tensor *t = dr_tensor_new(dtype, DR_SHAPE(s->B, s->H, n, s->D), DR_LAYOUT_ROW);
    if (dr_tensor_write(t, DR_F64, values[k]) != DR_OK) return NULL;
    if (!beside) return t;
    dr_tensor *rows = dr_contiguous(dr_permute(t, 4, (int64_t[]){ 0, 2, 1, 3 }), DR_LAYOUT_ROW);
    return dr_permute(rows, 4, (int64_t[]){ 0, 2, 1, 3 });
}

static dr_tensor *attend(const size *s, dr_dtype q, dr_dtype kv, dr_dtype mask, bool beside, bool masked)
{
    dr_tensor *m = masked ? dr_tensor_new(mask, DR_SHAPE(s->B, 1, 1, s->S), DR_LAYOUT_ROW) : NULL;
    if (m && dr_tensor_write(m, DR_F64, values[3]) != DR_OK) return NULL;
    return dr_attention(heads(s, 0, s->L, q, beside), heads(s, 1, s->S, kv, beside), heads(s, 2, s->S, kv, beside), m, 0.3);
}

static void check(const size *s, dr_dtype q, dr_dtype kv, dr_dtype mask, bool beside, bool masked)
{
    const bool half = q != DR_F32 || kv != DR_F32;
    const int64_t n = s->B * s->H * s->L * s->D;
    assert_true(n < MOST && s->B * s->H * s->S * s->D < MOST);
    fill(s, masked, half ? DR_BF16 : DR_F32);
    dr_scope_open();
    dr_device_use(ref);
    assert_int_equal(dr_tensor_read(attend(s, DR_F64, DR_F64, DR_F64, false, masked), DR_F64, want), DR_OK);
    dr_device_use(cpu);
    dr_tensor *y = attend(s, q, kv, mask, beside, masked);
    if (dr_tensor_read(y, DR_F64, got) != DR_OK) fail_msg("%s", dr_error_message());
    assert_int_equal(dr_tensor_view(y)->dtype, half ? DR_BF16 : DR_F32);
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs(got[i] - want[i]) <= 2e-6 * largest(want, n) + (half ? fabs(want[i]) / 256 : 0)))
            fail_msg("%lld queries, %lld keys, %lld wide: element %lld is %.9g, should be %.9g", (long long)s->L,
                     (long long)s->S, (long long)s->D, (long long)i, got[i], want[i]);
    }
    dr_scope_close();
}

static const size sizes[] = { { 2, 3, 33, 600, 64 }, { 1, 2, 5, 257, 7 }, { 2, 1, 64, 78, 64 }, { 1, 1, 1, 1, 1 }, { 1, 2, 40, 512, 80 } };
enum { SIZES = sizeof sizes / sizeof *sizes };

static void in_f32(void **state)
{
    (void)state;
    for (int i = 0; i < SIZES; i++)
        for (int k = 0; k < 2; k++) check(&sizes[i], DR_F32, DR_F32, DR_F32, k, false);
}

static void with_keys_that_are_hidden(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) check(&sizes[i], DR_F32, DR_F32, DR_F32, i % 2, true);
}

static void in_bf16_and_beside_it(void **state)
{
    (void)state;
    if (!dr_device_kernel(cpu, "linear", DR_BF16)) skip();
    for (int i = 0; i < SIZES; i++) {
        check(&sizes[i], DR_BF16, DR_BF16, DR_F32, i % 2, i < 3);
        check(&sizes[i], DR_F32, DR_BF16, DR_BF16, i % 2, false);
        check(&sizes[i], DR_BF16, DR_F32, DR_BF16, i % 2, i < 3);
    }
}

/* A query that may see nothing has no answer. */
static void nothing_to_see_is_no_number(void **state)
{
    (void)state;
    dr_scope_open();
    dr_device_use(cpu);
    dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(1, 1, 3, 4), 1.0), *none = dr_tensor_full(DR_F32, DR_SHAPE(1), -INFINITY);
    assert_true(isnan(dr_tensor_item(dr_sum(dr_attention(x, x, x, none, 0.0), 0, NULL, false))));
    dr_scope_close();
}

/* Alone, or among others and in another place: the same bits. */
static void a_query_does_not_see_another(void **state)
{
    const size s = { 2, 2, 70, 300, 24 };
    (void)state;
    fill(&s, false, DR_F32);
    dr_scope_open();
    dr_device_use(cpu);
    dr_tensor *q = heads(&s, 0, s.L, DR_F32, true), *k = heads(&s, 1, s.S, DR_F32, true), *v = heads(&s, 2, s.S, DR_F32, true);
    assert_int_equal(dr_tensor_read(dr_slice(dr_slice(dr_attention(q, k, v, NULL, 0.0), 2, 35, 1), 0, 1, 1), DR_F64, want), DR_OK);
    dr_tensor *one = dr_slice(dr_slice(q, 2, 35, 1), 0, 1, 1);
    assert_int_equal(dr_tensor_read(dr_attention(one, dr_slice(k, 0, 1, 1), dr_slice(v, 0, 1, 1), NULL, 0.0), DR_F64, got), DR_OK);
    for (int i = 0; i < s.H * s.D; i++) assert_true(got[i] == want[i]);
    dr_scope_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_f32),
        cmocka_unit_test(with_keys_that_are_hidden),
        cmocka_unit_test(in_bf16_and_beside_it),
        cmocka_unit_test(nothing_to_see_is_no_number),
        cmocka_unit_test(a_query_does_not_see_another),
    };
    return cmocka_run_group_tests(tests, open_both, close_all);
}
