/* half_precision_only_rounds.c: every op takes bf16 and f16, on ref and on cpu (whose kernels for bf16 are tried here,
 * and those for f32 on copies where it has none), and gives what ref gives in f64 on the same numbers but for rounding:
 * inputs, results and each op of a composed form are rounded to 8 (11) bits, while statistics, gamma, beta, sums and
 * losses stay f32. Allowed are 16 roundings, 16 x 2^-9 (2^-12), of the largest value; sums inside a kernel are exact
 * (ref) or f32, so their length does not matter. Where f32 may stand beside bf16, the same holds, the result is bf16
 * and the gradient of what is f32 is f32. */
#include "../host.h"
#include "both_devices.h"

#include <math.h>
#include <string.h>

typedef struct half {
    dr_dtype dtype;
    double rounding; /* half a unit in the last place, relative */
} half;

static int compare(const op_case *c, dr_dtype dtype, const char *what, int i, const double *got, const double *want,
                   int64_t n, double allowed)
{
    if (!got && !want) return 0;
    const double off = got && want ? difference(got, want, n) : INFINITY;
    if (off <= allowed * fmax(1.0, want ? largest(want, n) : 1.0)) return 0;
    print_error("%s, %s: %s %d is off by %.3g\n", c->label, dr_dtype_name(dtype), what, i + 1, off);
    return 1;
}

/* In f64 on numbers that dtype holds exactly: what the narrow run would give without rounding. */
static bool exact(const op_case *c, const half *h, case_result *want)
{
    case_run run = { .device = ref,
                     .dtype = DR_F64,
                     .rounded_to = h->dtype,
                     .round = true,
                     .layout = DR_LAYOUT_ROW,
                     .need = ~0u,
                     .nudged = -1 };
    return run_case(c, &run, want);
}

static bool has_floats(const op_case *c)
{
    for (int i = 0; i < c->n_in; i++) {
        if (wants_gradient(&c->in[i]) && !c->in[i].statistic) return true;
    }
    return false;
}

static const half bf16 = { DR_BF16, 1.0 / 512.0 }, f16 = { DR_F16, 1.0 / 4096.0 };

static int check_case(const op_case *c, const half *h, const case_run *run)
{
    int failed = 0;
    case_result got = { 0 }, want;
    if (!exact(c, h, &want) || !run_case(c, run, &got)) {
        print_error("%s, %s on %s: %s\n", c->label, dr_dtype_name(h->dtype), dr_device_name(run->device),
                    dr_error_message());
        dr_error_clear();
        failed++;
    }
    for (int j = 0; got.n_out && j < want.n_out; j++) {
        failed += compare(c, h->dtype, "output", j, got.out[j], want.out[j], view_count(&want.view[j]),
                          16.0 * h->rounding);
    }
    for (int i = 0; got.n_out && i < c->n_in; i++) {
        failed += compare(c, h->dtype, "gradient", i, got.grad[i], want.grad[i], input_count(&c->in[i]),
                          16.0 * h->rounding);
        const bool wide = run->wide >> i & 1 || c->in[i].statistic;
        const bool as_input = !got.grad[i] || got.grad_dtype[i] == (int32_t)(wide ? DR_F32 : h->dtype);
        if (!as_input) print_error("%s: gradient %d is not of its input's dtype\n", c->label, i + 1);
        failed += !as_input;
    }
    if (run->wide && got.n_out && got.view[0].dtype != (int32_t)h->dtype) {
        print_error("%s: f32 beside %s gives %s\n", c->label, dr_dtype_name(h->dtype),
                    dr_dtype_name((dr_dtype)got.view[0].dtype));
        failed++;
    }
    free_result(&got);
    free_result(&want);
    return failed;
}

static void check_all(const half *h, dr_device *device, dr_layout layout, uint32_t holes, uint32_t need)
{
    int failed = 0, compared = 0;
    for (int k = 0; k < op_case_count(); k++) {
        const op_case *c = op_case_at(k);
        if (!op_of(c) || (op_of(c)->flags & DR_OP_MUTATES) || c->stepwise || !has_floats(c)) continue;
        const case_run run = {
            .device = device, .dtype = h->dtype, .layout = layout, .holes = holes, .need = need, .nudged = -1
        };
        failed += check_case(c, h, &run);
        compared++;
    }
    assert_true(compared > 400);
    assert_int_equal(failed, 0);
}

static void in_bf16(void **state)
{
    (void)state;
    check_all(&bf16, ref, DR_LAYOUT_CL, 0, ~0u);
}

static void in_f16(void **state)
{
    (void)state;
    check_all(&f16, ref, DR_LAYOUT_CL, 0, ~0u);
}

static void in_bf16_on_cpu(void **state)
{
    (void)state;
    check_all(&bf16, cpu, DR_LAYOUT_CL, 0, ~0u);
    check_all(&bf16, cpu, DR_LAYOUT_ROW, 0, ~0u);
    check_all(&bf16, cpu, DR_LAYOUT_CL, 0x55555555u, ~0u);
    check_all(&bf16, cpu, DR_LAYOUT_ROW, 0xaaaaaaaau, ~0u);
}

static void in_f16_on_cpu(void **state)
{
    (void)state;
    check_all(&f16, cpu, DR_LAYOUT_CL, 0, ~0u);
    check_all(&f16, cpu, DR_LAYOUT_ROW, ~0u, ~0u);
}

