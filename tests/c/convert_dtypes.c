/* convert_dtypes.c: dr_convert over all pairs of dtypes: exact where the target can hold the number, rounded once to
 * nearest even where it cannot, clamped for integers, from and to any byte address. */
#include <drift.h>
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static uint16_t to_16(dr_dtype to, double x)
{
    uint16_t h;
    dr_convert(to, &h, DR_F64, &x, 1);
    return h;
}

static double from_16(dr_dtype from, uint16_t h)
{
    double x;
    dr_convert(DR_F64, &x, from, &h, 1);
    return x;
}

static void sizes_and_names(void **state)
{
    (void)state;
    static const struct {
        dr_dtype dtype;
        size_t size;
        const char *name;
    } expect[] = { { DR_F32, 4, "f32" }, { DR_F64, 8, "f64" }, { DR_BF16, 2, "bf16" }, { DR_F16, 2, "f16" },
                   { DR_I32, 4, "i32" }, { DR_I64, 8, "i64" }, { DR_U8, 1, "u8" },     { DR_BOOL, 1, "bool" } };
    assert_int_equal(sizeof expect / sizeof *expect, DR_DTYPE_COUNT);
    for (size_t i = 0; i < DR_DTYPE_COUNT; i++) {
        assert_int_equal(dr_dtype_size(expect[i].dtype), expect[i].size);
        assert_string_equal(dr_dtype_name(expect[i].dtype), expect[i].name);
    }
    assert_int_equal(dr_dtype_size((dr_dtype)-1), 0);
    assert_int_equal(dr_dtype_size(DR_DTYPE_COUNT), 0);
    assert_non_null(dr_dtype_name(DR_DTYPE_COUNT));
}

/* Every 16-bit pattern comes back from f64, f32, and is the number that its fields say. */
static void sixteen_bits_round_trip(void **state)
{
    (void)state;
    static const struct {
        dr_dtype dtype;
        int exponent, mantissa;
    } form[] = { { DR_F16, 5, 10 }, { DR_BF16, 8, 7 } };
    for (size_t k = 0; k < 2; k++) {
        const int E = form[k].exponent, M = form[k].mantissa, bias = (1 << (E - 1)) - 1;
        for (uint32_t u = 0; u < 0x10000; u++) {
            const uint16_t h = (uint16_t)u;
            const int e = (h >> M) & ((1 << E) - 1), m = h & ((1 << M) - 1);
            const double x = from_16(form[k].dtype, h);
            assert_int_equal(!!signbit(x), h >> 15);
            if (e == (1 << E) - 1 && m) {
                assert_true(isnan(x));
                const uint16_t back = to_16(form[k].dtype, x);
                assert_true(isnan(from_16(form[k].dtype, back)));
                continue;
            }
            const double expect = e == (1 << E) - 1 ? HUGE_VAL
                                  : e               ? ldexp(1 + ldexp(m, -M), e - bias)
                                                    : ldexp(m, 1 - bias - M);
            assert_true(fabs(x) == expect);
            assert_int_equal(to_16(form[k].dtype, x), h);
            float f = (float)x;
            uint16_t back;
            dr_convert(form[k].dtype, &back, DR_F32, &f, 1);
            assert_int_equal(back, h);
        }
    }
}

/* Between two neighbours: below, at and above the middle; the middle goes to the even one. */
static void rounds_to_nearest_even(void **state)
{
    (void)state;
    static const dr_dtype dtypes[] = { DR_F16, DR_BF16 };
    for (size_t k = 0; k < 2; k++) {
        const uint16_t infinity = dtypes[k] == DR_F16 ? 0x7c00 : 0x7f80;
        for (uint16_t h = 0; h < infinity - 1; h++) {
            const double a = from_16(dtypes[k], h), b = from_16(dtypes[k], (uint16_t)(h + 1)), middle = a + (b - a) / 2;
            const uint16_t even = h & 1 ? (uint16_t)(h + 1) : h;
            assert_int_equal(to_16(dtypes[k], middle), even);
            assert_int_equal(to_16(dtypes[k], nextafter(middle, 0)), h);
            assert_int_equal(to_16(dtypes[k], nextafter(middle, HUGE_VAL)), h + 1);
            assert_int_equal(to_16(dtypes[k], -middle), even | 0x8000);
            float f = (float)middle;
            if ((double)f != middle) continue;
            uint16_t back;
            dr_convert(dtypes[k], &back, DR_F32, &f, 1);
            assert_int_equal(back, even);
            f = nextafterf((float)middle, HUGE_VALF);
            dr_convert(dtypes[k], &back, DR_F32, &f, 1);
            assert_int_equal(back, h + 1);
        }
        assert_int_equal(to_16(dtypes[k], HUGE_VAL), infinity);
        assert_int_equal(to_16(dtypes[k], 1e300), infinity);
        assert_int_equal(to_16(dtypes[k], 1e-300), 0);
        assert_int_equal(to_16(dtypes[k], -1e-300), 0x8000);
    }
    assert_int_equal(to_16(DR_F16, 65519.99), 0x7bff); /* the largest; from 65520 on it is infinity */
    assert_int_equal(to_16(DR_F16, 65520.0), 0x7c00);
    assert_int_equal(to_16(DR_F16, 0x1p-25), 0);
    assert_int_equal(to_16(DR_F16, nextafter(0x1p-25, 1)), 1);
    assert_int_equal(to_16(DR_BF16, 1.00390625), 0x3f80);               /* 1 + 2^-8: the middle, so even */
    assert_int_equal(to_16(DR_BF16, nextafter(1.00390625, 2)), 0x3f81); /* through f32 it would be rounded twice */
}

