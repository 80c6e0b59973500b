/* group_norm.c: normalisation within each sample over groups of channels, then an activation.     Wu & He 2018
 *   y = act(weight (x - mean_g)/sqrt(var_g + eps) + bias),  g = the channel's group
 * Names and defaults are those of torch.nn.GroupNorm. */
#include <drift/plugin.h>

typedef struct {
    int64_t num_groups, num_channels;
    double eps;
    int64_t act;
    dr_tensor *weight, *bias; /* [C] */
} group_norm;

static const dr_param params[] = {
    DR_INT_REQUIRED(group_norm, num_groups, 1, 65536, "groups; divides num_channels"),
    DR_INT_REQUIRED(group_norm, num_channels, 1, 65536, "channels"),
    DR_REAL(group_norm, eps, 1e-5, 1e-12, 1, "added to the variance"),
    DR_ENUM(group_norm, act, DR_ACT_NONE, DR_ACT_NAMES, "activation that follows"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    group_norm *n = self;
    if (n->num_channels % n->num_groups != 0) {
        return dr_fail(DR_EINVAL, "block group_norm: num_channels = %lld cannot be split into num_groups = %lld",
                       (long long)n->num_channels, (long long)n->num_groups);
    }
    n->weight = dr_weight(b, "weight", DR_SHAPE(n->num_channels), DR_INIT_ONES);
    n->bias = dr_weight(b, "bias", DR_SHAPE(n->num_channels), DR_INIT_ZEROS);
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const group_norm *n = self;
    (void)ctx;
    return dr_group_norm(x, n->weight, n->bias, n->num_groups, n->eps, (int)n->act); /* [B,C,..] */
}

DR_BLOCK(group_norm, "Group normalisation, with the activation that follows", params, .create = create,
         .forward = forward, .example = "2,6,4,4",
         .example_args = DR_STATIC_ARGS(DR_I("num_groups", 3), DR_I("num_channels", 6)))
