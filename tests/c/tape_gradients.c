/* The tape: gradients add up over paths and calls, memory that backward does not need is given back, and a graph is
 * walked once. Each op's own gradient is held to finite differences in tests/ops. */
#include "../host.h"
#include "tensor.h"

static dr_tensor *leaf(double value) { return dr_requires_grad(dr_tensor_full(DR_F32, DR_SHAPE(3), value), true); }

static dr_tensor *total(dr_tensor *x) { return dr_sum(x, 0, NULL, false); }

static double grad_at_0(dr_tensor *t)
{
    float g[3] = { -99, -99, -99 };
    if (!dr_grad(t)) return -1000;
    dr_tensor_read(dr_grad(t), DR_F32, g);
    return g[0];
}

static void both_paths_to_a_leaf_add_up(void **state)
{
    (void)state;
    dr_tensor *x = leaf(3.0), *y = leaf(5.0);
    dr_tensor *loss = total(dr_add(dr_mul(x, y), dr_mul(x, x))); /* dx = y + 2x, dy = x */
    assert_int_equal(dr_backward(loss, NULL), DR_OK);
    assert_true(grad_at_0(x) == 11.0);
    assert_true(grad_at_0(y) == 3.0);
}

/* A result that is used twice has two gradients to add up before its own op's backward may run, once. */
static void both_paths_to_a_result_add_up(void **state)
{
    (void)state;
    dr_tensor *x = leaf(3.0), *square = dr_mul(x, x), *late = dr_scale(2.0, dr_scale(5.0, square));
    assert_int_equal(dr_backward(total(dr_add(dr_mul(square, square), late)), NULL), DR_OK); /* x^4 + 10 x^2 */
    assert_true(grad_at_0(x) == 4 * 27.0 + 20 * 3.0);
}

/* h_i is the sum of all h before it, in falling and in rising order: 2^(i-1) x, over as many paths. Many results wait
 * for their gradients at once, and one that goes before its turn has not all of them. */
static void all_paths_of_a_dense_graph_add_up(void **state)
{
    enum { N = 12 };
    (void)state;
    dr_tensor *x = leaf(3.0), *h[N] = { x };
    for (int i = 1; i < N; i++) {
        h[i] = dr_scale(1.0, h[i % 2 ? i - 1 : 0]);
        for (int j = 1; j < i; j++) h[i] = dr_add(h[i], h[i % 2 ? i - 1 - j : j]);
    }
    assert_int_equal(dr_backward(total(h[N - 1]), NULL), DR_OK);
    assert_true(grad_at_0(x) == (double)(1 << (N - 2)));
}

static void calls_add_up_until_zeroed(void **state)
{
    (void)state;
    dr_tensor *x = leaf(2.0);
    for (int i = 0; i < 3; i++) assert_int_equal(dr_backward(total(dr_scale(4.0, x)), NULL), DR_OK);
    assert_true(grad_at_0(x) == 12.0);
    dr_zero_grad(x);
    assert_null(dr_grad(x));
}

static void a_leaf_used_directly_gets_the_gradient_given(void **state)
{
    (void)state;
    dr_tensor *x = leaf(2.0), *dy = dr_tensor_full(DR_F32, DR_SHAPE(3), 7.0);
    assert_int_equal(dr_backward(x, dy), DR_OK);
    assert_true(grad_at_0(x) == 7.0);
}

static void one_gradient_for_two_leaves_is_not_shared_memory(void **state)
{
    (void)state;
    dr_tensor *x = leaf(1.0), *y = leaf(1.0);
    assert_int_equal(dr_backward(total(dr_add(x, y)), NULL), DR_OK);
    dr_fill(dr_grad(x), 42.0);
    assert_true(grad_at_0(y) == 1.0);
}

