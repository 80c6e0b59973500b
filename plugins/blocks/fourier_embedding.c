/* fourier_embedding.c: a time as random waves.     Tancik et al. 2020, Song et al. 2021, Karras et al. 2022
 *   y = [cos(2 pi f_i t), sin(2 pi f_i t)],  f_i ~ N(0, scale^2),  i = 0 .. dim/2-1
 * The frequencies are drawn once, from the seed and the block's path as a weight's start is, and never trained. They are
 * a buffer, so checkpoints hold them. */
#include <drift/plugin.h>

typedef struct {
    int64_t dim;
    double scale;
    dr_tensor *frequencies; /* [dim/2] */
} fourier_embedding;

static const dr_param params[] = {
    DR_INT(fourier_embedding, dim, 128, 2, 65536, "length of the embedding; even"),
    DR_REAL(fourier_embedding, scale, 16.0, 1e-6, 1e6, "deviation of the frequencies, in waves per unit of time"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    fourier_embedding *e = self;
    if (e->dim % 2) return dr_fail(DR_EINVAL, "block fourier_embedding: dim = %lld is not even", (long long)e->dim);
    e->frequencies = dr_random_buffer(b, "frequencies", DR_SHAPE(e->dim / 2), (dr_init){ DR_INIT_NORMAL, e->scale });
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const fourier_embedding *e = self;
    const double two_pi = 6.283185307179586476925286766559;
    (void)ctx;
    dr_tensor *t = dr_reshape(x, DR_SHAPE(-1, 1));                        /* [B] or [B,1] -> [B,1] */
    dr_tensor *angle = dr_scale(two_pi, dr_mul(t, e->frequencies));       /* [B,dim/2] */
    return dr_concat((dr_tensor *[]){ dr_cos(angle), dr_sin(angle) }, 2, 1); /* [B,dim] */
}

DR_BLOCK(fourier_embedding, "A time as waves of random frequencies: [B] -> [B,dim]", params, .create = create,
         .forward = forward, .example = "4,1", .example_args = DR_STATIC_ARGS(DR_I("dim", 6), DR_R("scale", 1)))
