/* cpu_convolution_forms.c: each form that conv2d_choice.c may pick, forced wherever it can run, against ref in f64:
 * outputs and gradients for odd sizes, few and many channels, stride 1 and 2, in f32 and bf16, also with an activation
 * and a second image in the sum; that they do not depend on the number of threads; and that choices are measured once,
 * written down and read again. */
#include "../host.h"
#include "both_devices.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>

static int open_with_two_threads(void **state)
{
    if (open_ref(state) != 0) return -1;
    ref = dr_device_current();
    cpu = dr_device_open("cpu", DR_ARGS(DR_I("threads", 2)));
    if (!cpu) print_error("%s\n", dr_error_message());
    return cpu ? 0 : -1;
}

typedef struct shape {
    int64_t B, Ci, Co, H, W, k, stride, padding;
} shape;

static const shape shapes[] = {
    { 1, 1, 1, 1, 1, 3, 1, 1 },     { 2, 1, 3, 2, 5, 3, 1, 1 },     { 1, 3, 1, 4, 4, 3, 1, 1 },
    { 2, 16, 32, 7, 7, 3, 1, 1 },   { 1, 17, 33, 5, 9, 3, 1, 1 },   { 3, 33, 17, 8, 6, 3, 1, 1 },
    { 1, 130, 5, 6, 7, 3, 1, 1 },   { 1, 5, 130, 7, 4, 3, 1, 1 },   { 1, 2, 3, 30, 30, 3, 1, 1 },
    { 2, 4, 4, 9, 4, 3, 1, 0 },     { 2, 4, 4, 3, 8, 3, 1, 2 },     { 1, 3, 2, 4, 6, 3, 1, 3 },
    { 40, 8, 40, 14, 13, 3, 1, 1 }, { 2, 16, 16, 4, 4, 4, 2, 1 },   { 1, 1, 2, 2, 2, 4, 2, 1 },
    { 2, 17, 33, 9, 12, 4, 2, 1 },  { 1, 5, 66, 8, 10, 4, 2, 0 },   { 1, 33, 3, 7, 9, 4, 2, 2 },
    { 2, 3, 5, 9, 8, 4, 2, 3 },     { 2, 16, 20, 11, 14, 3, 2, 1 }, { 1, 7, 40, 13, 10, 3, 2, 0 },
    { 2, 40, 7, 6, 9, 3, 2, 2 },    { 30, 16, 8, 18, 17, 4, 2, 1 },
    { 5, 32, 9, 13, 14, 3, 1, 1 },  { 4, 64, 16, 26, 25, 4, 2, 1 },
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static op_case case_of(const shape *s, const char *op, const void *attr)
{
    const bool turned = strcmp(op, "conv_transpose2d") == 0;
    const case_input x = { .values = NORMAL, .rank = 4, .shape = { s->B, s->Ci, s->H, s->W } };
    const case_input weight = { .values = NORMAL,
                                .rank = 4,
                                .shape = { turned ? s->Ci : s->Co, turned ? s->Co : s->Ci, s->k, s->k } };
    op_case c = { .op = op, .attr = attr, .n_in = 3, .in = { x, weight, { NORMAL, 1, { s->Co }, 0, false } } };
    snprintf(c.label, sizeof c.label, "%s %lldx%lldx%lldx%lld to %lld, k %lld, stride %lld, padding %lld", op,
             (long long)s->B, (long long)s->Ci, (long long)s->H, (long long)s->W, (long long)s->Co, (long long)s->k,
             (long long)s->stride, (long long)s->padding);
    return c;
}

/* As in cpu_matches_ref.c. */
static void check_values(const op_case *c, const char *what, int i, const double *got, const double *want, int64_t n)
{
    assert_true(!got == !want);
    if (!got) return;
    const double allowed = f32_allowance(c, want, n);
    const double off = difference(got, want, n);
    if (!(off <= allowed)) fail_msg("%s: %s %d differs by %.3g (allowed %.3g)", c->label, what, i + 1, off, allowed);
}

static case_result run_on(const op_case *c, dr_device *device, dr_dtype dtype)
{
    const case_run run = { .device = device,
                           .dtype = dtype,
                           .layout = dtype == DR_F64 ? DR_LAYOUT_ROW : DR_LAYOUT_CL,
                           .need = ~0u,
                           .wide = dtype == DR_BF16 ? 6 : 0, /* weights in f32 */
                           .nudged = -1 };
    case_result result;
    if (!run_case(c, &run, &result)) fail_msg("%s: %s", c->label, dr_error_message());
    return result;
}

static void check_output(const op_case *c, const char *const *forms, int n)
{
    case_run run = { .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_ROW, .nudged = -1 };
    case_result want, got;
    if (!run_case(c, &run, &want)) fail_msg("%s: %s", c->label, dr_error_message());
    run.device = cpu, run.dtype = DR_F32, run.layout = DR_LAYOUT_CL;
    for (int f = 0; f < n; f++) {
        setenv("DRIFT_CPU_CONV", forms[f], 1);
        if (!run_case(c, &run, &got)) fail_msg("%s: %s", c->label, dr_error_message());
        check_values(c, forms[f], 0, got.out[0], want.out[0], view_count(&want.view[0]));
        free_result(&got);
    }
    unsetenv("DRIFT_CPU_CONV");
    free_result(&want);
}

static void check(const op_case *c, const char *const *forms, int n)
{
    case_result want = run_on(c, ref, DR_F64);
    for (int f = 0; f < n; f++) {
        setenv("DRIFT_CPU_CONV", forms[f], 1);
        case_result got = run_on(c, cpu, DR_F32);
        check_values(c, forms[f], 0, got.out[0], want.out[0], view_count(&want.view[0]));
        for (int i = 0; i < c->n_in; i++)
            check_values(c, forms[f], i + 1, got.grad[i], want.grad[i], input_count(&c->in[i]));
        free_result(&got);
    }
    unsetenv("DRIFT_CPU_CONV");
    free_result(&want);
}

/* In bf16, weights in f32: outputs and the gradient of x are rounded once, oneDNN's weights also (2^-9 of each term, of
 * which many cancel); a gradient of a weight comes from an upstream gradient that is rounded, as ref's is not. With an
 * activation the gradient goes by parts, which round between: those are held to ref by other tests. */
static void check_in_bf16(const op_case *c, const char *const *forms, int n, bool gradients)
{
    case_run run = { .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_ROW, .round = true, .rounded_to = DR_BF16,
                     .need = gradients ? ~0u : 0, .nudged = -1 };
    case_result want, got;
    if (!dr_device_kernel(cpu, c->op, DR_BF16)) return;
    if (!run_case(c, &run, &want)) fail_msg("%s: %s", c->label, dr_error_message());
    run.device = cpu, run.dtype = DR_BF16, run.layout = DR_LAYOUT_CL;
    run.wide = 6;
    for (int f = 0; f < n; f++) {
        setenv("DRIFT_CPU_CONV", forms[f], 1);
        if (!run_case(c, &run, &got)) fail_msg("%s: %s", c->label, dr_error_message());
        const double most = largest(want.out[0], view_count(&want.view[0]));
        for (int64_t k = 0; k < view_count(&want.view[0]); k++) {
            const double off = fabs(got.out[0][k] - want.out[0][k]);
            if (!(off <= fabs(want.out[0][k]) / 256.0 + 1e-4 * most))
                fail_msg("%s, %s in bf16: output %lld is %.9g, should be %.9g", c->label, forms[f], (long long)k,
                         got.out[0][k], want.out[0][k]);
        }
        for (int i = 0; gradients && i < c->n_in; i++) {
            const double off = difference(got.grad[i], want.grad[i], input_count(&c->in[i]));
            const double allowed = 2.0 / 512.0 * largest(want.grad[i], input_count(&c->in[i]));
            if (!(off <= allowed))
                fail_msg("%s, %s in bf16: gradient %d is off by %.3g (allowed %.3g)", c->label, forms[f], i + 1, off,
                         allowed);
        }
        free_result(&got);
    }
    unsetenv("DRIFT_CPU_CONV");
    free_result(&want);
}

static const char *const forms[] = { "onednn", "outer", "winograd", "winograd_small" };

static void every_form_gives_the_sum(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        const dr_conv2d_attr attr = { .stride = shapes[i].stride, .padding = shapes[i].padding };
        const op_case c = case_of(&shapes[i], "conv2d", &attr);
        check(&c, forms, 4);
        check_in_bf16(&c, forms, 4, true);
    }
}

