/* flatten.c: Flatten, which averages the bottleneck to one pixel.
 *   y = GELU(avg_pool k (x))     [B,C,7,7] -> [B,C,1,1] */
#include <drift/plugin.h>

typedef struct { int64_t kernel_size; } flatten;

static const dr_param params[] = {
    DR_INT(flatten, kernel_size, 7, 1, 4096, "side of the averaged square, in pixels"),
    DR_END
};

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const flatten *f = self;
    (void)ctx;
    return dr_gelu(dr_avg_pool2d(x, f->kernel_size, f->kernel_size), 0);
}

DR_BLOCK(flatten, "Flatten: average pooling, GELU", params, .forward = forward, .example = "2,3,7,7")
