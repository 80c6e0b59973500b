#include "training_step.h"

#include <stdlib.h>

enum { B = 4, D = 8, CLASSES = 10, TIMES = 130 }; /* so often are features repeated: a long sum is cuBLASLt's */

static const struct {
    int rank;
    int64_t shape[4];
} shapes[WEIGHTS] = { { 4, { D, 3, 3, 3 } }, { 1, { D } }, { 1, { D } }, { 1, { D } }, /* convolution, gamma, beta */
                      { 2, { CLASSES, D } },                                         /* the classes' scales */
                      { 2, { CLASSES, TIMES * D } }, { 1, { CLASSES } } };           /* linear */

dr_status network_open(network *n)
{
    const double numbers[2] = { 0.05, 1 };
    *n = (network){ .lr = dr_keep(dr_tensor_from(DR_F64, DR_SHAPE(2), numbers)) };
    for (int i = 0; i < WEIGHTS && !dr_failed(); i++) {
        const dr_rng rng = { .seed = 5, .purpose = 6, .step = (uint32_t)i };
        n->weight[i] = dr_keep(dr_rand_uniform(DR_F32, shapes[i].rank, shapes[i].shape, &rng));
        n->momentum[i] = dr_keep(dr_scale(0.0, n->weight[i]));
        if (n->weight[i]) dr_requires_grad(n->weight[i], true);
    }
    return dr_failed();
}

void network_close(network *n)
{
    for (int i = 0; i < WEIGHTS; i++) {
        if (n->weight[i]) dr_zero_grad(n->weight[i]);
        dr_release(n->weight[i]);
        dr_release(n->momentum[i]);
    }
    dr_release(n->lr);
    *n = (network){ 0 };
}

static dr_tensor *first_of(const char *op, dr_tensor *const *in, int n_in, const void *attr)
{
    dr_tensor *out[DR_OP_MAX_OUT] = { NULL };
    dr_apply(op, in, n_in, attr, out);
    return dr_failed() ? NULL : out[0];
}
#define OP(name, attr, ...) \
    first_of(name, (dr_tensor *[]){ __VA_ARGS__ }, (int)(sizeof((dr_tensor *[]){ __VA_ARGS__ }) / sizeof(dr_tensor *)), attr)

/* x [B,3,8,8], label [B] -> loss */
static dr_tensor *loss_of(network *n, dr_tensor *x, dr_tensor *label)
{
    dr_tensor *const *w = n->weight;
    const dr_random_attr draw = { DR_F32, { 4, { B, 3, 8, 8 } }, 1, 2, 3, 1000 };
    x = dr_add(x, dr_apply1("rand_normal", NULL, 0, &draw));
    if (n->bf16) x = dr_cast(x, DR_BF16);
    dr_tensor *kernel = n->bf16 ? dr_cast(w[0], DR_BF16) : w[0];
    dr_tensor *h = OP("conv2d", (&(dr_conv2d_attr){ 1, 1 }), x, kernel, n->bf16 ? dr_cast(w[1], DR_BF16) : w[1]);
    h = OP("batch_norm_act", (&(dr_batch_norm_act_attr){ 1e-5, DR_ACT_GELU }), h, w[2], w[3]);
    dr_tensor *scale = OP("embedding", &(dr_none_attr){ 0 }, w[4], label);
    h = OP("film", &(dr_none_attr){ 0 }, h, dr_reshape(scale, DR_SHAPE(B, D, 1, 1)), NULL);
    h = OP("avg_pool2d", (&(dr_avg_pool2d_attr){ 8, 0 }), h); /* [B,D,1,1] */
    h = dr_expand(dr_reshape(dr_scale(1.0 / TIMES, h), DR_SHAPE(B, 1, D)), DR_SHAPE(B, TIMES, D));
    h = OP("linear", &(dr_none_attr){ 0 }, dr_reshape(h, DR_SHAPE(B, TIMES * D)), w[5], w[6]);
    return OP("cross_entropy", &(dr_none_attr){ 0 }, dr_cast(h, DR_F32), label);
}

static dr_status step(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    network *n = ctx;
    dr_tensor *loss = loss_of(n, in[0], in[1]);
    if (loss) dr_backward(loss, NULL);
    dr_tensor *all[1 + 3 * WEIGHTS] = { n->lr };
    for (int i = 0; i < WEIGHTS && !dr_failed(); i++) {
        all[1 + 3 * i] = n->weight[i];
        all[2 + 3 * i] = dr_grad(n->weight[i]);
        all[3 + 3 * i] = n->momentum[i];
    }
    dr_tensor *none[DR_OP_MAX_OUT];
    if (!dr_failed()) dr_apply("sgd_step", all, 1 + 3 * WEIGHTS, &(dr_sgd_step_attr){ 0.9, 0.0, 0 }, none);
    for (int i = 0; i < WEIGHTS; i++) dr_zero_grad(n->weight[i]);
    *n_out = 0;
    if (dr_failed()) return dr_failed();
    out[0] = dr_retain(loss);
    *n_out = 1;
    return DR_OK;
}

static void make_inputs(int k, dr_tensor **in)
{
    float x[B * 3 * 8 * 8];
    int32_t label[B];
    for (int i = 0; i < B * 3 * 8 * 8; i++) x[i] = (float)((i * 37 + k * 11) % 101) / 50.0f - 1.0f;
    for (int i = 0; i < B; i++) label[i] = (3 * i + k) % CLASSES;
    in[0] = dr_tensor_from(DR_F32, DR_SHAPE(B, 3, 8, 8), x);
    in[1] = dr_tensor_from(DR_I32, DR_SHAPE(B), label);
}

dr_status train_step_by_plan(network *n, dr_plan *plan, int k, float *loss)
{
    dr_tensor *in[2], *out[DR_PLAN_OUTPUTS] = { NULL };
    int n_out = 0;
    dr_scope_open();
    make_inputs(k, in);
    dr_plan_call c = { .fn = step, .ctx = n, .in = in, .n_in = 2 };
    if (!dr_failed() && plan) dr_plan_run(plan, &c, out, &n_out);
    else if (!dr_failed()) step(n, in, out, &n_out);
    if (n_out == 1) {
        dr_tensor_read(out[0], DR_F32, loss);
        dr_release(out[0]);
    }
    dr_scope_close();
    return dr_failed();
}

dr_status train_step(network *n, int k, float *loss) { return train_step_by_plan(n, NULL, k, loss); }
