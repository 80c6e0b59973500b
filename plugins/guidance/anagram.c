/* anagram.c: one picture that is seen in several ways, as one condition's image in each.     Geng et al. 2024, "Visual
 * anagrams: generating multi-view optical illusions with diffusion models"
 *   y = combine over i of V_i^-1(y_i),  y_i = the prediction for V_i x under condition i
 *   drift.sample { ..., conditions = { rabbit, duck }, guidance = { drift.guidance.cfg {},
 *                  drift.guidance.anagram { views = { "identity", drift.view.rotate { degrees = 90 } } } } }
 * A view V is linear, so it may be taken out of any prediction, be it noise, data, v or velocity:
 *   V(p x0 + q eps) = p V x0 + q V eps,  and where V is orthogonal V x = alpha V x0 + sigma V eps is a noisy image too
 * What a view adds to every pixel (negate of data in [0,1]) is part of V x0: x gets alpha times that constant, and the
 * prediction has p times it. An image that is part of the condition (stage II's) is seen in the same way. Variance
 * outputs come back through the view too, and are always averaged. View i takes the i-th equal part of the conditions,
 * which guidance inside may share out again. */
#include <drift/plugin.h>

enum { MEAN = 0, SUM, ALTERNATE };
typedef struct {
    dr_instances views;
    int64_t combine;
} anagram;

static const dr_param params[] = {
    DR_COMPONENT_LIST(anagram, views, "view", "how the picture is seen under condition 1, 2, ...; required"),
    DR_ENUM(anagram, combine, MEAN, "mean|sum|alternate",
            "of the views' predictions; alternate: one view a step, in turn"),
    DR_END,
};

static dr_status check(const anagram *g, const dr_cond *cond)
{
    const int n = (int)g->views.n, given = dr_cond_size(cond);
    if (n == 0)
        return dr_fail(DR_EINVAL, "guidance anagram: views is required: how the picture is seen under each condition");
    if (given % n == 0 && given > 0) return DR_OK;
    return dr_fail(DR_EINVAL,
                   "guidance anagram: %d views take a condition each (conditions = { c1, c2, ... }), but there %s %d",
                   n, given == 1 ? "is" : "are", given);
}

static dr_status check_shape(const dr_instance *view, const char *what, dr_tensor *y, dr_tensor *x)
{
    const dr_view *a = dr_tensor_view(y), *b = dr_tensor_view(x);
    if (!a || !b)
        return dr_failed() ? dr_failed() : dr_fail(DR_EINTERNAL, "view %s returned nothing", view->component->name);
    _Bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) same = a->shape[i] == b->shape[i];
    if (same) return DR_OK;
    return dr_fail(DR_ESHAPE,
                   "guidance anagram: %s back through the view %s has another shape than x: is its inverse one?", what,
                   view->component->name);
}

typedef struct seen { /* images as a view sees them, of which a share alpha is data */
    const dr_instance *view;
    double alpha;
} seen;

static dr_tensor *see(const seen *s, dr_tensor *x)
{
    const double constant = dr_image_view_constant(s->view);
    dr_tensor *y = dr_image_view_apply(s->view, x);
    return constant != 0.0 ? dr_affine(1.0, y, s->alpha * constant) : y;
}

/* How much of a condition's image is data depends on its own noise level, which only the network knows. */
static dr_tensor *see_condition(void *ctx, dr_tensor *image)
{
    const seen *s = ctx;
    if (!image) return NULL;
    if (dr_image_view_constant(s->view) != 0.0) {
        dr_fail(DR_EUNSUPPORTED,
                "guidance anagram: the view %s adds to every pixel, which an image that is a condition does not allow",
                s->view->component->name);
        return NULL;
    }
    return dr_image_view_apply(s->view, image);
}

/* What view i predicts of x, brought back; *variance: its variance output, or NULL. */
static dr_tensor *through(const anagram *g, int i, dr_model *f, dr_tensor *x, double t, const dr_cond *cond,
                          dr_tensor **variance)
{
    dr_coef c;
    dr_model_coef(f, t, &c);
    seen s = { g->views.v[i], c.alpha };
    const dr_cond *part = dr_cond_part(f, cond, i, (int)g->views.n);
    if (part && dr_cond_image(part)) part = dr_cond_map_image(f, part, see_condition, &s);
    if (!part) return NULL;
    dr_tensor *y = dr_predict(f, see(&s, x), t, part);
    dr_tensor *v = dr_variance(f);
    const double shift = c.p * dr_image_view_constant(s.view);
    y = dr_image_view_invert(s.view, shift != 0.0 ? dr_affine(1.0, y, -shift) : y); /* [B,C,H,W] */
    *variance = v ? dr_image_view_invert_variance(s.view, v) : NULL;
    if (check_shape(s.view, "a prediction", y, x) != DR_OK) return NULL;
    if (v && check_shape(s.view, "a variance", *variance, x) != DR_OK) return NULL;
    return y;
}

static dr_tensor *eval(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    const anagram *g = self;
    const int n = (int)g->views.n;
    dr_tensor *y = NULL, *variance = NULL;
    int variances = 0;
    if (check(g, cond) != DR_OK) return NULL;
    const int first = g->combine == ALTERNATE ? (int)(dr_step(f) % n) : 0, count = g->combine == ALTERNATE ? 1 : n;
    for (int i = first; i < first + count; i++) {
        dr_tensor *v, *yi = through(g, i, f, x, t, cond, &v);
        if (!yi) return NULL;
        y = y ? dr_add(y, yi) : yi;
        if (v) variance = variance ? dr_add(variance, v) : v, variances++;
    }
    dr_set_variance(f, variances == count ? dr_scale(1.0 / count, variance) : NULL);
    return g->combine == MEAN ? dr_scale(1.0 / count, y) : y;
}

DR_GUIDANCE(anagram, "One picture, seen in several ways under as many conditions", params, .eval = eval)
