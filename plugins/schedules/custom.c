/* custom.c: beta from a function that the script gives.
 *   drift.schedule.custom { beta = function(i, T) return ... end },  i = 0..T-1, 0 < beta < 1 */
#include <drift/plugin.h>

typedef struct { dr_function beta; } custom;

static const dr_param params[] = {
    DR_FUNCTION(custom, beta, "real(int,int)", "beta of step i = 0..T-1 of a chain of T, between 0 and 1; required"),
    DR_END
};

static double beta(void *self, int64_t i, int64_t T)
{
    const custom *s = self;
    if (!s->beta) {
        dr_fail(DR_EINVAL, "schedule custom: beta is required: a function of i and T");
        return 0.0;
    }
    return ((double (*)(int64_t, int64_t))s->beta)(i, T);
}

DR_SCHEDULE(custom, "beta from a function of the script", params, .beta = beta)
