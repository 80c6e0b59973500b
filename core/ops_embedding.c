/* ops_embedding.c: rows of a table by their numbers (embedding), and numbers as vectors (one_hot). */
#include "ops_shape.h"

/* ---- embedding: weight [N,D], ids i32 [..] -> [..,D] ---- */
static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "embedding", "weight,ids", in, n_in };
    (void)attr, (void)offset;
    if (dr_need_float(&c, 0) != DR_OK || dr_need_rank(&c, 0, 2) != DR_OK || dr_need_dtype(&c, 1, DR_I32) != DR_OK)
        return DR_ESHAPE;
    if (in[1].rank + 1 > DR_MAX_RANK) return dr_refuse(&c, "ids have too many axes");
    dr_shape_of(out, in[0].dtype, in[1].rank, in[1].shape);
    out->shape[out->rank++] = in[0].shape[1];
    return DR_OK;
}

static dr_status backward(const dr_backward_args *b)
{
    if (!b->need[0]) return DR_OK;
    const dr_embedding_backward_attr attr = { b->in_view[0].shape[0] };
    return dr_yield(&b->din[0], dr_apply1("embedding_backward", (dr_tensor *[]){ b->dout[0], b->in[1] }, 2, &attr));
}

DR_OP_COMPONENT(embedding, "embedding(weight, ids): rows of weight", NULL, .flags = DR_OP_PICKS, .n_in = 2, .n_out = 1, .infer = infer,
                .backward = backward, .save_in = 2)

static const dr_param backward_params[] = {
    DR_INT_REQUIRED(dr_embedding_backward_attr, rows, 0, 281474976710656, "of the table"),
    DR_END,
};

static dr_status backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "embedding_backward", "dy,ids", in, n_in };
    const int64_t rows = ((const dr_embedding_backward_attr *)attr)->rows;
    (void)offset;
    if (dr_need_float(&c, 0) != DR_OK || dr_need_dtype(&c, 1, DR_I32) != DR_OK) return DR_ESHAPE;
    bool fits = in[0].rank == in[1].rank + 1 && rows >= 0;
    for (int i = 0; fits && i < in[1].rank; i++) fits = in[0].shape[i] == in[1].shape[i];
    if (!fits) return dr_refuse(&c, "dy must be a row for each id");
    dr_shape_of(out, in[0].dtype, 2, (int64_t[]){ rows, in[0].shape[in[0].rank - 1] });
    return DR_OK;
}

static dr_status backward_backward(const dr_backward_args *b)
{
    return b->need[0] ? dr_yield(&b->din[0], dr_embed(b->dout[0], b->in[1])) : DR_OK;
}

DR_OP_COMPONENT(embedding_backward, "embedding_backward(dy, ids): rows of dy added up by id", backward_params,
                .n_in = 2, .n_out = 1, .infer = backward_infer, .backward = backward_backward, .save_in = 2)

/* ---- one_hot: ids i32 [..] -> f32 [..,classes] ---- */
static const dr_param one_hot_params[] = {
    DR_INT_REQUIRED(dr_one_hot_attr, classes, 1, 281474976710656, "length of the vectors"),
    DR_END,
};

static dr_status one_hot_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "one_hot", "ids", in, n_in };
    const int64_t classes = ((const dr_one_hot_attr *)attr)->classes;
    (void)offset;
    if (dr_need_dtype(&c, 0, DR_I32) != DR_OK) return DR_ESHAPE;
    if (classes < 1) return dr_refuse(&c, "%lld classes", (long long)classes);
    if (in->rank + 1 > DR_MAX_RANK) return dr_refuse(&c, "ids have too many axes");
    dr_shape_of(out, DR_F32, in->rank, in->shape);
    out->shape[out->rank++] = classes;
    return DR_OK;
}

DR_OP_COMPONENT(one_hot, "one_hot(ids): 1 at each id, 0 elsewhere", one_hot_params, .flags = DR_OP_NONDIFF, .n_in = 1,
                .n_out = 1, .infer = one_hot_infer)