static void every_form_gives_the_transposed_sum(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        const shape *s = &shapes[i];
        if (s->padding > 1) continue; /* less is left than one pixel, for some */
        const dr_conv_transpose2d_attr attr = { .stride = s->stride, .padding = s->padding };
        const op_case c = case_of(s, "conv_transpose2d", &attr);
        check(&c, forms, 4);
        check_in_bf16(&c, forms, 4, true);
    }
}

static void every_form_has_the_epilogue(void **state)
{
    (void)state;
    int checked = 0;
    for (int k = 0; k < op_case_count(); k++) {
        const op_case *c = op_case_at(k);
        if (strcmp(c->op, "conv2d_act") != 0 && strcmp(c->op, "conv_transpose2d_act") != 0) continue;
        check_output(c, forms, 4);
        check_in_bf16(c, forms, 4, false);
        checked++;
    }
    assert_true(checked > 50);
}

/* Images of 16 MiB and more are written past the caches, whatever follows the sums: against oneDNN's, which are held to
 * ref elsewhere. */
static void large_images(void **state)
{
    (void)state;
    const dr_dtype dtypes[] = { DR_F32, DR_BF16 };
    for (int i = 0; i < 2; i++)
        for (int with = 0; with < 3; with++) { /* nothing, an activation, both */
            const shape s = { i ? 336 : 168, 8, 64, 20, 20, 3, 1, 1 };
            const dr_conv2d_act_attr attr = { .stride = 1, .padding = 1, .act = with ? DR_ACT_GELU : DR_ACT_NONE };
            op_case c = case_of(&s, "conv2d_act", &attr);
            if (with == 2) c.n_in = 4, c.in[3] = (case_input){ NORMAL, 4, { s.B / 2, s.Co, s.H, s.W }, 0, false };
            const case_run run = { .device = cpu, .dtype = dtypes[i], .layout = DR_LAYOUT_CL, .nudged = -1, .wide = 6 };
            case_result want, got;
            if (!dr_device_kernel(cpu, c.op, dtypes[i])) continue;
            setenv("DRIFT_CPU_CONV", "onednn", 1);
            if (!run_case(&c, &run, &want)) fail_msg("%s: %s", c.label, dr_error_message());
            const dr_conv2d_act_attr other = { .stride = 1, .padding = 1, .act = DR_ACT_RELU };
            op_case between = c; /* lest what was right stays in memory that is used again */
            between.attr = &other;
            if (!run_case(&between, &run, &got)) fail_msg("%s: %s", c.label, dr_error_message());
            free_result(&got);
            setenv("DRIFT_CPU_CONV", "winograd", 1);
            if (!run_case(&c, &run, &got)) fail_msg("%s: %s", c.label, dr_error_message());
            const int64_t n = view_count(&want.view[0]);
            assert_true(difference(got.out[0], want.out[0], n) > 0);
            assert_true(difference(got.out[0], want.out[0], n) < (i ? 2.0 / 256.0 : 1e-5) * largest(want.out[0], n));
            free_result(&want);
            free_result(&got);
        }
    unsetenv("DRIFT_CPU_CONV");
}

