/* unpatchify.c: tokens as an image again: each becomes its square of pixels.     Peebles & Xie 2023
 *   x -> Linear(x) [B,L,p p C], of which token l = row W' + column fills pixels (row p + u, column p + v)
 *   [B,L,dim] -> [B,C,H,W];  W' = columns, or sqrt(L) where columns is 0 */
#include <drift/plugin.h>
#include <math.h>

typedef struct {
    int64_t dim, out_channels, patch, columns, init;
    dr_module *project;
} unpatchify;

static const dr_param params[] = {
    DR_INT_REQUIRED(unpatchify, dim, 1, 65536, "size of a token"),
    DR_INT_REQUIRED(unpatchify, out_channels, 1, 65536, "channels of the image"),
    DR_INT(unpatchify, patch, 2, 1, 255, "side of a patch, in pixels"),
    DR_INT(unpatchify, columns, 0, 0, 65536, "tokens in a row of the image; 0: the image is square"),
    DR_ENUM(unpatchify, init, 0, "fan_in|zero", "how the weights start"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    unpatchify *u = self;
    u->project = dr_child(b, "project", "linear",
                          DR_ARGS(DR_I("in_features", u->dim),
                                  DR_I("out_features", u->patch * u->patch * u->out_channels), DR_S("init", u->init ? "zero" : "fan_in")));
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const unpatchify *u = self;
    dr_tensor *y = dr_call(u->project, x, ctx); /* [B,L,p p C] */
    const dr_view *v = dr_tensor_view(y);
    if (!v) return NULL;
    const int64_t B = v->shape[0], L = v->rank == 3 ? v->shape[1] : 0, p = u->patch, C = u->out_channels;
    const int64_t columns = u->columns ? u->columns : (int64_t)(sqrt((double)L) + 0.5), rows = columns ? L / columns : 0;
    if (L < 1 || rows * columns != L) {
        dr_fail(DR_ESHAPE, "unpatchify: %lld tokens do not fill rows of %lld", (long long)L, (long long)columns);
        return NULL;
    }
    y = dr_reshape(y, DR_SHAPE(B * rows, columns, p, p * C));
    y = dr_permute(y, DR_SHAPE(0, 2, 1, 3));                  /* [B rows,p,columns,p C] */
    y = dr_reshape(y, DR_SHAPE(B, rows * p, columns * p, C)); /* [B,H,W,C] */
    return dr_permute(y, DR_SHAPE(0, 3, 1, 2));               /* [B,C,H,W] */
}

DR_BLOCK(unpatchify, "Tokens as the patches of an image", params, .create = create, .forward = forward,
         .example = "2,6,5", .example_args = DR_STATIC_ARGS(DR_I("dim", 5), DR_I("out_channels", 3), DR_I("columns", 3)))
