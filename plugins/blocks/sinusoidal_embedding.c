/* sinusoidal_embedding.c: a time as sines and cosines of many frequencies.     Vaswani et al. 2017, Ho et al. 2020
 *   y = [sin(s t f_i), cos(s t f_i)],  f_i = max_period^(-i/half),  i = 0 .. half-1,  half = dim/2
 * s = scale brings the network's time to the range that the frequencies are made for: 1000 where t goes from 0 to 1. */
#include <drift/plugin.h>

typedef struct {
    int64_t dim;
    double scale, max_period;
    _Bool flip;
} sinusoidal_embedding;

static const dr_param params[] = {
    DR_INT(sinusoidal_embedding, dim, 128, 2, 65536, "length of the embedding"),
    DR_REAL(sinusoidal_embedding, scale, 1000.0, 1e-6, 1e9, "the time is multiplied by it"),
    DR_REAL(sinusoidal_embedding, max_period, 10000.0, 1.0, 1e12, "the slowest wave's period is 2 pi times this"),
    DR_BOOL(sinusoidal_embedding, flip, 0, "cosines first"),
    DR_END
};

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const sinusoidal_embedding *e = self;
    (void)ctx;
    dr_tensor *t = dr_scale(e->scale, dr_reshape(x, DR_SHAPE(-1))); /* [B] or [B,1] -> [B] */
    const dr_timestep_embedding_attr attr = { .dim = e->dim, .max_period = e->max_period, .flip = e->flip };
    return dr_apply1("timestep_embedding", &t, 1, &attr); /* [B,dim] */
}

DR_BLOCK(sinusoidal_embedding, "A time as sines and cosines: [B] -> [B,dim]", params, .forward = forward,
         .example = "4,1", .example_args = DR_STATIC_ARGS(DR_I("dim", 7), DR_R("scale", 3)))
