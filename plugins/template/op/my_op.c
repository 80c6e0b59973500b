/* my_op.c: softsign, an activation that saturates slowly.     Bergstra et al. 2009
 *   y = x/(1 + k |x|),   dx = dy/(1 + k |x|)^2 */
#include <drift/kernel.h>
#include <math.h>

/* An op's parameters are its attributes, given to every function as `attr`; the struct is called dr_NAME_attr. */
typedef struct { double k; } dr_my_op_attr;

static const dr_param params[] = {
    DR_REAL(dr_my_op_attr, k, 1, 1e-6, 1e6, "the larger, the sooner it saturates, at 1/k"),
    DR_END
};

/* The only place where shapes and dtypes are refused. in and out are shapes without data; a NULL tensor has rank -1. */
static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)n_in, (void)attr, (void)offset;
    if (in[0].dtype == DR_I32 || in[0].dtype == DR_I64 || in[0].dtype == DR_U8 || in[0].dtype == DR_BOOL) {
        return dr_fail(DR_ESHAPE, "my_op: x should be of a floating type");
    }
    out[0].dtype = in[0].dtype;
    out[0].rank = in[0].rank;
    for (int i = 0; i < in[0].rank; i++) out[0].shape[i] = in[0].shape[i];
    return DR_OK;
}

static dr_tensor *denominator(dr_tensor *x, double k) { return dr_affine(k, dr_abs(x), 1.0); }

/* The op in terms of others: the truth. It is what runs on every device that has no kernel of this name, and what a
 * kernel is held to. */
static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_my_op_attr *a = attr;
    (void)n_in;
    out[0] = dr_div(in[0], denominator(in[0], a->k));
    return dr_failed();
}

/* The gradient: b->dout[0] is dy, and din[0] is to be filled where need[0]. b->in and b->out hold what save_in and save_out
 * asked for. It may be left out: then the gradient is that of compose, whose ops keep more. */
static dr_status backward(const dr_backward_args *b)
{
    const dr_my_op_attr *a = b->attr;
    if (b->need[0]) b->din[0] = dr_div(b->dout[0], dr_square(denominator(b->in[0], a->k)));
    return dr_failed();
}

/* A kernel for a device, by its backend's name; the device without one runs compose. It reads and writes the views of `a`
 * and nothing else, in the layouts below: here both are dense and in one order, so that flat loops will do. */
static void my_op_f32(const dr_kargs *a)
{
    const float *x = dr_in(a, 0), k = (float)((const dr_my_op_attr *)a->attr)->k;
    float *y = dr_out(a, 0);
    for (int64_t i = 0, n = dr_numel(&a->out[0]); i < n; i++) y[i] = x[i] / (1.0f + k * fabsf(x[i]));
}

DR_DEVICE_KERNEL(cpu, my_op, DR_F32, my_op_f32)

/* `make check` looks for shapes that infer takes; where it finds none, .example = "2,4,6,6;4,1,3,3" names them.
 * DENSE: kernels and compose take any order of axes in memory; the output has the input's. From C the op is
 * dr_apply1("my_op", &x, 1, &(dr_my_op_attr){ .k = 2 }). */
DR_OP_COMPONENT(my_op, "my_op(x) = x / (1 + k |x|)", params, .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE },
                .out_layout = { DR_LAYOUT_DENSE }, .infer = infer, .compose = compose, .backward = backward, .save_in = 1)
