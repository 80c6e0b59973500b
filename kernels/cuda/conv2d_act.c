/* conv2d_act.c: act(convolution + bias + add) as one op. Where cuDNN has an engine for the whole graph it is one kernel, see
 * conv2d_choice.c; elsewhere what follows the sums is one more pass over them. */
#include "conv2d.h"

static void conv2d_act(const dr_kargs *a)
{
    const dr_conv2d_act_attr *attr = a->attr;
    dr_conv2d_forward(a, attr->stride, attr->padding, attr->act);
}

static void conv_transpose2d_act(const dr_kargs *a)
{
    const dr_conv_transpose2d_act_attr *attr = a->attr;
    dr_conv2d_transposed(a, attr->stride, attr->padding, attr->act);
}

DR_KERNEL(conv2d_act, DR_F32, conv2d_act)
DR_KERNEL(conv2d_act, DR_BF16, conv2d_act)
DR_KERNEL(conv_transpose2d_act, DR_F32, conv_transpose2d_act)
DR_KERNEL(conv_transpose2d_act, DR_BF16, conv_transpose2d_act)
