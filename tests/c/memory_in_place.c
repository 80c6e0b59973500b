/* Tensors of memory that is somebody else's: nothing is copied, nothing can write to them, kernels are told that they
 * are frozen, and their owner and the backend are told when they go, also where a plan holds them. */
#include "../host.h"
#include "plan.h"

enum { ROWS = 3, COLUMNS = 4 };

typedef struct owner {
    float values[ROWS * COLUMNS];
    int gone;
    const void *packed;
    size_t bytes;
} owner;

static const void *forgotten;

static void gone(void *ctx) { ((owner *)ctx)->gone++; }

static void packed(void *ctx, const void *data, size_t bytes)
{
    ((owner *)ctx)->packed = data;
    ((owner *)ctx)->bytes = bytes;
}

static void forget(void *self, const void *data, size_t bytes)
{
    (void)self, (void)bytes;
    forgotten = data;
}

static dr_tensor *weight_of(owner *o)
{
    for (int i = 0; i < ROWS * COLUMNS; i++) o->values[i] = (float)i;
    dr_view v = { .dtype = DR_F32, .rank = 2, .shape = { ROWS, COLUMNS }, .data = o->values };
    dr_view_lay(&v, DR_LAYOUT_ROW);
    return dr_tensor_in_place(&v, &(dr_memory_keeper){ gone, packed, o });
}

static void it_is_read_where_it_lies_until_the_last_tensor_goes(void **state)
{
    (void)state;
    owner o = { .gone = 0 };
    size_t before, after;
    dr_device_current()->api_read.forget = forget;
    forgotten = NULL;
    dr_device_memory(dr_device_current(), &before, NULL, NULL);
    dr_tensor *w = dr_keep(weight_of(&o));
    dr_device_memory(dr_device_current(), &after, NULL, NULL);
    assert_true(after == before && dr_tensor_view(w)->data == o.values);
    dr_scope_open();
    dr_tensor *view = dr_keep(dr_slice(w, 0, 1, 2));
    assert_true(dr_tensor_item(dr_sum(view, 0, NULL, false)) == 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11);
    dr_scope_close();
    dr_release(w);
    assert_true(o.gone == 0 && !forgotten);
    dr_release(view);
    assert_true(o.gone == 1 && forgotten == o.values);
    dr_device_current()->api_read.forget = NULL;
}

static void nothing_writes_to_it(void **state)
{
    (void)state;
    owner o = { .gone = 0 };
    const float other[ROWS * COLUMNS] = { 0 };
    dr_scope_open();
    dr_tensor *w = weight_of(&o), *plain = dr_tensor_full(DR_F32, DR_SHAPE(ROWS, COLUMNS), 0.0);
    assert_true(dr_tensor_write(w, DR_F32, other) != DR_OK);
    assert_error_has("cannot be written to");
    assert_true(dr_fill(w, 7.0) != DR_OK);
    assert_error_has("fill: input 1 is a weight as it lies in a file");
    assert_true(dr_assign(w, plain) != DR_OK);
    assert_error_has("cannot be written to");
    assert_true(dr_assign(dr_slice(w, 0, 0, 1), plain) != DR_OK);
    dr_error_clear();
    for (int i = 0; i < ROWS * COLUMNS; i++) assert_true(o.values[i] == (float)i);
    assert_int_equal(dr_assign(plain, w), DR_OK); /* reading it is not writing */
    assert_true(dr_tensor_item(dr_sum(plain, 0, NULL, false)) == 66.0);
    dr_scope_close();
    assert_int_equal(o.gone, 1);
}

static uint64_t frozen;

static void note_frozen(void *ctx, const dr_launch *l, double start, double seconds)
{
    (void)ctx, (void)start, (void)seconds;
    if (strcmp(l->args.op, "linear") == 0) frozen = l->args.frozen;
}

static dr_status project(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    out[0] = dr_keep(dr_linear(in[0], ctx, NULL));
    *n_out = 1;
    return dr_failed();
}

