/* clips.c: every clip: what it does to one image does not depend on the others, what lies well within the data's range
 * stays, and what it gives lies within. */
#include "kinds.h"

static dr_tensor *apply(dr_instance *clip, dr_tensor *x0)
{
    dr_tensor *y = ((const dr_clip *)clip->iface)->apply(clip->self, x0);
    expect_shape_of(y, x0, "what apply gives");
    return y;
}

static void check_clip(const dr_component *c)
{
    dr_instance *clip = instance_of(c);
    dr_tensor *x0 = noise(DR_F32, DR_SHAPE(4, 3, 5, 7), 1), *small = dr_tanh(x0);
    dr_tensor *y = apply(clip, x0);
    expect_finite(y, "what apply gives");
    const double off = max_difference(dr_slice(y, 0, 2, 1), apply(clip, dr_slice(x0, 0, 2, 1)));
    expect(off == 0.0, "an image is clipped otherwise alone than in its batch: by %.3g", off);
    expect(max_difference(y, x0) > 0.0, "of normal numbers none is clipped");
    const double moved = max_difference(apply(clip, small), small);
    expect(moved == 0.0, "numbers within (-1, 1) are changed by %.3g", moved);
    const double most = dr_tensor_item(dr_amax(dr_abs(apply(clip, dr_scale(9.0, x0))), 0, NULL, false));
    expect(most <= 1.0, "what it gives reaches %.3g, beyond 1", most);
    dr_instance_free(clip);
}

const check clip_checks[] = { { "holds each image within the data", check_clip }, { NULL, NULL } };
