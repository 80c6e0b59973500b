/* samplers.c: every sampler, on data whose best prediction is known in closed form (known_data.h). An ODE sampler
 * converges at the order that it declares to the exact solution; a stochastic one returns samples of mean mu and
 * deviation s. What a sample becomes does not depend on its batch. Estimates of the data are clipped wherever they are
 * made. */
#include "kinds.h"
#include "samplers.h"

#include <math.h>

dr_instance *sampler_with(const dr_component *c, int64_t steps, bool fixed, bool any_variance)
{
    walk_args a;
    default_args(c, &a);
    const bool lays_its_own = !fixed && has_param(c, "adaptive");
    if (has_param(c, "steps") && !lays_its_own) add_arg(&a, (dr_arg)DR_I("steps", steps));
    if (fixed && has_param(c, "adaptive")) add_arg(&a, (dr_arg)DR_B("adaptive", 0));
    if (any_variance && has_param(c, "variance")) add_arg(&a, (dr_arg)DR_S("variance", "posterior"));
    return built("sampler", c->name, a.args);
}

static dr_tensor *sampled(const world *w, dr_tensor *y, dr_tensor *x)
{
    if (dr_failed()) check_fail("on process %s: %s", w ? w->process : "circle", dr_error_message());
    expect_shape_of(y, x, "what it samples");
    expect_finite(y, "what it samples");
    return y;
}

/* ---- order ---------------------------------------------------------------------------------------------------- */

/* From t = 1/8 to 1/2: where signal and noise are there both, since in the logarithm of their ratio the way from pure
 * noise has no smooth beginning, and not the whole way, lest a symmetry of it flatter a method. A sampler with a grid
 * of its own goes all the way. */
static double error_with(const dr_component *c, dr_instance *process, int64_t steps)
{
    enum { MOST = 64 };
    known_data k = { process, 1.0 };
    dr_process api;
    dr_instance seen = watched(process, &api);
    dr_model *f = dr_model_new(&seen, best_prediction, &k);
    dr_instance *sampler = sampler_with(c, steps, true, true);
    const bool own_grid = ((const dr_sampler *)c->iface)->grid != NULL;
    const double t_start = own_grid ? 0.0 : 0.125, t_end = own_grid ? 1.0 : 0.5;
    double t[MOST + 1];
    for (int64_t i = 0; i <= steps; i++) t[i] = t_start + (t_end - t_start) * (double)i / (double)steps;
    const dr_coef start = coef_at(process, t_start), end = coef_at(process, t_end);
    const double stretch = sqrt(variance(&end) / variance(&start));
    dr_tensor *x = noise(DR_F64, DR_SHAPE(4, 1, 3, 3), 1);
    dr_tensor *exact = dr_affine(stretch, x, end.alpha * mu - stretch * start.alpha * mu);
    dr_tensor *y =
        sampled(NULL, dr_sample(f, sampler, x, (dr_rng){ .seed = 1 }, own_grid ? NULL : t, steps, NULL, NULL), x);
    const double error = max_difference(y, exact);
    dr_instance_free(sampler);
    dr_model_free(f);
    return error;
}

static void check_order(const dr_component *c)
{
    const int order = ((const dr_sampler *)c->iface)->order;
    if (order == 0) check_skip("it declares none: a stochastic one");
    const int64_t steps = order > 4 ? 8 : 32; /* the fifth order would be at the last digits of a double */
    const double coarse = error_with(c, &circle, steps), fine = error_with(c, &circle, 2 * steps);
    const double p = log2(coarse / fine);
    check_note("        order %d: error %.2e, %.2e, so %.2f", order, coarse, fine, p);
    expect(fabs(p - order) < 0.1,
           "it declares order %d and converges at order %.2f: error %.2e in %lld steps, %.2e in %lld", order, p, coarse,
           (long long)steps, fine, (long long)(2 * steps));
}

/* ---- distribution --------------------------------------------------------------------------------------------- */

void expect_moments(dr_instance *sampler, const world *w)
{
    enum { B = 64, SIZE = 8, PIXELS = SIZE * SIZE };
    place p;
    enter(&p, w);
    const dr_rng rng = { .seed = 3, .purpose = dr_purpose("sampler") };
    dr_tensor *x = start_of(&p, DR_F32, B, SIZE, 3);
    dr_tensor *y = sampled(w, dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL), x);
    const double mean = dr_tensor_item(dr_mean(y, 0, NULL, false));
    const double deviation = sqrt(dr_tensor_item(dr_mean(dr_square(dr_affine(1.0, y, -mean)), 0, NULL, false)));
    check_note("        on %s: mean %.3f, deviation %.3f", w->process, mean, deviation);
    expect(fabs(mean - mu) < 5 * s / sqrt(B * PIXELS) + 0.01, "on %s: samples of data with mean %.3g have mean %.3g",
           w->process, mu, mean);
    expect(fabs(deviation / s - 1.0) < 0.06, "on %s: samples of data with deviation %.3g have deviation %.3g",
           w->process, s, deviation);
    leave(&p);
}

static void check_everywhere(const dr_component *c)
{
    for (int i = 0; i < WORLDS; i++) {
        dr_instance *sampler = sampler_with(c, 100, false, !worlds[i].unit);
        expect_moments(sampler, &worlds[i]);
        dr_instance_free(sampler);
    }
}

