/* What a profile counts: FLOP by shapes, also of fused forms by their names; bytes once each; sums by op and shapes;
 * repeats; and a trace that stops at its limit of events, is whole after every block, and closes what was left open. */
#include "drift.h"
#include "../host.h"

#include <jansson.h>

static dr_view view(int dtype, int rank, const int64_t *shape)
{
    dr_view v = { .dtype = dtype, .rank = rank };
    for (int i = 0; i < rank; i++) v.shape[i] = shape[i];
    dr_view_lay(&v, DR_LAYOUT_ROW);
    return v;
}
#define VIEW(...) view(DR_F32, (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[]){ __VA_ARGS__ })

static double flop(const char *op, dr_view a, dr_view b, dr_view y, const void *attr)
{
    const dr_view in[] = { a, b };
    const dr_launch l = { .args = { .size = sizeof(dr_kargs), .n_in = 2, .n_out = 1, .in = (dr_view *)in, .out = &y,
                                    .attr = attr, .op = op } };
    return dr_launch_flop(&l);
}

static void products_count_by_their_shapes(void **state)
{
    (void)state;
    const dr_view x = VIEW(2, 3, 8, 8), y = VIEW(2, 5, 4, 4), w = VIEW(5, 3, 3, 3), wt = VIEW(3, 5, 3, 3);
    const double conv = 2.0 * 2 * 5 * 4 * 4 * 3 * 9;       /* of x -> y at stride 2, and of each of its gradients */
    const double transposed = 2.0 * 2 * 3 * 8 * 8 * 5 * 9; /* x spreads to 5 channels */
    assert_true(flop("conv2d", x, w, y, NULL) == conv);
    assert_true(flop("conv2d_backward_data", y, w, x, NULL) == conv);
    assert_true(flop("conv2d_backward_weight", x, y, w, NULL) == conv);
    assert_true(flop("conv_transpose2d", x, wt, VIEW(2, 5, 17, 17), NULL) == transposed);
    assert_true(flop("conv_transpose2d_backward_data", VIEW(2, 5, 17, 17), wt, x, NULL) == transposed);
    assert_true(flop("conv_transpose2d_backward_weight", x, VIEW(2, 5, 17, 17), wt, NULL) == transposed);
    assert_true(flop("conv2d_gelu", x, w, y, NULL) == conv); /* a fused form */
    assert_true(flop("conv2dx", x, w, y, NULL) == 0.0);      /* not one */
    assert_true(flop("add", x, x, x, NULL) == 0.0);
    assert_true(flop("linear", VIEW(7, 3), VIEW(5, 3), VIEW(7, 5), NULL) == 2.0 * 7 * 3 * 5);
    assert_true(flop("matmul", VIEW(4, 7, 3), VIEW(4, 3, 5), VIEW(4, 7, 5), NULL) == 2.0 * 4 * 7 * 3 * 5);
    const dr_matmul_attr transpose = { .transpose_a = 1 };
    assert_true(flop("matmul", VIEW(3, 7), VIEW(3, 5), VIEW(7, 5), &transpose) == 2.0 * 7 * 3 * 5);
    const dr_view q = VIEW(2, 4, 6, 8), k = VIEW(2, 4, 9, 8);
    assert_true(flop("attention", q, k, q, NULL) == 4.0 * 2 * 4 * 6 * 9 * 8);
}

static void bytes_count_once(void **state)
{
    (void)state;
    dr_view in[] = { VIEW(4, 100), VIEW(4, 100), { .rank = -1 } }, out = view(DR_BF16, 2, (int64_t[]){ 4, 100 });
    in[1].stride[0] = 0; /* one row, repeated */
    const dr_launch l = { .args = { .n_in = 3, .n_out = 1, .in = in, .out = &out, .op = "x" } };
    assert_true(dr_launch_bytes(&l) == 1600.0 + 400.0 + 800.0);
}

static dr_tensor *some(int64_t n) { return dr_tensor_full(DR_F32, DR_SHAPE(n), 2.0); }

static void launches_add_up_by_op_and_shapes(void **state)
{
    (void)state;
    dr_tensor *a = some(100), *b = some(200);
    assert_int_equal(dr_profile_open(NULL, 0), DR_OK);
    assert_true(dr_profile_is_open());
    for (int i = 0; i < 3; i++) dr_add(a, a);
    dr_add(b, b);
    assert_int_equal(dr_profile_close(), DR_OK);
    dr_add(a, a); /* no longer counted */
    assert_int_equal(dr_profile_count(), 2);
    const dr_profile_row *small = dr_profile_at(0), *large = dr_profile_at(1);
    assert_string_equal(small->op, "add");
    assert_string_equal(small->shapes, "f32[100] f32[100] -> f32[100]");
    assert_string_equal(small->dtype, "f32");
    assert_int_equal(small->calls, 3);
    assert_true(small->bytes == 3 * 3 * 400.0);
    assert_true(small->seconds > 0 && small->least > 0 && 3 * small->least <= small->seconds * (1 + 1e-9));
    assert_int_equal(large->calls, 1);
    assert_true(large->bytes == 3 * 800.0);
    assert_null(dr_profile_at(2));
}

