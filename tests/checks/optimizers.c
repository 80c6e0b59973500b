/* optimizers.c: every optimizer: it minimises a quadratic, leaves a weight without a gradient alone, clears the
 * gradients that it has used, goes on from a file as if it had not stopped, and a step that is replayed gives the bits
 * of one that runs. */
#include "kinds.h"

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
    p.instance = built("optim", c->name, a.args);
    p.optim = expect_made(dr_optim_new(p.instance, p.w, path, 3), "its state");
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
        dr_backward(loss(p), NULL);
        dr_optim_step(p->optim, 1.0);
        expect_ok("step");
        dr_scope_close();
    }
}

static void check_minimises(const dr_component *c)
{
    problem p = open_problem(c);
    const double before = dr_tensor_item(loss(&p));
    go(&p, 600);
    const double after = dr_tensor_item(loss(&p));
    check_note("        loss %.3g to %.3g", before, after);
    expect(after < 1e-3 * before, "600 steps with lr = 0.05 bring a quadratic's loss from %.3g to %.3g only", before,
           after);
    expect(dr_optim_steps(p.optim) == 600, "600 steps are counted as %lld", (long long)dr_optim_steps(p.optim));
    for (int i = 0; i < 3; i++) expect(!dr_grad(p.w[i]), "a step leaves gradients behind");
    const double moved = max_difference(p.w[2], dr_tensor_full(DR_F32, DR_SHAPE(3), 0.0));
    expect(moved == 0.0, "a weight without a gradient moves by %.3g", moved);
    close_problem(&p);
}

static void save(const problem *p)
{
    dr_save *s = dr_save_begin();
    for (int i = 0; i < 2; i++) dr_save_tensor(s, i ? "bias" : "weight", p->w[i]);
    dr_optim_save(p->optim, s, "optim.");
    dr_save_commit(s, check_file("optim.safetensors"));
    expect_ok("its state cannot be saved");
}

static void check_resumes(const dr_component *c)
{
    problem whole = open_problem(c), resumed = open_problem(c);
    go(&whole, 5);
    save(&whole);
    go(&whole, 7);

    dr_file *f = expect_made(dr_file_open(check_file("optim.safetensors")), "the checkpoint cannot be read");
    for (int i = 0; i < 2; i++) dr_assign(resumed.w[i], dr_file_tensor(f, i ? "bias" : "weight", -1));
    dr_optim_load(resumed.optim, f, "optim.");
    expect_ok("its state cannot be loaded");
    expect(dr_optim_steps(resumed.optim) == 5, "saved after step 5, it is loaded at step %lld",
           (long long)dr_optim_steps(resumed.optim));
    go(&resumed, 7);
    const double d = max_difference(all_weights(&whole), all_weights(&resumed));
    expect(d == 0.0, "resumed after 5 of 12 steps its weights differ by %.3g: something that it keeps is in no slot",
           d);

    expect(dr_optim_load(resumed.optim, f, "other.") != DR_OK, "state that is not in the file is loaded");
    expect_error("other.step");
    dr_file_close(f);
    close_problem(&whole);
    close_problem(&resumed);
}

/* ---- a plan's step ----------------------------------------------------------------------------------------------- */

static dr_status planned_step(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    problem *p = ctx;
    (void)in, (void)out;
    *n_out = 0;
    dr_backward(loss(p), NULL);
    dr_optim_step(p->optim, 1.0);
    return dr_failed();
}

static void check_replays(const dr_component *c)
{
    enum { STEPS = 12 };
    problem eager = open_problem(c), planned = open_problem(c);
    go(&eager, STEPS);
    dr_plan *plan = expect_made(dr_plan_new("step", 1000), "a plan");
    for (int i = 0; i < STEPS; i++) {
        dr_optim_advance(planned.optim, 1.0);
        dr_plan_call call = { .fn = planned_step, .ctx = &planned };
        dr_tensor *out[DR_PLAN_OUTPUTS];
        int n = 0;
        dr_scope_open();
        dr_plan_run(plan, &call, out, &n);
        dr_scope_close();
        expect_ok("a step within a plan");
    }
    const dr_plan_state state = dr_plan_look(plan);
    const double d = max_difference(all_weights(&eager), all_weights(&planned));
    expect(d == 0.0, "steps that are replayed differ by %.3g from steps that run", d);
    char reason[256];
    snprintf(reason, sizeof reason, "%s", state.reason ? state.reason : "no reason given");
    dr_plan_free(plan);
    close_problem(&eager);
    close_problem(&planned);
    if (!state.replays) check_skip("its step is never replayed: %s", reason);
}

const check optim_checks[] = {
    { "minimises a quadratic", check_minimises },
    { "goes on from a file", check_resumes },
    { "a replayed step gives the same bits", check_replays },
    { NULL, NULL },
};
