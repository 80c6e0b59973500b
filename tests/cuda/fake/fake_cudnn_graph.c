/* fake_cudnn_graph.c: are tensors, convolutions and operations what cuDNN takes, and do they make a graph? */
#include "fake_cudnn.h"

static cudnnStatus_t wrong(void) { return CUDNN_STATUS_BAD_PARAM; } /* after fake_violation */

static int64_t size_of(const dnn_descriptor *tensor)
{
    return dnn_int(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, 0, 0) == CUDNN_DATA_BFLOAT16 ? 2 : 4;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

/* Two elements of a tensor never share their memory: in order of strides, each steps over all before it. */
static bool overlaps(const int64_t *dims, const int64_t *strides)
{
    bool done[4] = { false };
    int64_t reach = 1;
    for (int n = 0; n < 4; n++) {
        int least = -1;
        for (int i = 0; i < 4; i++) {
            if (!done[i] && dims[i] > 1 && (least < 0 || strides[i] < strides[least])) least = i;
        }
        if (least < 0) return false;
        if (strides[least] < reach) return true;
        reach += (dims[least] - 1) * strides[least];
        done[least] = true;
    }
    return false;
}

cudnnStatus_t dnn_check_tensor(const dnn_descriptor *d)
{
    const int64_t type = dnn_int(d, CUDNN_ATTR_TENSOR_DATA_TYPE, 0, -1), align = dnn_int(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0, 0);
    int64_t dims[4], strides[4];
    for (int i = 0; i < 4; i++) {
        dims[i] = dnn_int(d, CUDNN_ATTR_TENSOR_DIMENSIONS, i, 0);
        strides[i] = dnn_int(d, CUDNN_ATTR_TENSOR_STRIDES, i, 0);
        if (dims[i] > 0 && strides[i] > 0) continue;
        fake_violation("a cuDNN tensor has dimension %lld with stride %lld", (long long)dims[i], (long long)strides[i]);
        return wrong();
    }
    if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16) fake_violation("a cuDNN tensor of type %lld", (long long)type);
    else if (align < size_of(d) || (align & (align - 1)) != 0) fake_violation("a cuDNN tensor aligned to %lld bytes", (long long)align);
    else if (overlaps(dims, strides)) fake_violation("a cuDNN tensor whose elements overlap");
    else return CUDNN_STATUS_SUCCESS;
    return wrong();
}

static dnn_tensor tensor_of(const dnn_descriptor *d)
{
    dnn_tensor t = { .descriptor = d, .uid = dnn_int(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0, 0),
                     .alignment = dnn_int(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0, 1), .bf16 = size_of(d) == 2,
                     .is_virtual = dnn_int(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, 0, 0) != 0 };
    for (int i = 0; i < 4; i++) {
        t.dims[i] = dnn_int(d, CUDNN_ATTR_TENSOR_DIMENSIONS, i, 0);
        t.strides[i] = dnn_int(d, CUDNN_ATTR_TENSOR_STRIDES, i, 0);
    }
    return t;
}

/* ---- convolutions ------------------------------------------------------------------------------------------------ */

cudnnStatus_t dnn_check_convolution(const dnn_descriptor *d)
{
    for (int i = 0; i < 2; i++) {
        if (dnn_int(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, i, 0) >= 1 && dnn_int(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i, 0) >= 1 &&
            dnn_int(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, i, -1) >= 0 && dnn_int(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, i, -1) >= 0)
            continue;
        fake_violation("a cuDNN convolution's strides, dilations or paddings are out of their range");
        return wrong();
    }
    if (dnn_int(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, 0, -1) != CUDNN_DATA_FLOAT) fake_violation("a cuDNN convolution computes in f32 here");
    else if (dnn_int(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0, 0) != 2) fake_violation("a cuDNN convolution has 2 dimensions here");
    else if (dnn_int(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, 0, -1) != CUDNN_CROSS_CORRELATION)
        fake_violation("a cuDNN convolution is a cross-correlation here");
    else return CUDNN_STATUS_SUCCESS;
    return wrong();
}

/* An operation's parts by their names: x, w or the second input, y, the description, alpha, beta. */
static const struct names {
    cudnnBackendDescriptorType_t type;
    dnn_kind kind;
    cudnnBackendAttributeName_t x, w, y, how, alpha, beta;
} names[] = {
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, DNN_FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA },
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, DNN_DATA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA },
    { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, DNN_FILTER, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA },
    { CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, DNN_POINTWISE, CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
      CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
      CUDNN_ATTR_OPERATION_POINTWISE_ALPHA1, CUDNN_ATTR_OPERATION_POINTWISE_ALPHA2 },
};