/* Also in a replay, whose recording holds it. */
static void kernels_are_told(void **state)
{
    (void)state;
    owner o = { .gone = 0 };
    dr_plan *p = dr_plan_new("project", 100);
    dr_scope_open();
    dr_tensor *w = dr_keep(weight_of(&o));
    dr_set_launch_hook(note_frozen, NULL);
    for (int i = 0; i < 5; i++) {
        dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(2, COLUMNS), 1.0 + i), *out[DR_PLAN_OUTPUTS];
        dr_plan_call c = { .fn = project, .ctx = w, .in = &x, .n_in = 1 };
        int n_out;
        frozen = 0;
        assert_int_equal(dr_plan_run(p, &c, out, &n_out), DR_OK);
        assert_true(frozen == 2);
        float y[2 * ROWS];
        assert_int_equal(dr_tensor_read(out[0], DR_F32, y), DR_OK);
        assert_true(y[0] == 6.0f * (float)(1 + i) && y[2] == 38.0f * (float)(1 + i));
        dr_release(out[0]);
    }
    assert_true(dr_plan_look(p).replayed > 0);
    dr_set_launch_hook(NULL, NULL);
    dr_scope_close();
    dr_release(w);
    assert_int_equal(o.gone, 0); /* the plan's */
    dr_plan_free(p);
    assert_int_equal(o.gone, 1);
}

static dr_status project_by_its_own(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    out[0] = dr_keep(dr_linear(in[0], weight_of(ctx), NULL));
    *n_out = 1;
    return dr_failed();
}

/* Memory that a function gets from outside at each call is not the plan's to lay out. */
static void a_plan_never_takes_it_for_memory_of_its_own(void **state)
{
    (void)state;
    owner o = { .gone = 0 };
    dr_plan *p = dr_plan_new("project", 100);
    dr_scope_open();
    for (int i = 0; i < 5; i++) {
        dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(2, COLUMNS), 1.0), *out[DR_PLAN_OUTPUTS];
        dr_plan_call c = { .fn = project_by_its_own, .ctx = &o, .in = &x, .n_in = 1 };
        int n_out;
        assert_int_equal(dr_plan_run(p, &c, out, &n_out), DR_OK);
        dr_release(out[0]);
    }
    assert_true(dr_plan_look(p).replayed == 0 && strstr(dr_plan_look(p).reason, "comes from outside"));
    dr_scope_close();
    dr_plan_free(p);
    assert_int_equal(o.gone, 5);
}

static void its_owner_learns_what_is_packed(void **state)
{
    (void)state;
    owner o = { .gone = 0 };
    float elsewhere = 0;
    dr_scope_open();
    weight_of(&o);
    dr_weight_packed(&elsewhere, sizeof elsewhere);
    assert_null(o.packed);
    dr_weight_packed(o.values + 4, 1000000);
    assert_true(o.packed == o.values + 4 && o.bytes == sizeof o.values - 4 * sizeof *o.values);
    dr_scope_close();
    dr_weight_packed(o.values, 4);
    assert_true(o.packed == o.values + 4 && o.gone == 1);
}

static void what_cannot_be_is_refused_and_given_back(void **state)
{
    (void)state;
    owner o = { .gone = 0 };
    const dr_memory_keeper keeper = { gone, packed, &o };
    dr_view v = { .dtype = DR_F32, .rank = 1, .shape = { 2 }, .stride = { 1 }, .data = (char *)o.values + 2 };
    assert_null(dr_tensor_in_place(&v, &keeper));
    assert_error_has("whole element");
    v.data = o.values;
    v.stride[0] = 2;
    assert_null(dr_tensor_in_place(&v, &keeper));
    assert_error_has("dense memory");
    assert_int_equal(o.gone, 2);
}

static void a_device_of_its_own_memory_gets_a_copy(void **state)
{
    (void)state;
    owner o = { .gone = 0 };
    dr_device *d = dr_device_current();
    d->api_read.flags &= ~(uint32_t)DR_BACKEND_HOST_MEMORY;
    dr_scope_open();
    dr_tensor *w = weight_of(&o);
    assert_true(o.gone == 1 && dr_tensor_view(w)->data != o.values && dr_tensor_is_frozen(w));
    o.values[0] = 1000;
    assert_true(dr_tensor_item(dr_sum(w, 0, NULL, false)) == 66.0);
    assert_true(dr_fill(w, 7.0) != DR_OK);
    assert_error_has("cannot be written to");
    dr_scope_close();
    d->api_read.flags |= DR_BACKEND_HOST_MEMORY;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_read_where_it_lies_until_the_last_tensor_goes),
        cmocka_unit_test(nothing_writes_to_it),
        cmocka_unit_test(kernels_are_told),
        cmocka_unit_test(a_plan_never_takes_it_for_memory_of_its_own),
        cmocka_unit_test(its_owner_learns_what_is_packed),
        cmocka_unit_test(what_cannot_be_is_refused_and_given_back),
        cmocka_unit_test(a_device_of_its_own_memory_gets_a_copy),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