/* One form is a choice only if what it is forced to be is what runs: their roundings differ. */
static void a_forced_form_runs_in(dr_dtype dtype)
{
    if (!dr_device_kernel(cpu, "conv2d", dtype)) return;
    const shape s = { 2, 32, 32, 12, 12, 3, 1, 1 };
    const dr_conv2d_attr attr = { .stride = 1, .padding = 1 };
    const op_case c = case_of(&s, "conv2d", &attr);
    case_result first = { 0 };
    for (int f = 0; f < 4; f++) {
        if (f == 1) continue; /* of weights alone */
        setenv("DRIFT_CPU_CONV", forms[f], 1);
        case_result got = run_on(&c, cpu, dtype);
        if (f == 0) first = got;
        for (int i = 0; f > 0 && i < 2; i++)
            assert_true(difference(got.grad[i], first.grad[i], input_count(&c.in[i])) > 0);
        if (f > 0) assert_true(difference(got.out[0], first.out[0], view_count(&got.view[0])) > 0);
        if (f > 0) free_result(&got);
    }
    unsetenv("DRIFT_CPU_CONV");
    free_result(&first);
}

static void a_forced_form_runs(void **state)
{
    (void)state;
    a_forced_form_runs_in(DR_F32);
    a_forced_form_runs_in(DR_BF16);
}