/* As above, where the gradients that arrive are two views of one dense tensor. */
static void one_gradient_seen_as_two_shapes_is_not_shared_memory(void **state)
{
    (void)state;
    dr_tensor *x = leaf(1.0), *y = leaf(1.0), *factor = dr_tensor_full(DR_F32, DR_SHAPE(3, 1), 2.0);
    dr_tensor *sum = dr_add(dr_reshape(x, DR_SHAPE(3, 1)), dr_reshape(y, DR_SHAPE(3, 1)));
    assert_int_equal(dr_backward(total(dr_mul(sum, factor)), NULL), DR_OK);
    dr_fill(dr_grad(x), 42.0);
    assert_true(grad_at_0(y) == 2.0);
    dr_fill(dr_grad(y), 43.0);
    assert_true(grad_at_0(x) == 42.0);
}

/* A gradient arrives at the output that was used, not at the op's first: here one that passes none on. */
static void a_gradient_goes_to_the_output_that_was_used(void **state)
{
    (void)state;
    dr_tensor *logits = dr_requires_grad(dr_tensor_full(DR_F32, DR_SHAPE(2, 3), 0.5), true);
    dr_tensor *in[] = { logits, dr_tensor_full(DR_I32, DR_SHAPE(2), 1.0) }, *out[DR_OP_MAX_OUT] = { NULL };
    assert_int_equal(dr_apply("cross_entropy", in, 2, &(dr_none_attr){ 0 }, out), DR_OK);
    assert_int_not_equal(dr_backward(dr_slice(dr_slice(out[1], 0, 0, 1), 1, 0, 1), NULL), DR_OK);
    assert_error_has("its log-probabilities pass no gradient on");
}

static void the_gradient_has_the_weights_own_memory_order(void **state)
{
    (void)state;
    dr_tensor *w = dr_requires_grad(dr_tensor_full(DR_F32, DR_SHAPE(2, 3), 1.0), true);
    dr_tensor *turned = dr_permute(w, DR_SHAPE(1, 0));
    assert_int_equal(dr_backward(total(dr_mul(turned, turned)), NULL), DR_OK);
    assert_int_equal(dr_tensor_view(dr_grad(w))->stride[0], 3);
    assert_int_equal(dr_tensor_view(dr_grad(w))->stride[1], 1);
}

static void a_graph_is_walked_once(void **state)
{
    (void)state;
    dr_tensor *x = leaf(2.0), *square = dr_mul(x, x), *loss = total(square);
    assert_int_equal(dr_backward(loss, NULL), DR_OK);
    assert_int_not_equal(dr_backward(loss, NULL), DR_OK);
    assert_error_has("backward has already passed");
    assert_int_not_equal(dr_backward(total(dr_scale(2.0, square)), NULL), DR_OK);
    assert_error_has("backward has already passed");
}

static void without_recording_there_is_nothing_to_walk(void **state)
{
    (void)state;
    dr_tensor *x = leaf(2.0);
    const bool was = dr_grad_mode(false);
    dr_tensor *y = total(dr_mul(x, x));
    dr_grad_mode(was);
    assert_int_not_equal(dr_backward(y, NULL), DR_OK);
    assert_error_has("requires a gradient");
    assert_int_not_equal(dr_backward(dr_detach(dr_mul(x, x)), NULL), DR_OK);
    assert_error_has("requires a gradient");
}

static void a_vector_needs_a_gradient_to_start_from(void **state)
{
    (void)state;
    dr_tensor *y = dr_mul(leaf(2.0), leaf(3.0));
    assert_int_not_equal(dr_backward(y, NULL), DR_OK);
    assert_error_has("f32[3] has 3 elements");
}

static void a_chain_of_a_hundred_thousand_ops_is_freed_without_deep_recursion(void **state)
{
    (void)state;
    size_t before, after;
    dr_device_memory(dr_device_current(), &before, NULL, NULL);
    dr_scope_open();
    dr_tensor *x = leaf(1.0), *y = dr_keep(dr_scale(1.0, x));
    for (int i = 0; i < 100000; i++) {
        dr_scope_open();
        dr_tensor *next = dr_keep(dr_scale(1.0, y));
        dr_release(y);
        y = next;
        dr_scope_close();
    }
    dr_release(y);
    dr_scope_close();
    dr_device_memory(dr_device_current(), &after, NULL, NULL);
    assert_int_equal(before, after);
}

