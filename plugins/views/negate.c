/* negate.c: light and dark change places.
 *   V x + constant = -x + 2 about,  about = the middle of the data's range: 0 for data in [-1,1], 0.5 for data in [0,1]
 * A variance output says how much noise to add; noise of either sign is as likely, so it stays as it is. */
#include <drift/plugin.h>

typedef struct {
    double about;
} negate;

static const dr_param params[] = {
    DR_REAL(negate, about, 0.0, -1e6, 1e6, "the value that stays: the middle of the data's range"),
    DR_END,
};

static dr_tensor *negative(void *self, dr_tensor *x)
{
    (void)self;
    return dr_scale(-1.0, x);
}

static dr_tensor *same(void *self, dr_tensor *v)
{
    (void)self;
    return v;
}

static double constant(void *self) { return 2.0 * ((const negate *)self)->about; }

DR_VIEW(negate, "The negative: light and dark change places", params, .apply = negative, .invert = negative,
        .invert_variance = same, .constant = constant)