static void threads_change_no_bit_in(dr_dtype dtype)
{
    if (!dr_device_kernel(cpu, "conv2d", dtype)) return;
    const shape some[] = { { 40, 24, 40, 14, 13, 3, 1, 1 }, { 40, 16, 24, 16, 14, 4, 2, 1 } };
    dr_device *on[3] = { dr_device_open("cpu", DR_ARGS(DR_I("threads", 1))), NULL, NULL };
    for (int i = 0; i < 2; i++) {
        const dr_conv2d_attr attr = { .stride = some[i].stride, .padding = 1 };
        const op_case c = case_of(&some[i], "conv2d", &attr);
        for (int f = 2; f < 4; f++) {
            setenv("DRIFT_CPU_CONV", forms[f], 1);
            case_result result[3];
            for (int k = 0; k < 3; k++) { /* opening a device sets the number of threads */
                on[k] = dr_device_open("cpu", DR_ARGS(DR_I("threads", k + 1)));
                result[k] = run_on(&c, on[k], dtype);
            }
            for (int k = 1; k < 3; k++) {
                assert_true(difference(result[k].out[0], result[0].out[0], view_count(&result[0].view[0])) == 0);
                for (int j = 0; j < 3; j++)
                    assert_true(difference(result[k].grad[j], result[0].grad[j], input_count(&c.in[j])) == 0);
            }
            for (int k = 0; k < 3; k++) free_result(&result[k]);
        }
    }
    unsetenv("DRIFT_CPU_CONV");
    cpu = dr_device_open("cpu", DR_ARGS(DR_I("threads", 2)));
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    threads_change_no_bit_in(DR_F32);
    threads_change_no_bit_in(DR_BF16);
}

/* ---- choices ----------------------------------------------------------------------------------------------------- */

/* The one file of choices; false: there is none. Its text, up to its end, in `text`. */
static bool read_choices(char *path, char *text, size_t bytes)
{
    char pattern[4096];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/drift/convolutions-*.txt", getenv("XDG_CACHE_HOME"));
    if (glob(pattern, 0, NULL, &found) != 0) return false;
    assert_int_equal(found.gl_pathc, 1);
    strcpy(path, found.gl_pathv[0]);
    globfree(&found);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, bytes - 1, f)] = '\0';
    fclose(f);
    return true;
}