/* ---- f32 beside bf16: which inputs of which ops may be --------------------------------------------------------- */

static const struct { const char *op; uint32_t wide; } MIXABLE[] = {
    { "conv2d", 2 }, { "conv2d", 4 }, { "conv2d", 6 }, { "conv2d_backward_data", 2 }, { "conv_transpose2d", 2 },
    { "conv_transpose2d", 6 }, { "linear", 2 }, { "linear", 4 }, { "linear", 6 }, { "matmul", 1 }, { "matmul", 2 },
    { "add", 1 }, { "add", 2 }, { "sub", 1 }, { "sub", 2 }, { "mul", 1 }, { "mul", 2 }, { "div", 1 }, { "div", 2 },
    { "axpy", 1 }, { "axpy", 2 }, { "maximum", 1 }, { "minimum", 2 }, { "attention", 2 }, { "attention", 8 },
};

static void f32_beside_bf16(void **state)
{
    dr_device *const devices[] = { ref, cpu };
    int failed = 0;
    (void)state;
    for (size_t m = 0; m < sizeof MIXABLE / sizeof *MIXABLE; m++) {
        int compared = 0;
        for (int k = 0; k < op_case_count(); k++) {
            const op_case *c = op_case_at(k);
            if (strcmp(c->op, MIXABLE[m].op) != 0) continue;
            for (int d = 0; d < 2; d++) {
                const case_run run = { .device = devices[d], .dtype = DR_BF16, .wide = MIXABLE[m].wide, .round = true,
                                       .rounded_to = DR_BF16, .layout = DR_LAYOUT_CL, .need = ~0u, .nudged = -1 };
                failed += check_case(c, &bf16, &run);
            }
            compared++;
        }
        if (compared == 0 && strcmp(MIXABLE[m].op, "conv2d_backward_data") != 0) fail_msg("no case of %s", MIXABLE[m].op);
    }
    assert_int_equal(failed, 0);
}

/* A second half dtype, or f64, is a mistake: no rule says which one is meant. */
static void other_mixtures_are_refused(void **state)
{
    (void)state;
    dr_tensor *narrow = dr_tensor_full(DR_BF16, DR_SHAPE(2, 2), 1.0);
    dr_tensor *other = dr_tensor_full(DR_F16, DR_SHAPE(2, 2), 1.0);
    dr_tensor *wide = dr_tensor_full(DR_F64, DR_SHAPE(2, 2), 1.0), *plain = dr_tensor_full(DR_F32, DR_SHAPE(2, 2), 1.0);
    assert_null(dr_add(narrow, other));
    assert_error_has("add: a is bf16 and b is f16: cast one of them");
    assert_null(dr_mul(wide, narrow));
    assert_error_has("mul: a is f64 and b is bf16: cast one of them");
    assert_null(dr_matmul(plain, wide, false, false));
    assert_error_has("matmul: a is f32 and b is f64: cast one of them");
    assert_null(dr_linear(plain, wide, NULL)); /* a weight may be half beside any x: weights_from_files.c */
    assert_error_has("linear: x is f32 and weight is f64: cast one of them");
    assert_null(dr_linear(wide, narrow, NULL));
    assert_error_has("linear: x is f64 and weight is bf16: cast one of them");
}

/* Rounding as the host rounds, for infinities, NaN, subnormals and ties as well, and back without a change. */
static void casts_round_as_the_host(void **state)
{
    (void)state;
    enum { N = 70000 };
    static uint32_t bits[N];
    static float values[N];
    static uint16_t want[N], got[N];
    for (int i = 0; i < N; i++) {
        const uint32_t spread = (uint32_t)i * 61681u;
        bits[i] = spread + (i % 3 == 0 ? 0x8000u - spread % 0x10000u : 0u);
    }
    memcpy(values, bits, sizeof values);
    dr_convert(DR_BF16, want, DR_F32, values, N);
    dr_device *before = dr_device_current();
    dr_device_use(cpu);
    dr_tensor *x = dr_tensor_new(DR_F32, 1, (int64_t[]){ N }, DR_LAYOUT_ROW);
    assert_int_equal(dr_tensor_write(x, DR_F32, values), DR_OK);
    dr_tensor *y = dr_cast(x, DR_BF16);
    assert_int_equal(dr_tensor_read(y, DR_BF16, got), DR_OK);
    int special = 0;
    for (int i = 0; i < N; i++) {
        const bool nan = isnan(values[i]);
        special += nan || isinf(values[i]) || fpclassify(values[i]) == FP_SUBNORMAL;
        if (nan ? (got[i] & 0x7FFF) > 0x7F80 : got[i] == want[i]) continue;
        fail_msg("%08x becomes %04x, not %04x", bits[i], got[i], want[i]);
    }
    assert_true(special > 100);
    dr_tensor *back = dr_cast(dr_cast(y, DR_F32), DR_BF16);
    assert_int_equal(dr_tensor_read(back, DR_BF16, want), DR_OK);
    assert_memory_equal(got, want, sizeof got);
    dr_device_use(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_bf16),
        cmocka_unit_test(in_f16),
        cmocka_unit_test(in_bf16_on_cpu),
        cmocka_unit_test(in_f16_on_cpu),
        cmocka_unit_test(f32_beside_bf16),
        cmocka_unit_test(other_mixtures_are_refused),
        cmocka_unit_test(casts_round_as_the_host),
    };
    return cmocka_run_group_tests(tests, open_both, close_all);
}