static const struct names *names_of(const dnn_descriptor *d)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].type == d->type) return &names[i];
    }
    return NULL;
}

/* What an operation does, but for which tensors of a program it works on. */
static dnn_op op_of(const dnn_descriptor *d)
{
    const struct names *n = names_of(d);
    const dnn_descriptor *how = dnn_pointer(d, n->how, 0);
    dnn_op op = { .kind = n->kind, .x = -1, .w = -1, .y = -1, .alpha = dnn_real(d, n->alpha, 1.0),
                  .beta = dnn_real(d, n->beta, n->kind == DNN_POINTWISE ? 1.0 : 0.0) };
    if (op.kind == DNN_POINTWISE) {
        op.mode = (cudnnPointwiseMode_t)dnn_int(how, CUDNN_ATTR_POINTWISE_MODE, 0, -1);
        op.lower = dnn_real(how, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, 0.0);
        op.upper = dnn_real(how, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, 1e300);
        op.slope = dnn_real(how, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 0.0);
        op.swish = dnn_real(how, CUDNN_ATTR_POINTWISE_SWISH_BETA, 1.0);
        return op;
    }
    for (int i = 0; i < 2; i++) {
        op.stride[i] = dnn_int(how, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i, 1);
        op.padding[i] = dnn_int(how, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, i, 0);
        op.after[i] = dnn_int(how, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, i, 0);
        op.dilation[i] = dnn_int(how, CUDNN_ATTR_CONVOLUTION_DILATIONS, i, 1);
    }
    return op;
}

/* image [B,Ci,H,W], filter [Co,Ci,k,k], result [B,Co,H',W'] */
static bool convolution_fits(const dnn_op *op, const dnn_tensor *image, const dnn_tensor *filter, const dnn_tensor *result)
{
    bool fits = image->dims[0] == result->dims[0] && image->dims[1] == filter->dims[1] && filter->dims[0] == result->dims[1];
    for (int i = 0; i < 2; i++) {
        const int64_t room = image->dims[2 + i] + op->padding[i] + op->after[i] - (filter->dims[2 + i] - 1) * op->dilation[i] - 1;
        fits = fits && room >= 0 && room / op->stride[i] + 1 == result->dims[2 + i];
    }
    if (!fits)
        fake_violation("a cuDNN convolution of %lldx%lldx%lldx%lld by %lldx%lldx%lldx%lld does not give %lldx%lldx%lldx%lld",
                       (long long)image->dims[0], (long long)image->dims[1], (long long)image->dims[2], (long long)image->dims[3],
                       (long long)filter->dims[0], (long long)filter->dims[1], (long long)filter->dims[2], (long long)filter->dims[3],
                       (long long)result->dims[0], (long long)result->dims[1], (long long)result->dims[2], (long long)result->dims[3]);
    return fits;
}

static bool pointwise_fits(const dnn_op *op, const dnn_tensor *x, const dnn_tensor *b, const dnn_tensor *y)
{
    const bool binary = op->mode == CUDNN_POINTWISE_ADD || op->mode == CUDNN_POINTWISE_MUL || op->mode == CUDNN_POINTWISE_SUB;
    const bool unary = op->mode == CUDNN_POINTWISE_IDENTITY || op->mode == CUDNN_POINTWISE_RELU_FWD ||
                       op->mode == CUDNN_POINTWISE_GELU_FWD || op->mode == CUDNN_POINTWISE_GELU_APPROX_TANH_FWD ||
                       op->mode == CUDNN_POINTWISE_SWISH_FWD || op->mode == CUDNN_POINTWISE_SIGMOID_FWD ||
                       op->mode == CUDNN_POINTWISE_TANH_FWD;
    if ((!binary && !unary) || binary != (b != NULL)) {
        fake_violation("a pointwise operation of mode %d with %d inputs", op->mode, b ? 2 : 1);
        return false;
    }
    for (int i = 0; i < 4; i++) {
        if (x->dims[i] == y->dims[i] && (!b || b->dims[i] == y->dims[i] || b->dims[i] == 1)) continue;
        fake_violation("a pointwise operation's inputs do not broadcast: axis %d is %lld, %lld -> %lld", i, (long long)x->dims[i],
                       b ? (long long)b->dims[i] : 0, (long long)y->dims[i]);
        return false;
    }
    return true;
}

