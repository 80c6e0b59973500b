/* flop.c: what one launch costs by its shapes: floating-point operations of convolutions and matrix products, and the
 * bytes that any kernel has to touch. A convolution counts as its direct form, 2 k k Ci Co per pixel, whatever form
 * computes it, so that GFLOP/s of different forms compare. What is not a product counts as 0. */
#include "drift.h"

#include <drift/kernel.h>
#include <string.h>

static double size(const dr_view *v) { return v->rank < 0 ? 0.0 : (double)dr_numel(v); }

static double side(const dr_view *v, int axis) { return axis < v->rank ? (double)v->shape[axis] : 0.0; }

static double per_row(const dr_view *v) { return v->rank > 0 && v->shape[0] > 0 ? size(v) / side(v, 0) : 0.0; }

/* x [B,Ci,H,W], weight [Co,Ci,k,k] -> y [B,Co,H',W']; also weight [N,K] of linear */
static double of_output(const dr_kargs *a) { return 2.0 * size(&a->out[0]) * per_row(&a->in[1]); }

/* dy [B,Co,H',W'], weight [Co,Ci,k,k]; also x [B,Ci,H,W], weight [Ci,Co,k,k] of a transposed convolution */
static double of_input(const dr_kargs *a) { return 2.0 * size(&a->in[0]) * per_row(&a->in[1]); }

/* x [B,Ci,H,W], dy [B,Co,H',W'] -> dw [Co,Ci,k,k] */
static double of_weight(const dr_kargs *a) { return 2.0 * size(&a->in[1]) * per_row(&a->out[0]); }

/* x [B,Ci,H,W], dy [B,Co,H',W'] -> dw [Ci,Co,k,k] */
static double of_transposed_weight(const dr_kargs *a) { return 2.0 * size(&a->in[0]) * per_row(&a->out[0]); }

/* a [..,M,K], b [..,K,N] -> y [..,M,N] */
static double of_matmul(const dr_kargs *a)
{
    const dr_matmul_attr *t = a->attr;
    return 2.0 * size(&a->out[0]) * side(&a->in[0], a->in[0].rank - (t && t->transpose_a ? 2 : 1));
}

/* q [B,H,L,D], k and v [B,H,S,D]: q k^T and the scores times v */
static double of_attention(const dr_kargs *a) { return 4.0 * size(&a->in[0]) * side(&a->in[1], 2); }

/* The longest name that an op's begins with: a fused form is named after the product that it begins with, and takes its
 * inputs in the same places. */
static const struct rule {
    const char *op;
    double (*flop)(const dr_kargs *a);
} rules[] = {
    { "conv2d", of_output },
    { "conv2d_backward_data", of_input },
    { "conv2d_backward_weight", of_weight },
    { "conv_transpose2d", of_input },
    { "conv_transpose2d_backward_data", of_output },
    { "conv_transpose2d_backward_weight", of_transposed_weight },
    { "linear", of_output },
    { "matmul", of_matmul },
    { "attention", of_attention },
};

double dr_launch_flop(const dr_launch *l)
{
    const struct rule *best = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const size_t n = strlen(rules[i].op);
        const char after = strncmp(l->args.op, rules[i].op, n) == 0 ? l->args.op[n] : 'x';
        if (n <= longest || (after != '\0' && after != '_')) continue;
        best = &rules[i];
        longest = n;
    }
    return best ? best->flop(&l->args) : 0.0;
}

/* Elements that are repeated by a stride of 0 count once. */
static double bytes_of(const dr_view *v)
{
    double n = v->rank < 0 ? 0.0 : (double)dr_dtype_size((dr_dtype)v->dtype);
    for (int i = 0; i < v->rank; i++) n *= v->stride[i] == 0 && v->shape[i] > 0 ? 1.0 : (double)v->shape[i];
    return n;
}

double dr_launch_bytes(const dr_launch *l)
{
    double n = 0.0;
    for (int i = 0; i < l->args.n_in; i++) n += bytes_of(&l->args.in[i]);
    for (int i = 0; i < l->args.n_out; i++) n += bytes_of(&l->args.out[i]);
    return n;
}
