/* filters.c: every filter: linear, of the image's shape, the same for every image of a batch, and an image of one
 * value stays as it is where the filter claims so. */
#include "kinds.h"

static const int64_t SHAPE[] = { 2, 3, 40, 48 };

static dr_tensor *apply(const dr_instance *f, dr_tensor *x)
{
    dr_tensor *y = dr_filter_apply(f, x);
    expect_shape_of(y, x, "what apply gives");
    return y;
}

static void check_filter(const dr_component *c)
{
    dr_instance *f = instance_of(c);
    dr_tensor *x = noise(DR_F32, 4, SHAPE, 1), *y = noise(DR_F32, 4, SHAPE, 2), *seen = apply(f, x);
    expect_finite(seen, "what apply gives");
    dr_tensor *parts = dr_axpy(2.0, seen, apply(f, y));
    const double bent = max_difference(apply(f, dr_axpy(2.0, x, y)), parts);
    expect(bent < 5e-6, "it is not linear: f(2x + y) and 2 f(x) + f(y) differ by %.3g", bent);
    const double off = max_difference(apply(f, dr_slice(x, 0, 1, 1)), dr_slice(seen, 0, 1, 1));
    expect(off < 1e-6, "an image is filtered otherwise alone than in its batch: by %.3g", off);
    expect(max_difference(seen, x) > 0.1, "it does nothing");
    if (((const dr_filter *)c->iface)->flags & DR_FILTER_KEEPS_CONSTANTS) {
        dr_tensor *even = dr_tensor_full(DR_F32, 4, SHAPE, 0.75);
        const double changed = max_difference(apply(f, even), even);
        expect(changed < 1e-6, "it claims to keep an image of one value, and changes it by %.3g", changed);
    }
    dr_instance_free(f);
}

static void check_odd_sizes(const dr_component *c)
{
    dr_instance *f = instance_of(c);
    static const int64_t sizes[][4] = { { 1, 1, 33, 65 }, { 1, 3, 64, 37 }, { 2, 1, 7, 7 } };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        dr_tensor *x = noise(DR_F32, 4, sizes[k], 3), *y = dr_filter_apply(f, x);
        if (y) expect_shape_of(y, x, "what apply gives");
        if (y) expect_finite(y, "what apply gives");
        expect(y || dr_failed(), "for %s it gives nothing, and no error", shape_text(x));
        dr_error_clear();
    }
    dr_instance_free(f);
}

const check filter_checks[] = {
    { "is linear and keeps the mean where it claims so", check_filter },
    { "other image sizes work or are refused", check_odd_sizes },
    { NULL, NULL },
};
