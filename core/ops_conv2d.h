/* ops_conv2d.h: the shape rules of the convolutions, which their forms with an activation share. */
#ifndef DRIFT_OPS_CONV2D_H
#define DRIFT_OPS_CONV2D_H

#include "ops_shape.h"

dr_status dr_conv2d_infer(const char *op, const dr_view *in, int n_in, const dr_conv2d_attr *a, dr_view *out);
dr_status dr_conv_transpose2d_infer(const char *op, const dr_view *in, int n_in, const dr_conv_transpose2d_attr *a,
                                    dr_view *out);

#endif