cudnnStatus_t dnn_check_operation(const dnn_descriptor *d)
{
    const struct names *n = names_of(d);
    const dnn_descriptor *x = dnn_pointer(d, n->x, 0), *w = dnn_pointer(d, n->w, 0), *y = dnn_pointer(d, n->y, 0);
    const cudnnBackendDescriptorType_t how = n->kind == DNN_POINTWISE ? CUDNN_BACKEND_POINTWISE_DESCRIPTOR : CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR;
    if (!dnn_is(dnn_pointer(d, n->how, 0), how, "an operation's description") ||
        !dnn_is(x, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "an operation's tensor") ||
        (w && !dnn_is(w, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "an operation's tensor")) ||
        !dnn_is(y, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "an operation's tensor"))
        return wrong();
    const dnn_op op = op_of(d);
    const dnn_tensor tx = tensor_of(x), ty = tensor_of(y), tw = w ? tensor_of(w) : tx;
    const bool fits = op.kind == DNN_FORWARD  ? convolution_fits(&op, &tx, &tw, &ty)
                      : op.kind == DNN_DATA   ? convolution_fits(&op, &ty, &tw, &tx)
                      : op.kind == DNN_FILTER ? convolution_fits(&op, &tx, &ty, &tw)
                                              : pointwise_fits(&op, &tx, w ? &tw : NULL, &ty);
    return fits ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */

/* The number of a tensor in the program, which it joins; -1 after a violation. */
static int tensor_in(dnn_program *p, const dnn_descriptor *d)
{
    if (!dnn_is(d, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor of a graph")) return -1;
    const int64_t uid = dnn_int(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0, 0);
    for (int i = 0; i < p->n_tensors; i++) {
        if (p->tensor[i].descriptor == d) return i;
        if (p->tensor[i].uid != uid) continue;
        fake_violation("two tensors of a graph have the unique id %lld", (long long)uid);
        return -1;
    }
    if (p->n_tensors == DNN_TENSORS) {
        fake_violation("a graph of more tensors than this fake takes");
        return -1;
    }
    p->tensor[p->n_tensors] = tensor_of(d);
    return p->n_tensors++;
}

static bool flow_is_right(const dnn_program *p)
{
    int made[DNN_TENSORS] = { 0 }, read[DNN_TENSORS] = { 0 };
    for (int i = 0; i < p->n_ops; i++) {
        const int inputs[] = { p->op[i].x, p->op[i].w };
        for (int j = 0; j < 2; j++) {
            if (inputs[j] < 0) continue;
            read[inputs[j]]++;
            if (!p->tensor[inputs[j]].is_virtual || made[inputs[j]]) continue;
            fake_violation("operation %d of a graph reads virtual tensor %lld before it is made", i, (long long)p->tensor[inputs[j]].uid);
            return false;
        }
        made[p->op[i].y]++;
    }
    for (int i = 0; i < p->n_tensors; i++) {
        if (made[i] <= 1 && (!p->tensor[i].is_virtual || (made[i] && read[i])) && (p->tensor[i].is_virtual || !made[i] || !read[i]))
            continue;
        fake_violation("tensor %lld of a graph is%s virtual, made %d times and read %d times", (long long)p->tensor[i].uid,
                       p->tensor[i].is_virtual ? "" : " not", made[i], read[i]);
        return false;
    }
    return true;
}

cudnnStatus_t dnn_make_program(const dnn_descriptor *graph, dnn_program *made)
{
    const dnn_attribute *ops = NULL;
    memset(made, 0, sizeof *made);
    if (!fake_object_is(graph, DNN_DESCRIPTOR, "a graph") || !(ops = dnn_find(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS))) return wrong();
    for (int i = 0; i < ops->count; i++) {
        const dnn_descriptor *d = ((void **)ops->data)[i];
        if (!fake_object_is(d, DNN_DESCRIPTOR, "an operation of a graph")) return wrong();
        const struct names *n = names_of(d);
        if (!n || !dnn_is(d, n->type, "an operation of a graph") || dnn_check_operation(d) != CUDNN_STATUS_SUCCESS) return wrong();
        dnn_op *op = &made->op[made->n_ops++];
        const dnn_descriptor *w = dnn_pointer(d, n->w, 0);
        *op = op_of(d);
        op->x = tensor_in(made, dnn_pointer(d, n->x, 0));
        op->w = w ? tensor_in(made, w) : -1;
        op->y = tensor_in(made, dnn_pointer(d, n->y, 0));
        if (op->x < 0 || op->y < 0 || (w && op->w < 0)) return wrong();
    }
    return flow_is_right(made) ? CUDNN_STATUS_SUCCESS : wrong();
}