static void small_nan_stays_nan(void **state)
{
    (void)state;
    uint32_t bits[] = { 0x7f800001u, 0xff800001u, 0x7fffffffu }; /* only bits that go away say that it is a NaN */
    float f[3];
    uint16_t h[3];
    memcpy(f, bits, sizeof f);
    dr_convert(DR_BF16, h, DR_F32, f, 3);
    for (int i = 0; i < 3; i++) assert_true(isnan(from_16(DR_BF16, h[i])));
    dr_convert(DR_F16, h, DR_F32, f, 3);
    for (int i = 0; i < 3; i++) assert_true(isnan(from_16(DR_F16, h[i])));
}

static int64_t one_int(dr_dtype to, double x)
{
    union {
        int32_t i32;
        int64_t i64;
        uint8_t u8;
    } out = { .i64 = 0 };
    dr_convert(to, &out, DR_F64, &x, 1);
    return to == DR_I32 ? out.i32 : to == DR_I64 ? out.i64 : out.u8;
}

static void integers_are_truncated_and_clamped(void **state)
{
    (void)state;
    assert_int_equal(one_int(DR_I32, 2.9), 2);
    assert_int_equal(one_int(DR_I32, -2.9), -2);
    assert_int_equal(one_int(DR_I32, 1e10), INT32_MAX);
    assert_int_equal(one_int(DR_I32, -1e10), INT32_MIN);
    assert_int_equal(one_int(DR_I32, 2147483647.0), INT32_MAX);
    assert_int_equal(one_int(DR_I32, NAN), 0);
    assert_true(one_int(DR_I64, 1e300) == INT64_MAX);
    assert_true(one_int(DR_I64, 0x1p63) == INT64_MAX);
    assert_true(one_int(DR_I64, -0x1p63) == INT64_MIN);
    assert_true(one_int(DR_I64, -INFINITY) == INT64_MIN);
    assert_true(one_int(DR_I64, 9007199254740991.0) == 9007199254740991);
    assert_int_equal(one_int(DR_U8, 255.9), 255);
    assert_int_equal(one_int(DR_U8, 300), 255);
    assert_int_equal(one_int(DR_U8, -3), 0);
    assert_int_equal(one_int(DR_BOOL, 0.25), 1);
    assert_int_equal(one_int(DR_BOOL, -0.0), 0);
    const int64_t big[] = { INT64_MAX, INT64_MIN, 256, -1, 127 };
    int32_t i32[5];
    uint8_t u8[5], yes[5];
    dr_convert(DR_I32, i32, DR_I64, big, 5);
    dr_convert(DR_U8, u8, DR_I64, big, 5);
    dr_convert(DR_BOOL, yes, DR_I64, big, 5);
    const int32_t expect_i32[] = { INT32_MAX, INT32_MIN, 256, -1, 127 };
    const uint8_t expect_u8[] = { 255, 0, 255, 0, 127 };
    assert_memory_equal(i32, expect_i32, sizeof i32);
    assert_memory_equal(u8, expect_u8, sizeof u8);
    for (int i = 0; i < 5; i++) assert_int_equal(yes[i], 1);
    float rounded;
    const int64_t odd = 16777217; /* 2^24 + 1: the middle between two floats */
    dr_convert(DR_F32, &rounded, DR_I64, &odd, 1);
    assert_true(rounded == 16777216.0f);
    const uint8_t sloppy = 7; /* a bool from a file may be any byte */
    uint8_t clean;
    dr_convert(DR_BOOL, &clean, DR_BOOL, &sloppy, 1);
    assert_int_equal(clean, 1);
}

/* All 64 pairs with numbers that every dtype can hold, at odd addresses, over more than one block. */
static void every_pair_at_any_address(void **state)
{
    (void)state;
    enum { N = 1301 };
    double values[N];
    for (int i = 0; i < N; i++) values[i] = i * 7 % 128;
    static char a[8 * N + 8], b[8 * N + 8], guard[8];
    memset(guard, 0x5a, sizeof guard);
    for (int from = 0; from < DR_DTYPE_COUNT; from++) {
        for (int to = 0; to < DR_DTYPE_COUNT; to++) {
            double back[N];
            memset(b, 0x5a, sizeof b);
            dr_convert((dr_dtype)from, a + 1, DR_F64, values, N);
            dr_convert((dr_dtype)to, b + 3, (dr_dtype)from, a + 1, N);
            dr_convert(DR_F64, back, (dr_dtype)to, b + 3, N);
            for (int i = 0; i < N; i++) {
                const double expect = from == DR_BOOL || to == DR_BOOL ? values[i] != 0 : values[i];
                if (back[i] != expect) {
                    fail_msg("%s to %s: element %d is %g, not %g", dr_dtype_name((dr_dtype)from),
                             dr_dtype_name((dr_dtype)to), i, back[i], expect);
                }
            }
            const size_t used = 3 + N * dr_dtype_size((dr_dtype)to);
            assert_memory_equal(b, guard, 3);
            assert_memory_equal(b + used, guard, sizeof b - used < 8 ? sizeof b - used : 8);
        }
    }
    char untouched = 'x';
    dr_convert(DR_F32, &untouched, DR_F64, values, 0);
    dr_convert(DR_DTYPE_COUNT, &untouched, DR_F64, values, 1);
    assert_int_equal(untouched, 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_names),
        cmocka_unit_test(sixteen_bits_round_trip),
        cmocka_unit_test(rounds_to_nearest_even),
        cmocka_unit_test(small_nan_stays_nan),
        cmocka_unit_test(integers_are_truncated_and_clamped),
        cmocka_unit_test(every_pair_at_any_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