static void only_what_backward_needs_stays_in_memory(void **state)
{
    (void)state;
    size_t before, during;
    dr_device_memory(dr_device_current(), &before, NULL, NULL);
    dr_scope_open();
    dr_tensor *x = dr_requires_grad(dr_tensor_full(DR_F32, DR_SHAPE(1 << 16), 1.0), true);
    dr_scope_open();
    dr_tensor *y = x;
    for (int i = 0; i < 10; i++) y = dr_scale(2.0, y); /* the gradient of a scaling needs neither side */
    dr_escape(y);
    dr_scope_close();
    dr_device_memory(dr_device_current(), &during, NULL, NULL);
    assert_true(during - before < 3 * (4 << 16));
    dr_scope_close();
}

/* y = batch_norm_act(x), loss = sum y w: the product's backward wants y, which is w's gradient. Through a view of y it
 * must be held. Returns the bytes that the forward leaves behind; w's gradient is in dw [2 8 8 8]. */
enum { IMAGE = 2 * 8 * 8 * 8 };
static size_t normalised_product(bool through_a_view, float dw[IMAGE])
{
    size_t before, during;
    const dr_batch_norm_act_attr attr = { .eps = 1e-5, .act = DR_ACT_GELU };
    const dr_rng rng = { .seed = 7 };
    dr_scope_open();
    dr_tensor *x = dr_requires_grad(dr_rand_normal(DR_F32, DR_SHAPE(2, 8, 8, 8), &rng), true);
    dr_tensor *w = dr_requires_grad(dr_tensor_full(DR_F32, DR_SHAPE(2, 8, 8, 8), 0.5), true);
    dr_tensor *gamma = dr_tensor_full(DR_F32, DR_SHAPE(8), 1.5), *beta = dr_tensor_full(DR_F32, DR_SHAPE(8), 0.25);
    dr_device_memory(dr_device_current(), &before, NULL, NULL);
    dr_scope_open();
    dr_tensor *out[DR_OP_MAX_OUT] = { NULL };
    dr_apply("batch_norm_act", (dr_tensor *[]){ x, gamma, beta }, 3, &attr, out);
    dr_tensor *y = through_a_view ? dr_reshape(out[0], DR_SHAPE(2, 8, 8, 8)) : out[0];
    dr_tensor *loss = dr_escape(total(dr_mul(y, w)));
    dr_scope_close();
    dr_device_memory(dr_device_current(), &during, NULL, NULL);
    assert_int_equal(dr_backward(loss, NULL), DR_OK);
    assert_int_equal(dr_tensor_read(dr_grad(w), DR_F32, dw), DR_OK);
    dr_scope_close();
    return during - before;
}

static void what_can_be_made_again_is_not_held(void **state)
{
    (void)state;
    float again[IMAGE], held[IMAGE];
    const size_t less = normalised_product(false, again), more = normalised_product(true, held);
    assert_true(more - less >= IMAGE * sizeof(float));
    for (int i = 0; i < IMAGE; i++) assert_float_equal(again[i], held[i], 1e-6);
}

static void a_device_with_memory_to_spare_keeps_what_could_be_made_again(void **state)
{
    (void)state;
    float again[IMAGE], kept[IMAGE];
    dr_backend *api = &dr_device_current()->api_read;
    const uint32_t flags = api->flags;
    const size_t less = normalised_product(false, again);
    api->flags |= DR_BACKEND_KEEPS_RESULTS;
    const size_t more = normalised_product(false, kept);
    api->flags = flags;
    assert_true(more - less >= IMAGE * sizeof(float));
    for (int i = 0; i < IMAGE; i++) assert_float_equal(again[i], kept[i], 1e-6);
}

