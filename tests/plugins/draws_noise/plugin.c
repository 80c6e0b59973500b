/* A block that draws numbers, as dropout does: its output is fresh noise of its input's shape. */
#include <drift/plugin.h>

typedef struct {
    int64_t unused;
} draws_noise;

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    (void)self;
    dr_rng rng = dr_ctx_rng(ctx, "noise");
    return dr_noise_like(x, &rng);
}

DR_BLOCK(draws_noise, "noise of the input's shape", NULL, .forward = forward, .example = "2,3")
DR_PLUGIN("draws_noise", "1.0", "a block that draws numbers")