/* ---- one sample among others ---------------------------------------------------------------------------------- */

/* Row 2 of 5, with label and guidance, among the others and alone. */
static void check_alone_in(const dr_component *c, const world *w)
{
    enum { B = 5, ROW = 2 };
    place p;
    enter(&p, w);
    dr_instance *sampler = sampler_with(c, 10, false, !w->unit);
    dr_instance *guidance = built("guidance", "cfg", DR_ARGS(DR_R("scale", 1.5)));
    dr_model_guide(p.f, guidance);
    dr_tensor *x = start_of(&p, DR_F32, B, 4, 4);
    dr_tensor *labels = dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ 0, 1, 2, 3, 4 });
    const dr_rng rng = { .seed = 9, .purpose = dr_purpose("sampler"), .sample = 20 };
    dr_rng third = rng;
    third.sample += ROW;
    dr_model_condition(p.f, labels, NULL, NULL);
    dr_tensor *all = sampled(w, dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL), x);
    dr_tensor *again = sampled(w, dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL), x);
    dr_model_condition(p.f, dr_slice(labels, 0, ROW, 1), NULL, NULL);
    dr_tensor *x_alone = dr_slice(x, 0, ROW, 1);
    dr_tensor *alone = sampled(w, dr_sample(p.f, sampler, x_alone, third, NULL, 0, NULL, NULL), x_alone);
    const double twice = max_difference(all, again), off = max_difference(dr_slice(all, 0, ROW, 1), alone);
    expect(twice == 0.0, "on %s: the same noise and seed twice give samples that differ by %.3g", w->process, twice);
    expect(off == 0.0, "on %s: a sample differs by %.3g when it is alone in its batch", w->process, off);
    expect(max_difference(dr_slice(all, 0, ROW + 1, 1), alone) > 0.0, "on %s: all samples are the same", w->process);
    dr_model_condition(p.f, dr_slice(labels, 0, 0, B - 1), NULL, NULL);
    expect(!dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL), "4 labels are taken for 5 images");
    expect_error("labels: 4 rows for 5 images");
    leave(&p);
    dr_instance_free(guidance);
    dr_instance_free(sampler);
}

static void check_alone(const dr_component *c)
{
    for (int i = 0; i < WORLDS; i++) check_alone_in(c, &worlds[i]);
}

/* ---- clips ------------------------------------------------------------------------------------------------------ */

static int64_t applied;

static dr_tensor *counting(void *self, dr_tensor *x0)
{
    (void)self;
    applied++;
    return dr_clamp(x0, 0.3, 0.5);
}

/* The data are N(0.4, 0.6^2), so that most of what is sampled without a clip lies outside. What is left of an ODE's
 * last step is a hundredth of the way. */
static void check_clip_in(const dr_component *c, const world *w)
{
    static const dr_clip api = { .size = sizeof api, .apply = counting };
    static const dr_component component = { .size = sizeof component, .kind = "clip/1", .name = "counting" };
    dr_instance clip = { .component = &component, .iface = &api };
    place p;
    walk_args a;
    enter(&p, w);
    default_args(c, &a);
    if (has_param(c, "steps") && !has_param(c, "adaptive")) add_arg(&a, (dr_arg)DR_I("steps", 100));
    if (!w->unit && has_param(c, "variance")) add_arg(&a, (dr_arg)DR_S("variance", "posterior"));
    if (has_param(c, "rtol")) { /* a clip has kinks, which cost an adaptive walk many steps */
        add_arg(&a, (dr_arg)DR_R("rtol", 1e-3));
        add_arg(&a, (dr_arg)DR_R("atol", 1e-3));
    }
    dr_instance *sampler = built("sampler", c->name, a.args);
    const dr_rng rng = { .seed = 3, .purpose = dr_purpose("sampler") };
    dr_tensor *x = start_of(&p, DR_F32, 3, 6, 3);
    dr_tensor *free_y = sampled(w, dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL), x);
    dr_model_clip(p.f, &clip);
    applied = 0;
    const int64_t before = dr_model_calls(p.f);
    dr_tensor *y = sampled(w, dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL), x);
    expect(applied > 0 && applied == dr_model_calls(p.f) - before, "on %s: of %lld estimates %lld were clipped",
           w->process, (long long)(dr_model_calls(p.f) - before), (long long)applied);
    const double off = dr_tensor_item(dr_amax(dr_abs(dr_affine(1.0, y, -0.4)), 0, NULL, false));
    const double off_free = dr_tensor_item(dr_amax(dr_abs(dr_affine(1.0, free_y, -0.4)), 0, NULL, false));
    check_note("        %s: within %.4f of the middle, without a clip %.2f", w->process, off, off_free);
    expect(off < 0.1 + 0.03 && off_free > 0.5,
           "on %s: estimates clipped to within 0.1 give samples within %.3g (without a clip: %.3g)", w->process, off,
           off_free);
    dr_instance_free(sampler);
    leave(&p);
}

static void check_clip(const dr_component *c)
{
    for (int i = 0; i < WORLDS; i++) check_clip_in(c, &worlds[i]);
}

const check sampler_checks[] = {
    { "converges at the order that it declares", check_order },
    { "samples have the data's moments", check_everywhere },
    { "a sample does not depend on its batch", check_alone },
    { "estimates of the data can be clipped", check_clip },
    { NULL, NULL },
};