static void count_copies(void *ctx, const dr_launch *l, double start, double seconds)
{
    (void)start, (void)seconds;
    if (strcmp(l->args.op, "copy") == 0 || strcmp(l->args.op, "assign") == 0) ++*(int *)ctx;
}

static dr_tensor *image(uint32_t purpose) /* [2,8,4,4], channels-last */
{
    const dr_rng rng = { .seed = 7, .purpose = purpose };
    return dr_requires_grad(dr_contiguous(dr_rand_normal(DR_F32, DR_SHAPE(2, 8, 4, 4), &rng), DR_LAYOUT_CL), true);
}

/* The gradient of two joined images is one image, of which each one's backward reads its channels in place. */
static void gradients_of_joined_images_are_not_copied(void **state)
{
    (void)state;
    enum { N = 2 * 8 * 4 * 4 };
    const dr_batch_norm_act_attr attr = { .eps = 1e-5, .act = DR_ACT_GELU };
    float joined[2][N], apart[2][N];
    int copies = 0;
    for (int k = 0; k < 2; k++) {
        dr_scope_open();
        dr_tensor *x = image(1), *h = image(2), *dy[] = { image(3), image(4) }, *y[2], *out[3];
        dr_tensor *gamma = dr_tensor_full(DR_F32, DR_SHAPE(8), 1.5), *beta = dr_tensor_full(DR_F32, DR_SHAPE(8), 0.25);
        for (int i = 0; i < 2; i++) {
            dr_apply("batch_norm_act", (dr_tensor *[]){ i ? h : x, gamma, beta }, 3, &attr, out);
            y[i] = out[0];
        }
        dr_tensor *all = dr_concat(y, 2, 1), *d_all = dr_detach(dr_concat(dy, 2, 1));
        dr_set_launch_hook(count_copies, &copies);
        if (k == 0) dr_backward(all, d_all);
        dr_set_launch_hook(NULL, NULL);
        for (int i = 0; i < 2 && k == 1; i++) dr_backward(y[i], dr_detach(dy[i]));
        assert_int_equal(dr_tensor_read(dr_grad(x), DR_F32, k ? apart[0] : joined[0]), DR_OK);
        assert_int_equal(dr_tensor_read(dr_grad(h), DR_F32, k ? apart[1] : joined[1]), DR_OK);
        dr_scope_close();
    }
    assert_int_equal(copies, 0);
    assert_memory_equal(joined, apart, sizeof joined);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_paths_to_a_leaf_add_up),
        cmocka_unit_test(both_paths_to_a_result_add_up),
        cmocka_unit_test(all_paths_of_a_dense_graph_add_up),
        cmocka_unit_test(calls_add_up_until_zeroed),
        cmocka_unit_test(a_leaf_used_directly_gets_the_gradient_given),
        cmocka_unit_test(one_gradient_for_two_leaves_is_not_shared_memory),
        cmocka_unit_test(one_gradient_seen_as_two_shapes_is_not_shared_memory),
        cmocka_unit_test(a_gradient_goes_to_the_output_that_was_used),
        cmocka_unit_test(the_gradient_has_the_weights_own_memory_order),
        cmocka_unit_test(a_graph_is_walked_once),
        cmocka_unit_test(without_recording_there_is_nothing_to_walk),
        cmocka_unit_test(a_vector_needs_a_gradient_to_start_from),
        cmocka_unit_test(a_chain_of_a_hundred_thousand_ops_is_freed_without_deep_recursion),
        cmocka_unit_test(only_what_backward_needs_stays_in_memory),
        cmocka_unit_test(what_can_be_made_again_is_not_held),
        cmocka_unit_test(a_device_with_memory_to_spare_keeps_what_could_be_made_again),
        cmocka_unit_test(gradients_of_joined_images_are_not_copied),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
