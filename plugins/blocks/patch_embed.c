/* patch_embed.c: an image as tokens, one for each square of pixels, which know their place.
 * Dosovitskiy et al. 2021, Peebles & Xie 2023
 *   token_l = W patch_l + b + position_l,   l = row W' + column     [B,C,H,W] -> [B,(H/p)(W/p),dim]
 *   position = [sin(r f_i), cos(r f_i), sin(c f_i), cos(c f_i)] of row r and column c, f_i = 10000^(-i/n), n = dim/4
 * Positions are fixed, not learned, so images of another size need nothing new. */
#include <drift/plugin.h>
#include <math.h>
#include <stdlib.h>

typedef struct {
    int64_t in_channels, dim, patch;
    _Bool positions;
    dr_module *project;
} patch_embed;

static const dr_param params[] = {
    DR_INT_REQUIRED(patch_embed, in_channels, 1, 65536, "channels of the image"),
    DR_INT_REQUIRED(patch_embed, dim, 1, 65536, "size of a token"),
    DR_INT(patch_embed, patch, 2, 1, 255, "side of a patch, in pixels; divides the image's sides"),
    DR_BOOL(patch_embed, positions, 1, "add the fixed positions; dim is then a multiple of 4"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    patch_embed *p = self;
    if (p->positions && p->dim % 4 != 0) {
        return dr_fail(DR_EINVAL, "block patch_embed: dim = %lld is not a multiple of 4, as positions need",
                       (long long)p->dim);
    }
    p->project = dr_child(b, "project", "conv2d",
                          DR_ARGS(DR_I("in_channels", p->in_channels), DR_I("out_channels", p->dim),
                                  DR_I("kernel_size", p->patch), DR_I("stride", p->patch)));
    return dr_failed();
}

static dr_tensor *positions(int64_t rows, int64_t columns, int64_t dim) /* [rows columns,dim] */
{
    const int64_t n = dim / 4;
    float *v = malloc((size_t)(rows * columns * dim) * sizeof *v), *at = v;
    if (!v) {
        dr_fail(DR_ENOMEM, "patch_embed: out of memory");
        return NULL;
    }
    for (int64_t l = 0; l < rows * columns; l++, at += dim) {
        for (int64_t i = 0; i < n; i++) {
            const double f = pow(10000.0, -(double)i / (double)n);
            const double row = f * (double)(l / columns), column = f * (double)(l % columns);
            at[i] = (float)sin(row);
            at[n + i] = (float)cos(row);
            at[2 * n + i] = (float)sin(column);
            at[3 * n + i] = (float)cos(column);
        }
    }
    dr_tensor *t = dr_tensor_from(DR_F32, DR_SHAPE(rows * columns, dim), v);
    free(v);
    return t;
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const patch_embed *p = self;
    const dr_view *in = dr_tensor_view(x);
    if (!in) return NULL;
    if (in->rank == 4 && (in->shape[2] % p->patch != 0 || in->shape[3] % p->patch != 0)) {
        dr_fail(DR_ESHAPE, "patch_embed: an image of %lldx%lld pixels cannot be cut into patches of %lld",
                (long long)in->shape[2], (long long)in->shape[3], (long long)p->patch);
        return NULL;
    }
    dr_tensor *map = dr_call(p->project, x, ctx); /* [B,dim,H/p,W/p] */
    const dr_view *v = dr_tensor_view(map);
    if (!v) return NULL;
    const int64_t rows = v->shape[2], columns = v->shape[3];
    dr_tensor *tokens = dr_reshape(dr_permute(map, DR_SHAPE(0, 2, 3, 1)), DR_SHAPE(v->shape[0], rows * columns, p->dim));
    return p->positions ? dr_add(tokens, positions(rows, columns, p->dim)) : tokens; /* [B,L,dim] */
}

DR_BLOCK(patch_embed, "An image as tokens of its patches, with fixed 2-D positions", params, .create = create,
         .forward = forward, .example = "2,3,4,6",
         .example_args = DR_STATIC_ARGS(DR_I("in_channels", 3), DR_I("dim", 8)))