static void repeats_change_no_result(void **state)
{
    (void)state;
    dr_tensor *x = some(4);
    float back[4];
    assert_int_equal(dr_profile_open(NULL, 0), DR_OK);
    dr_profile_repeat(7);
    dr_tensor *y = dr_add(x, x);
    dr_assign(x, y); /* in place: once */
    dr_tensor *average = some(4); /* what moves with each run shows it: 0.5 2 + 0.5 4 */
    dr_tensor *decay = dr_tensor_from(DR_F64, 0, NULL, &(double){ 0.5 });
    dr_apply("ema_step", (dr_tensor *[]){ decay, average, x }, 3, NULL, NULL);
    assert_int_equal(dr_profile_close(), DR_OK);
    assert_int_equal(dr_profile_at(0)->calls, 1);
    assert_int_equal(dr_tensor_read(dr_add(x, y), DR_F32, back), DR_OK);
    assert_true(back[0] == 8.0F);
    assert_int_equal(dr_tensor_read(average, DR_F32, back), DR_OK);
    assert_true(back[0] == 3.0f);
}

static json_t *events_of(const char *path)
{
    json_error_t error;
    json_t *document = json_load_file(path, 0, &error);
    if (!document) fail_msg("%s:%d: %s", path, error.line, error.text);
    return document;
}

static int count(json_t *document, const char *name)
{
    int n = 0;
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(document, "traceEvents"), i, event)
        n += strcmp(json_string_value(json_object_get(event, "name")), name) == 0;
    return n;
}

static void swallow(void *ctx, const char *line) { snprintf(ctx, 256, "%s", line); }

static void a_trace_stops_at_its_limit(void **state)
{
    (void)state;
    char note[256] = "";
    dr_tensor *x = some(10);
    dr_set_note_sink(swallow, note);
    assert_int_equal(dr_profile_open("limited.json", 5), DR_OK);
    for (int i = 0; i < 9; i++) dr_add(x, x);
    assert_int_equal(dr_profile_close(), DR_OK);
    dr_set_note_sink(NULL, NULL);
    json_t *document = events_of("limited.json");
    assert_int_equal(count(document, "add"), 5);
    assert_int_equal(count(document, "4 further events are left out"), 1);
    json_decref(document);
    assert_non_null(strstr(note, "4 further ones"));
    assert_int_equal(dr_profile_at(0)->calls, 9); /* the sums have all */
}

static void a_trace_is_whole_at_any_time(void **state)
{
    (void)state;
    dr_tensor *x = some(10);
    int last = 0;
    assert_int_equal(dr_profile_open("growing.json", 100000), DR_OK);
    for (int i = 0; i < 1000; i++) { /* several blocks */
        dr_add(x, x);
        if (i % 50 > 0) continue;
        json_t *document = events_of("growing.json");
        const int n = count(document, "add");
        assert_true(n >= last && n <= i + 1);
        last = n;
        json_decref(document);
    }
    assert_true(last > 500);
    assert_int_equal(dr_profile_close(), DR_OK);
    json_t *document = events_of("growing.json");
    assert_int_equal(count(document, "add"), 1000);
    json_decref(document);
}

static void phases_end_with_those_around_them(void **state)
{
    (void)state;
    assert_int_equal(dr_profile_begin("before"), -1); /* none is open */
    assert_int_equal(dr_profile_open("phases.json", 100), DR_OK);
    const int outer = dr_profile_begin("outer");
    dr_profile_begin("quote \" and \\ and \xff");
    dr_profile_begin("inner");
    dr_profile_end(outer);
    for (int i = 0; i < 200; i++) dr_profile_begin("deep"); /* deeper than are kept */
    assert_int_equal(dr_profile_close(), DR_OK);
    json_t *document = events_of("phases.json");
    assert_int_equal(count(document, "outer"), 1);
    assert_int_equal(count(document, "inner"), 1);
    assert_int_equal(count(document, "?"), 1); /* a name that is not UTF-8 */
    assert_in_range(count(document, "deep"), 10, 96);
    json_decref(document);
}

static void files_that_cannot_be_written_are_errors(void **state)
{
    (void)state;
    assert_int_equal(dr_profile_open("none/trace.json", 10), DR_EIO);
    assert_error_has("none/trace.json cannot be written");
    assert_false(dr_profile_is_open());
    assert_int_equal(dr_profile_open("twice.json", 10), DR_OK);
    assert_int_equal(dr_profile_open("again.json", 10), DR_EINVAL);
    dr_error_clear();
    assert_int_equal(dr_profile_close(), DR_OK);
    assert_int_equal(dr_profile_open("/dev/full", 10), DR_EIO);
    assert_error_has("/dev/full cannot be written");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_count_by_their_shapes),
        cmocka_unit_test(bytes_count_once),
        cmocka_unit_test(launches_add_up_by_op_and_shapes),
        cmocka_unit_test(repeats_change_no_result),
        cmocka_unit_test(a_trace_stops_at_its_limit),
        cmocka_unit_test(a_trace_is_whole_at_any_time),
        cmocka_unit_test(phases_end_with_those_around_them),
        cmocka_unit_test(files_that_cannot_be_written_are_errors),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
