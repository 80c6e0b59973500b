/* time_mlp.c: a time, or a noise level, as the vector that a network's blocks read.      Ho et al. 2020
 *   y = linear_2(act(linear_1(S(t)))),  S(t) = [cos(t f_i), sin(t f_i)],  f_i = 10000^(-i/(dim/2 - freq_shift))
 * t [B] or [B,1], as the network is told it -> [B,E]. Names are those of diffusers' TimestepEmbedding, which is given
 * S(t). */
#include "activation.h"

typedef struct {
    int64_t dim, out_features, act;
    double freq_shift;
    _Bool flip;
    dr_module *linear_1, *linear_2;
} time_mlp;

static const dr_param params[] = { DR_INT_REQUIRED(time_mlp, dim, 2, 65536, "length of S(t)"),
                                   DR_INT_REQUIRED(time_mlp, out_features, 1, 65536, "length of the vector"),
                                   DR_ENUM(time_mlp, act, DR_ACT_SILU, DR_ACT_NAMES, "activation between the layers"),
                                   DR_BOOL(time_mlp, flip, 1, "cosines first"),
                                   DR_REAL(time_mlp, freq_shift, 0, 0, 1,
                                           "1: the last wave's period is exactly 2 pi 10000"),
                                   DR_END };

static dr_status create(void *self, dr_builder *b)
{
    time_mlp *m = self;
    const int64_t E = m->out_features;
    m->linear_1 = dr_child(b, "linear_1", "linear", DR_ARGS(DR_I("in_features", m->dim), DR_I("out_features", E)));
    m->linear_2 = dr_child(b, "linear_2", "linear", DR_ARGS(DR_I("in_features", E), DR_I("out_features", E)));
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const time_mlp *m = self;
    const dr_timestep_embedding_attr attr = {
        .dim = m->dim, .max_period = 10000.0, .shift = m->freq_shift, .flip = m->flip
    };
    dr_tensor *t = dr_reshape(x, DR_SHAPE(-1));
    dr_tensor *waves = dr_apply1("timestep_embedding", &t, 1, &attr);                       /* [B,dim] */
    return dr_call(m->linear_2, activation(dr_call(m->linear_1, waves, ctx), m->act), ctx); /* [B,E] */
}

DR_BLOCK(time_mlp, "A time as waves, and the two layers behind them", params, .create = create, .forward = forward,
         .example = "4,1", .example_args = DR_STATIC_ARGS(DR_I("dim", 6), DR_I("out_features", 5)))
