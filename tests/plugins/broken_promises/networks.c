/* networks.c: blocks and a conditioning that break a promise. */
#include <drift/plugin.h>

/* ---- a weight that nothing uses ---------------------------------------------------------------------------------- */
typedef struct {
    dr_tensor *weight, *unused;
} dead_weight;

static dr_status dead_create(void *self, dr_builder *b)
{
    dead_weight *p = self;
    p->weight = dr_weight(b, "weight", DR_SHAPE(4, 1, 1), DR_INIT_ONES);
    p->unused = dr_weight(b, "unused", DR_SHAPE(3), DR_INIT_ONES);
    return dr_failed();
}

static dr_tensor *dead_forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    (void)ctx;
    return dr_mul(x, ((const dead_weight *)self)->weight);
}

DR_BLOCK(dead_weight, "x w, and a weight that nothing uses", NULL, .create = dead_create, .forward = dead_forward,
         .example = "2,4,6,6")

/* ---- not a number ------------------------------------------------------------------------------------------------ */
typedef struct {
    int64_t nothing;
} nan_block;

static dr_tensor *nan_forward(void *self, dr_tensor *x, dr_ctx *ctx) /* where it trains */
{
    (void)self;
    return dr_training(ctx) ? dr_axpy(1e-30, dr_log(dr_affine(0.0, x, -1.0)), x) : x;
}

DR_BLOCK(nan_block, "the logarithm of a negative number", NULL, .forward = nan_forward, .example = "2,4,6,6")

/* ---- another shape in evaluation --------------------------------------------------------------------------------- */
typedef struct {
    int64_t nothing;
} wrong_shape;

static dr_tensor *wrong_shape_forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    (void)self;
    return dr_training(ctx) ? x : dr_slice(x, 1, 0, 2);
}

DR_BLOCK(wrong_shape, "half of the channels in evaluation", NULL, .forward = wrong_shape_forward, .example = "2,4,6,6")

/* ---- rows that see each other ------------------------------------------------------------------------------------ */
typedef struct {
    int64_t nothing;
} sees_neighbours;

static dr_tensor *sees_forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    (void)self, (void)ctx;
    return dr_sub(x, dr_mean(x, 1, (int64_t[]){ 0 }, 1));
}

DR_BLOCK(sees_neighbours, "x minus the batch's mean, also in evaluation", NULL, .forward = sees_forward,
         .example = "2,4,6,6")

/* ---- state that is neither weight nor buffer --------------------------------------------------------------------- */
typedef struct {
    double trained;
} forgets_state;

static dr_tensor *forgets_forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    forgets_state *p = self;
    if (dr_training(ctx)) p->trained += 1.0;
    return dr_affine(1.0, x, dr_training(ctx) ? 0.0 : p->trained);
}

DR_BLOCK(forgets_state, "counts its trainings where no checkpoint sees it", NULL, .forward = forgets_forward,
         .example = "2,4,6,6")

/* ---- a gradient that is not the function's ----------------------------------------------------------------------- */
typedef struct {
    double nothing;
} dr_bad_gradient_attr;

static dr_status bad_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)n_in, (void)attr, (void)offset;
    out[0].dtype = in[0].dtype;
    out[0].rank = in[0].rank;
    for (int i = 0; i < in[0].rank; i++) out[0].shape[i] = in[0].shape[i];
    return DR_OK;
}

static dr_status bad_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in, (void)attr;
    out[0] = dr_square(in[0]);
    return dr_failed();
}

static dr_status bad_backward(const dr_backward_args *b)
{
    b->din[0] = dr_mul(b->dout[0], b->in[0]); /* the 2 is missing */
    return dr_failed();
}

DR_OP_COMPONENT(bad_gradient, "x^2, whose gradient lacks the 2", NULL, .n_in = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_DENSE }, .out_layout = { DR_LAYOUT_DENSE }, .infer = bad_infer,
                .compose = bad_compose, .backward = bad_backward, .save_in = 1)

/* ---- the same of an op with inputs that only its example tells ------------------------------------------- */
typedef dr_none_attr dr_bad_share_attr;

static dr_status share_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)n_in, (void)attr, (void)offset;
    if (in[0].rank != 2 || in[1].rank != 2 || in[1].shape[0] != in[0].shape[1] || in[1].shape[1] != 7)
        return dr_fail(DR_ESHAPE, "bad_share: x [B,D] and w [D,7]");
    out[0].dtype = in[0].dtype, out[0].rank = 2;
    out[0].shape[0] = in[0].shape[0], out[0].shape[1] = 7;
    return DR_OK;
}

static dr_status share_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in, (void)attr;
    out[0] = dr_matmul(in[0], in[1], 0, 0);
    return dr_failed();
}

static dr_status share_backward(const dr_backward_args *b)
{
    if (b->need[0]) b->din[0] = dr_matmul(b->dout[0], b->in[1], 0, 1);
    if (b->need[1]) b->din[1] = dr_scale(0.5, dr_matmul(b->in[0], b->dout[0], 1, 0)); /* half of it is missing */
    return dr_failed();
}

DR_OP_COMPONENT(bad_share, "x w, whose gradient lacks half of w's", NULL, .n_in = 2, .n_out = 1,
                .in_layout = { DR_LAYOUT_ROW, DR_LAYOUT_ROW }, .out_layout = { DR_LAYOUT_ROW }, .infer = share_infer,
                .compose = share_compose, .backward = share_backward, .save_in = 3, .example = "2,3;3,7")

/* ---- a network that does not see its time ------------------------------------------------------------------------ */
typedef struct {
    dr_ints channels;
    dr_tensor *scale;
} ignores_time;

static const dr_param ignores_params[] = { DR_INTS(ignores_time, channels, 1, 65536, "widths of the sites"), DR_END };

static dr_status ignores_create(void *self, dr_builder *b)
{
    ignores_time *p = self;
    if (p->channels.n < 1)
        return dr_fail(DR_EINVAL, "conditioning ignores_time: channels should list the sites' widths");
    p->scale = dr_weight(b, "scale", 0, NULL, DR_INIT_ONES);
    return dr_failed();
}

static dr_status ignores_embed(void *self, dr_ctx *ctx, const dr_batch_cond *c, dr_embedding *e)
{
    (void)ctx;
    if (!c->time) return dr_fail(DR_EINVAL, "conditioning ignores_time: no time was given");
    e->vec = ((const ignores_time *)self)->scale;
    return DR_OK;
}

static dr_tensor *ignores_modulate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    (void)self, (void)ctx, (void)site;
    return dr_mul(h, e->vec);
}

DR_CONDITIONING(ignores_time, "h times one weight", ignores_params, .create = ignores_create, .embed = ignores_embed,
                .modulate = ignores_modulate)
