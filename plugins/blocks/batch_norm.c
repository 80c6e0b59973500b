/* batch_norm.c: normalisation of each channel over the batch, then an activation.     Ioffe & Szegedy 2015
 *   y = act(weight (x - mean)/sqrt(var + eps) + bias)
 * Training takes mean and (biased) variance from the batch and moves the running ones towards them,
 *   running = (1 - momentum) running + momentum batch's, the variance unbiased (n/(n-1));
 * evaluation takes the running ones. Names and defaults are those of torch.nn.BatchNorm2d. */
#include <drift/plugin.h>

typedef struct {
    int64_t num_features;
    double eps, momentum;
    int64_t act;
    dr_tensor *weight, *bias;                                      /* [C] */
    dr_tensor *running_mean, *running_var, *num_batches_tracked; /* [C], [C], i64 [] */
} batch_norm;

static const dr_param params[] = {
    DR_INT_REQUIRED(batch_norm, num_features, 1, 65536, "channels"),
    DR_REAL(batch_norm, eps, 1e-5, 1e-12, 1, "added to the variance"),
    DR_REAL(batch_norm, momentum, 0.1, 0, 1, "share of the new batch in the running statistics"),
    DR_ENUM(batch_norm, act, DR_ACT_NONE, DR_ACT_NAMES, "activation that follows"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    batch_norm *n = self;
    const int64_t C = n->num_features;
    n->weight = dr_weight(b, "weight", DR_SHAPE(C), DR_INIT_ONES);
    n->bias = dr_weight(b, "bias", DR_SHAPE(C), DR_INIT_ZEROS);
    n->running_mean = dr_buffer(b, "running_mean", DR_F32, DR_SHAPE(C), 0.0);
    n->running_var = dr_buffer(b, "running_var", DR_F32, DR_SHAPE(C), 1.0);
    n->num_batches_tracked = dr_buffer(b, "num_batches_tracked", DR_I64, 0, NULL, 0.0);
    return dr_failed();
}

/* Values per channel: the size of every axis but the second. */
static int64_t values_per_channel(const dr_view *x)
{
    int64_t count = 1;
    for (int i = 0; i < x->rank; i++) {
        if (i != 1) count *= x->shape[i];
    }
    return count;
}

static dr_tensor *train(const batch_norm *n, dr_tensor *x)
{
    const dr_batch_norm_act_attr attr = { .eps = n->eps, .act = n->act };
    const int64_t count = values_per_channel(dr_tensor_view(x));
    const dr_batch_norm_update_attr update = { .momentum = n->momentum, .count = count };
    dr_tensor *out[3] = { NULL }; /* y [B,C,..], mean [C], var [C] */

    if (count < 2) {
        dr_fail(DR_ESHAPE, "batch_norm: a training batch needs more than one value per channel");
        return NULL;
    }
    if (dr_apply("batch_norm_act", (dr_tensor *[]){ x, n->weight, n->bias }, 3, &attr, out)) return NULL;
    dr_tensor *statistics[] = { n->running_mean, n->running_var, out[1], out[2], n->num_batches_tracked };
    if (dr_apply("batch_norm_update", statistics, 5, &update, NULL)) return NULL;
    return out[0];
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const batch_norm *n = self;
    const dr_batch_norm_eval_attr attr = { .eps = n->eps, .act = n->act };

    if (!x) return NULL;
    if (dr_training(ctx)) return train(n, x);
    dr_tensor *in[] = { x, n->weight, n->bias, n->running_mean, n->running_var };
    return dr_apply1("batch_norm_eval", in, 5, &attr);
}

DR_BLOCK(batch_norm, "Batch normalisation, with the activation that follows", params, .create = create,
         .forward = forward, .example = "3,4,5,5", .example_args = DR_STATIC_ARGS(DR_I("num_features", 4)))