static void write_choices(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* A shape of its own for each, since what was read or measured is not read again. 0.3 thousand million products. */
static case_result run_large_in(dr_dtype dtype, int64_t B)
{
    const shape s = { B, 32, 32, 28, 28, 3, 1, 1 };
    const dr_conv2d_attr attr = { .stride = 1, .padding = 1 };
    op_case c = case_of(&s, "conv2d", &attr);
    const case_run run = { .device = cpu, .dtype = dtype, .wide = 6, .layout = DR_LAYOUT_CL, .need = 0, .nudged = -1 };
    case_result result;
    if (!run_case(&c, &run, &result)) fail_msg("%s", dr_error_message());
    return result;
}

static case_result run_large(int64_t B) { return run_large_in(DR_F32, B); }

static void choices_are_measured_once_and_written(void **state)
{
    (void)state;
    char path[4096], text[8192], again[8192];
    case_result small = run_large(40); /* DRIFT_CPU_TUNE=off, as tests have it */
    free_result(&small);
    assert_false(read_choices(path, text, sizeof text));

    setenv("DRIFT_CPU_TUNE", "on", 1);
    case_result measured = run_large(41);
    assert_true(read_choices(path, text, sizeof text));
    assert_non_null(strstr(text, "\n1 0 41 32 28 28 32 3 1 1 1 2 "));
    case_result known = run_large(41);
    assert_true(read_choices(path, again, sizeof again));
    assert_string_equal(text, again);
    assert_true(difference(measured.out[0], known.out[0], view_count(&known.view[0])) == 0);
    free_result(&measured);
    free_result(&known);
    if (dr_device_kernel(cpu, "conv2d", DR_BF16)) { /* a choice of its own */
        case_result narrow = run_large_in(DR_BF16, 41);
        assert_true(read_choices(path, again, sizeof again));
        assert_non_null(strstr(again, "\n1 2 41 32 28 28 32 3 1 1 1 2 "));
        free_result(&narrow);
    }
    setenv("DRIFT_CPU_TUNE", "off", 1);
}

/* What other processes wrote is kept; another file's lines are read; one that is damaged, or of another processor, is
 * not. */
static void choices_are_read(void **state)
{
    (void)state;
    char path[4096], text[8192], more[8400];
    assert_true(read_choices(path, text, sizeof text));
    setenv("DRIFT_CPU_CONV", "winograd_small", 1);
    case_result want = run_large(43);
    unsetenv("DRIFT_CPU_CONV");

    snprintf(more, sizeof more, "%s1 0 43 32 28 28 32 3 1 1 1 2 winograd_small\n", text);
    write_choices(path, more);
    setenv("DRIFT_CPU_TUNE", "on", 1);
    case_result other = run_large(42); /* measured: reads and writes the file */
    free_result(&other);
    case_result got = run_large(43);
    assert_true(difference(got.out[0], want.out[0], view_count(&got.view[0])) == 0);
    free_result(&got);
    free_result(&want);
    assert_true(read_choices(path, text, sizeof text));
    assert_non_null(strstr(text, "\n1 0 43 32 28 28 32 3 1 1 1 2 winograd_small\n"));
    assert_non_null(strstr(text, "\n1 0 42 32"));

    snprintf(more, sizeof more, "%s1 0 44 32 28 28 32 3 1 1 1 2 winograd_sm", text); /* cut short */
    write_choices(path, more);
    other = run_large(45);
    free_result(&other);
    assert_true(read_choices(path, text, sizeof text));
    assert_non_null(strstr(text, "\n1 0 43 32"));
    assert_non_null(strstr(text, "\n1 0 45 32"));
    assert_null(strstr(text, "\n1 0 44 32"));

    snprintf(more, sizeof more, "another %s1 0 46 32 28 28 32 3 1 1 1 2 winograd_small\n", text);
    write_choices(path, more);
    other = run_large(47);
    free_result(&other);
    assert_true(read_choices(path, text, sizeof text));
    assert_non_null(strstr(text, "\n1 0 47 32"));
    assert_null(strstr(text, "\n1 0 46 32"));
    assert_null(strstr(text, "another"));
    setenv("DRIFT_CPU_TUNE", "off", 1);
}

/* Weights that no cache holds are transformed panel by panel: several panels, tiles, and blocks of tiles. */
static void large_weights_go_by_panels(void **state)
{
    static const shape large[] = {
        { 1, 256, 288, 8, 9, 3, 1, 1 }, { 33, 256, 288, 5, 5, 3, 1, 1 }, { 30, 2600, 32, 5, 5, 3, 1, 1 }, { 1, 300, 300, 9, 7, 4, 2, 1 }
    };
    (void)state;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        const dr_conv2d_attr attr = { large[i].stride, large[i].padding };
        const op_case c = case_of(&large[i], "conv2d", &attr);
        case_run run = { .device = cpu, .dtype = DR_F32, .layout = DR_LAYOUT_CL, .nudged = -1 };
        case_result want, got;
        setenv("DRIFT_CPU_CONV", "onednn", 1);
        if (!run_case(&c, &run, &want)) fail_msg("%s: %s", c.label, dr_error_message());
        setenv("DRIFT_CPU_CONV", "winograd", 1);
        if (!run_case(&c, &run, &got)) fail_msg("%s: %s", c.label, dr_error_message());
        unsetenv("DRIFT_CPU_CONV");
        const int64_t n = view_count(&want.view[0]);
        const double off = difference(got.out[0], want.out[0], n);
        if (!(off <= 2e-5 * largest(want.out[0], n))) fail_msg("%s: off by %g", c.label, off);
        free_result(&want);
        free_result(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_weights_go_by_panels),
        cmocka_unit_test(every_form_gives_the_sum),
        cmocka_unit_test(every_form_gives_the_transposed_sum),
        cmocka_unit_test(every_form_has_the_epilogue),
        cmocka_unit_test(large_images),
        cmocka_unit_test(a_forced_form_runs),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(choices_are_measured_once_and_written),
        cmocka_unit_test(choices_are_read),
    };
    return cmocka_run_group_tests(tests, open_with_two_threads, close_all);
}
