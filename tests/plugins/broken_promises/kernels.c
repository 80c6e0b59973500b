/* kernels.c: an op whose kernel is not what its composed form is. */
#include <drift/kernel.h>

typedef struct {
    double nothing;
} dr_wrong_kernel_attr;

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)n_in, (void)attr, (void)offset;
    out[0].dtype = in[0].dtype;
    out[0].rank = in[0].rank;
    for (int i = 0; i < in[0].rank; i++) out[0].shape[i] = in[0].shape[i];
    return DR_OK;
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in, (void)attr;
    out[0] = dr_mul(in[0], dr_square(in[0]));
    return dr_failed();
}

static void square_f32(const dr_kargs *a)
{
    const float *x = dr_in(a, 0);
    float *y = dr_out(a, 0);
    for (int64_t i = 0, n = dr_numel(&a->out[0]); i < n; i++) y[i] = x[i] * x[i];
}

DR_DEVICE_KERNEL(ref, wrong_kernel, DR_F32, square_f32)

DR_OP_COMPONENT(wrong_kernel, "x^3, and x^2 by its kernel", NULL, .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE },
                .out_layout = { DR_LAYOUT_DENSE }, .infer = infer, .compose = compose)
