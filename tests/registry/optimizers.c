/* Every optimizer: it minimises a quadratic, leaves a weight without a gradient alone, clears the gradients that it has
 * used, and goes on from a file as if it had not stopped. Every decay: starts at 1 and never rises. */
#include "walk.h"

#include <math.h>

enum { N = 6 };

typedef struct problem { /* loss = sum_i a_i (w_i - b_i)^2 / 2 over two of the weights; the third has no part */
    dr_tensor *w[3], *a, *b;
    dr_optim *optim;
    dr_instance *instance;
} problem;

static dr_tensor *weight(int rank, const int64_t *shape)
{
    return dr_requires_grad(dr_keep(dr_tensor_full(DR_F32, rank, shape, 0.0)), true);
}

static problem open_problem(const dr_component *c)
{
    static const char *const path[] = { "net.weight", "net.bias", "net.idle" };
    problem p = { .a = dr_keep(dr_tensor_from(DR_F32, DR_SHAPE(N), (float[]){ 1.0f, 0.5f, 0.2f, 0.1f, 0.7f, 1.3f })),
                  .b = dr_keep(dr_tensor_from(DR_F32, DR_SHAPE(N), (float[]){ 1, -1, 0.5f, 2, -0.3f, 0.9f })) };
    p.w[0] = weight(DR_SHAPE(2, 2));
    p.w[1] = weight(DR_SHAPE(2));
    p.w[2] = weight(DR_SHAPE(3));
    walk_args a;
    default_args(c, &a);
    add_arg(&a, (dr_arg)DR_R("lr", 0.05));
    p.instance = dr_instance_new("optim", c->name, a.args);
    assert_non_null(p.instance);
    p.optim = dr_optim_new(p.instance, p.w, path, 3);
    assert_non_null(p.optim);
    return p;
}

static void close_problem(problem *p)
{
    dr_optim_free(p->optim);
    dr_instance_free(p->instance);
    for (int i = 0; i < 3; i++) dr_release(p->w[i]);
    dr_release(p->a);
    dr_release(p->b);
}

static dr_tensor *all_weights(const problem *p)
{
    return dr_concat((dr_tensor *[]){ dr_reshape(p->w[0], DR_SHAPE(4)), p->w[1] }, 2, 0);
}

static dr_tensor *loss(const problem *p)
{
    dr_tensor *off = dr_sub(all_weights(p), p->b);
    return dr_scale(0.5, dr_sum(dr_mul(p->a, dr_square(off)), 0, NULL, false));
}

static void go(problem *p, int steps)
{
    for (int i = 0; i < steps; i++) {
        dr_scope_open();
        assert_int_equal(dr_backward(loss(p), NULL), DR_OK);
        if (dr_optim_step(p->optim, 1.0) != DR_OK) fail_msg("%s", dr_error_message());
        dr_scope_close();
    }
}

static void check_minimises(const dr_component *c)
{
    problem p = open_problem(c);
    const double before = dr_tensor_item(loss(&p));
    go(&p, 600);
    const double after = dr_tensor_item(loss(&p));
    print_message("        loss %.3g to %.3g\n", before, after);
    assert_true(after < 1e-3 * before);
    assert_int_equal(dr_optim_steps(p.optim), 600);
    for (int i = 0; i < 3; i++) assert_null(dr_grad(p.w[i]));
    assert_true(max_difference(p.w[2], dr_tensor_full(DR_F32, DR_SHAPE(3), 0.0)) == 0.0);
    close_problem(&p);
}

static void every_optimizer_minimises_a_quadratic(void **state)
{
    (void)state;
    for_each("optim", 3, check_minimises);
}

static void save(const problem *p)
{
    dr_save *s = dr_save_begin();
    for (int i = 0; i < 2; i++) assert_int_equal(dr_save_tensor(s, i ? "bias" : "weight", p->w[i]), DR_OK);
    assert_int_equal(dr_optim_save(p->optim, s, "optim."), DR_OK);
    assert_int_equal(dr_save_commit(s, "optim.safetensors"), DR_OK);
}

static void check_resumes(const dr_component *c)
{
    problem whole = open_problem(c), resumed = open_problem(c);
    go(&whole, 5);
    save(&whole);
    go(&whole, 7);

    dr_file *f = dr_file_open("optim.safetensors");
    assert_non_null(f);
    for (int i = 0; i < 2; i++) dr_assign(resumed.w[i], dr_file_tensor(f, i ? "bias" : "weight", -1));
    assert_int_equal(dr_optim_load(resumed.optim, f, "optim."), DR_OK);
    assert_int_equal(dr_optim_steps(resumed.optim), 5);
    go(&resumed, 7);
    assert_true(max_difference(all_weights(&whole), all_weights(&resumed)) == 0.0);

    assert_int_not_equal(dr_optim_load(resumed.optim, f, "other."), DR_OK);
    assert_error_has("other.step");
    dr_file_close(f);
    close_problem(&whole);
    close_problem(&resumed);
}

static void every_optimizer_resumes(void **state)
{
    (void)state;
    for_each("optim", 3, check_resumes);
}

static void check_decay(const dr_component *c)
{
    enum { EPOCHS = 7 };
    dr_instance *d = dr_instance_new("decay", c->name, DR_NO_ARGS);
    const dr_decay *api = d->iface;
    double before = api->factor(d->self, 0, EPOCHS);
    assert_true(before == 1.0);
    for (int e = 1; e <= EPOCHS; e++) {
        const double factor = api->factor(d->self, e, EPOCHS);
        assert_true(factor > 0.0 && factor <= before);
        before = factor;
    }
    dr_instance_free(d);
}

static void every_decay_starts_at_one_and_never_rises(void **state)
{
    (void)state;
    for_each("decay", 2, check_decay);
}

static void exponential_ends_where_it_says(void **state)
{
    (void)state;
    dr_instance *d = dr_instance_new("decay", "exponential", DR_ARGS(DR_R("to", 0.1)));
    const dr_decay *api = d->iface;
    double lr = 1.0;
    for (int e = 1; e <= 20; e++) { /* times 0.1^(1/20) after every epoch */
        lr *= pow(0.1, 1.0 / 20);
        assert_true(fabs(api->factor(d->self, e, 20) - lr) < 1e-12);
    }
    dr_instance_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_optimizer_minimises_a_quadratic),
        cmocka_unit_test(every_optimizer_resumes),
        cmocka_unit_test(every_decay_starts_at_one_and_never_rises),
        cmocka_unit_test(exponential_ends_where_it_says),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
