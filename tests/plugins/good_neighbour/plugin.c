/* A third party's plugin: a decay with one parameter of each type, and exported functions. Uses public headers only.
 */
#include <drift/plugin.h>

typedef struct {
    int64_t count;
    double rate;
    _Bool warm;
    const char *label;
    int64_t shape;
    dr_ints steps;
    dr_reals factors;
    dr_function curve;
    dr_instance *schedule;
    int64_t needed;
    dr_instances parts;
    dr_tensor *table;
    double from_schedule; /* private */
} neighbour;

static const dr_param params[] = {
    DR_INT(neighbour, count, 3, 1, 10, "how many"),
    DR_REAL(neighbour, rate, 0.5, 0.0, 1.0, "how much"),
    DR_BOOL(neighbour, warm, 1, "start warm"),
    DR_STRING(neighbour, label, "plain", "what it is called"),
    DR_ENUM(neighbour, shape, 1, "flat|slope|step", "its form"),
    DR_INTS(neighbour, steps, 0, 100, "where it changes"),
    DR_REALS(neighbour, factors, 0.0, 1.0, "by how much"),
    DR_FUNCTION(neighbour, curve, "real(real)", "any form at all"),
    DR_COMPONENT_PARAM(neighbour, schedule, "schedule:linear", "something to hold"),
    DR_INT_REQUIRED(neighbour, needed, 0, 5, "must be given"),
    DR_COMPONENT_LIST(neighbour, parts, "schedule", "several of them"),
    DR_TENSOR(neighbour, table, "f32", "numbers in any shape"),
    DR_END
};

static double factor(void *self, double epoch, int64_t epochs)
{
    const neighbour *n = self;
    (void)epochs;
    if (n->curve) return ((double (*)(double))n->curve)(epoch);
    double sum = n->rate + (n->schedule ? dr_schedule_beta(n->schedule, 0, 10) : 0.0);
    for (int64_t i = 0; i < n->parts.n; i++) sum += (double)(i + 1) * dr_schedule_beta(n->parts.v[i], 0, 10);
    return n->table ? sum + dr_tensor_item(dr_sum(n->table, 0, NULL, 0)) : sum;
}

static double blend(double a, double b, double share) { return a + share * (b - a); }

static dr_tensor *twice(dr_tensor *x) { return dr_scale(2.0, x); }

static const char *greeting(int64_t n) { return n == 1 ? "hello" : "hello all"; }

static double fails(double x)
{
    dr_fail(DR_EINVAL, "fails: %g is never right", x);
    return 0.0;
}

DR_DECAY(neighbour, "every type of parameter", params, .factor = factor)
DR_EXPORT(blend, "real(real,real,real)", "a point between two numbers")
DR_EXPORT(twice, "tensor(tensor)", "2 x")
DR_EXPORT(greeting, "string(int)", "a greeting for n people")
DR_EXPORT(fails, "real(real)", "an error, always")
DR_PLUGIN("good_neighbour", "1.0", "a plugin as a third party writes one")
