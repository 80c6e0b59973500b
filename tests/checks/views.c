/* views.c: every view: exactly inverted, linear, orthogonal, the same for every channel and every image of a batch, at
 * odd sizes and in half precision as well. */
#include "views.h"

#include "kinds.h"

#include <math.h>

static double energy(dr_tensor *x) { return dr_tensor_item(dr_sum(dr_square(dr_cast(x, DR_F64)), 0, NULL, 0)); }

static void check_linear(const dr_instance *v, const int64_t *shape)
{
    dr_tensor *x = noise(DR_F32, 4, shape, 1), *y = noise(DR_F32, 4, shape, 2), *seen = dr_image_view_apply(v, x);
    dr_tensor *whole = dr_image_view_apply(v, dr_axpy(2.0, x, y));
    const double bent = max_difference(whole, dr_axpy(2.0, seen, dr_image_view_apply(v, y)));
    expect(bent == 0.0, "it is not linear: v(2x + y) and 2 v(x) + v(y) differ by %.3g", bent);
    expect(fabs(energy(seen) - energy(x)) < 1e-9 * (1.0 + energy(x)),
           "it is not orthogonal: |v(x)|^2 is %.9g, |x|^2 %.9g: noise seen"
           " under it is no normal noise",
           energy(seen), energy(x));
}

static void check_each_alone(const dr_instance *v, dr_tensor *x, dr_tensor *y, int axis)
{
    for (int64_t i = 0; i < dr_tensor_view(x)->shape[axis]; i++) {
        const double off = max_difference(dr_image_view_apply(v, dr_slice(x, axis, i, 1)), dr_slice(y, axis, i, 1));
        expect(off == 0.0, "%s %lld is seen otherwise alone: by %.3g", axis ? "channel" : "image", (long long)i, off);
    }
}

/* B = 0: what is looked up for an image of this size is looked up all the same. */
static void check_no_images(const dr_instance *v, const int64_t *shape)
{
    dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(0, shape[1], shape[2], shape[3]), 0.0);
    dr_tensor *y = expect_made(dr_image_view_apply(v, x), "apply, to no images");
    dr_tensor *back = expect_made(dr_image_view_invert(v, y), "invert, of no images");
    expect_shape_of(back, x, "apply and invert of no images");
}

void view_expect_at(const dr_instance *v, const int64_t shape[4])
{
    dr_scope_open();
    for (int half = 0; half < 2; half++) {
        dr_tensor *x = dr_cast(noise(DR_F32, 4, shape, 1), half ? DR_BF16 : DR_F32);
        dr_tensor *y = expect_made(dr_image_view_apply(v, x), "apply");
        expect(dr_tensor_view(y)->dtype == dr_tensor_view(x)->dtype, "%s becomes %s", shape_text(x), shape_text(y));
        dr_tensor *back = expect_made(dr_image_view_invert(v, y), "invert");
        expect_shape_of(back, x, "what apply and invert give");
        const double lost = max_difference(back, x),
                     there = max_difference(dr_image_view_invert(v, dr_image_view_apply(v, y)), y);
        expect(lost == 0.0 && there == 0.0, "invert is off by %.3g for %s", fmax(lost, there), shape_text(x));
        check_each_alone(v, x, y, 0);
        check_each_alone(v, x, y, 1);
    }
    check_linear(v, shape);
    check_no_images(v, shape);
    dr_scope_close();
}

/* With its default parameters, which do not fit every size: at least one must do. */
static void check_view(const dr_component *c)
{
    static const int64_t shapes[][4] = { { 2, 3, 8, 8 }, { 1, 1, 5, 7 }, { 3, 6, 7, 7 },
                                         { 1, 2, 1, 1 }, { 1, 3, 1, 4 }, { 2, 3, 64, 64 } };
    walk_args a;
    default_args(c, &a);
    dr_instance *v = dr_instance_new("view", c->name, a.args);
    if (!v)
        check_skip("it cannot be made with its defaults (%s); give it parameters: %s.NAME=VALUE", dr_error_message(),
                   c->name);
    int fits = 0;
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        dr_tensor *y = dr_image_view_apply(v, noise(DR_F32, 4, shapes[k], 1));
        /* a refusal has words of its own; where there are none the host says so, with this code */
        expect(y || dr_failed() != DR_EINTERNAL, "for an image of %lld x %lld it gives nothing, and no error", (long long)shapes[k][2],
               (long long)shapes[k][3]);
        dr_error_clear();
        if (!y) continue;
        view_expect_at(v, shapes[k]);
        fits++;
    }
    expect(fits > 0, "it takes images of none of the usual sizes, not even 64 x 64");
    dr_instance_free(v);
}

const check view_checks[] = { { "is linear, orthogonal and exactly inverted", check_view }, { NULL, NULL } };
