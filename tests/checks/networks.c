/* networks.c: weights moved, saved and held to their gradients, see networks.h. */
#include "networks.h"

#include "tensor.h"

#include <math.h>

static double square_norm(dr_tensor *t) { return dr_tensor_item(dr_sum(dr_square(t), 0, NULL, false)); }

static void move(dr_tensor *w, double step, dr_tensor *direction)
{
    const bool recording = dr_grad_mode(false);
    dr_assign(w, dr_axpy(step, direction, w));
    dr_grad_mode(recording);
    expect_ok("a weight cannot be moved");
}

void shake_weights(dr_module *root)
{
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        const dr_named *n = dr_module_named_at(root, i);
        if (n->is_buffer) continue;
        const dr_view *v = dr_tensor_view(n->tensor);
        move(n->tensor, 0.3, noise(DR_F32, v->rank, v->shape, 100 + (uint32_t)i));
    }
}

void expect_live_weights(dr_module *root, bool not_zero)
{
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        const dr_named *n = dr_module_named_at(root, i);
        if (n->is_buffer) continue;
        dr_tensor *g = dr_grad(n->tensor);
        expect(g != NULL, "weight %s gets no gradient: nothing that the output depends on uses it", n->path);
        const double square = square_norm(g);
        expect(isfinite(square), "the gradient of %s is not finite", n->path);
        expect(!not_zero || square > 0.0, "the gradient of weight %s is 0 everywhere: the output does not depend on it",
               n->path);
    }
}

/* The tensor's own fields are exchanged: its users hold the tensor, and no plan is recorded of it. */
static bool widen(dr_tensor *t)
{
    const bool recording = dr_grad_mode(false);
    dr_tensor *wide = dr_tensor_view(t)->dtype == DR_F32 ? dr_cast(t, DR_F64) : NULL;
    dr_grad_mode(recording);
    if (!wide) return !dr_failed();
    const dr_view view = t->view;
    dr_storage *storage = t->storage;
    t->view = wide->view, t->storage = wide->storage;
    wide->view = view, wide->storage = storage;
    return true;
}

bool widen_weights(dr_module *root)
{
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        if (!widen(dr_module_named_at(root, i)->tensor)) return false;
    }
    return true;
}

static void save(dr_module *root, const char *path)
{
    dr_save *s = expect_made(dr_save_begin(), "a checkpoint");
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        const dr_named *n = dr_module_named_at(root, i);
        dr_save_tensor(s, n->path, n->tensor);
    }
    dr_save_commit(s, path);
    expect_ok("its weights cannot be saved");
}

void expect_saved_and_loaded(dr_module *from, dr_module *to, const char *path)
{
    save(from, path);
    dr_file *f = expect_made(dr_file_open(path), "the checkpoint cannot be read");
    expect(dr_file_count(f) == dr_module_named_count(to),
           "%lld tensors were saved, and another network of the same parameters has %lld", (long long)dr_file_count(f),
           (long long)dr_module_named_count(to));
    for (int64_t i = 0; i < dr_module_named_count(to); i++) {
        const dr_named *n = dr_module_named_at(to, i);
        dr_assign(n->tensor, dr_file_tensor(f, n->path, -1));
        expect_ok(n->path);
    }
    dr_file_close(f);
}

/* ---- slopes ------------------------------------------------------------------------------------------------------ */

typedef struct slope {
    dr_tensor *(*loss)(void *ctx);
    void *ctx;
    bool wide;
} slope;

static double loss_of(const slope *s)
{
    dr_scope_open();
    const double value = dr_tensor_item(s->loss(s->ctx));
    dr_scope_close();
    expect_ok("the loss");
    return value;
}

/* f(w + h g) - f(w - h g) = 2 h |g|^2. In f32 the difference rounds: at most by some units of the loss's last place. */
static void along_gradient(const slope *s, dr_tensor *w, dr_tensor *g, const char *name)
{
    const double square = square_norm(g), size = sqrt(square);
    if (size < (s->wide ? 1e-9 : 1e-3))
        return; /* a bias that a normalisation takes away again has rounding's gradient */
    double slope_seen = 0.0;
    const double lengths[] = { s->wide ? 1e-5 : 2e-3, s->wide ? 1e-7 : 5e-4 }; /* a kink may lie within the first */
    for (int k = 0; k < 2; k++) {
        const double h = lengths[k] / size;
        move(w, h, g);
        const double above = loss_of(s);
        move(w, -2 * h, g);
        const double below = loss_of(s);
        move(w, h, g);
        slope_seen = (above - below) / (2 * h * square);
        const double rounding = s->wide ? 0.0 : 2e-6 * (1.0 + fabs(above)) / (2 * h * square);
        if (fabs(slope_seen - 1.0) < (s->wide ? 1e-3 : 0.05) + rounding) return;
    }
    expect(isfinite(slope_seen), "gradient of %s: along it the loss is not finite", name);
    check_fail("gradient of %s: along it the loss changes %.6g times as much as it says (finite differences)", name,
               slope_seen);
}

void expect_slopes(dr_module *root, dr_tensor *const *others, int n_others, dr_tensor *(*loss)(void *ctx), void *ctx,
                   bool wide)
{
    const slope s = { loss, ctx, wide };
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        const dr_named *n = dr_module_named_at(root, i);
        dr_tensor *g = n->is_buffer ? NULL : dr_grad(n->tensor);
        if (g) along_gradient(&s, n->tensor, g, n->path);
    }
    for (int i = 0; i < n_others; i++) {
        char name[32];
        snprintf(name, sizeof name, "input %d", i + 1);
        if (others[i] && dr_has_requires_grad(others[i]) && dr_grad(others[i]))
            along_gradient(&s, others[i], dr_grad(others[i]), name);
    }
}
