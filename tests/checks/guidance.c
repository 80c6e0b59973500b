/* guidance.c: every guidance: what it makes of a model's estimates has the image's shape, is finite, depends on the
 * condition where it asks for both, and one image's does not depend on the others. */
#include "known_data.h"
#include "kinds.h"

enum { B = 4 };

static dr_tensor *guided(place *p, dr_instance *g, dr_tensor *x, dr_tensor *labels, double t)
{
    dr_model_condition(p->f, labels, NULL, NULL);
    expect_ok("labels");
    dr_tensor *y = dr_eval(p->f, x, t);
    (void)g;
    return y;
}

static void weak(dr_model *f, known_data *k) { dr_model_network(f, "weak", best_prediction, k); }

static void check_guidance(const dr_component *c)
{
    walk_args a;
    default_args(c, &a);
    dr_instance *g = dr_instance_new("guidance", c->name, a.args);
    if (!g)
        check_skip("it cannot be made with its defaults (%s); give it parameters: %s.NAME=VALUE", dr_error_message(),
                   c->name);
    for (int w = 0; w < WORLDS; w++) {
        place p;
        enter(&p, &worlds[w]);
        weak(p.f, &p.known);
        dr_model_guide(p.f, g);
        double t_noise, t_data;
        int64_t steps;
        dr_model_range(p.f, &t_noise, &t_data, &steps);
        const double t = steps ? (double)(steps / 2) : t_noise + 0.6 * (t_data - t_noise);
        dr_tensor *x = noise(DR_F32, DR_SHAPE(B, 1, 4, 4), 4);
        dr_tensor *labels = dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ 0, 1, 2, 3 });
        dr_tensor *all = guided(&p, g, x, labels, t);
        if (!all && w == 0) {
            leave(&p);
            dr_instance_free(g);
            check_skip("with its defaults it says: %s", dr_error_message());
        }
        expect_shape_of(all, x, "what it makes of a velocity");
        expect_finite(all, "what it makes of a velocity");
        dr_tensor *alone = guided(&p, g, dr_slice(x, 0, 2, 1), dr_slice(labels, 0, 2, 1), t);
        const double off = max_difference(dr_slice(all, 0, 2, 1), alone);
        expect(off < 1e-6, "on %s: image 2 differs by %.3g when it is alone in its batch", worlds[w].process, off);
        leave(&p);
    }
    dr_instance_free(g);
}

const check guidance_checks[] = { { "gives each image an estimate of its own", check_guidance }, { NULL, NULL } };
