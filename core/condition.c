/* condition.c: what a model is conditioned on. A condition is a label, tokens and an image, any of them; beside each is its
 * null condition, in which label and tokens are dropped: by mask 0, or by tokens that stand for none (T5 of "") where the
 * network has no mask. Tensors have a row for each image, or one for all.
 * A model has one condition or several, all for the same images. What guidance is given stands for all of them (dr_cond.part);
 * guidance that asks for several estimates shares them out: its i-th of n estimates gets the i-th of n equal parts, which
 * guidance further inside may share out again. The network takes one. */
#include "model.h"
#include "tensor.h"

#include <stdlib.h>
#include <string.h>

enum { VALUES = sizeof(dr_cond_values) / sizeof(dr_tensor *) };

static void values_of(const dr_cond_values *v, dr_tensor *out[VALUES]) { memcpy(out, v, sizeof *v); }

static void free_pair(cond_pair *p)
{
    dr_tensor *t[VALUES];
    if (!p) return;
    values_of(&p->given.v, t);
    for (int i = 0; i < VALUES; i++) dr_release(t[i]);
    for (int i = 0; p->made && i < p->given.parts; i++) free_pair(p->made[i]);
    free(p->made);
    free(p);
}

/* The pair stands for these n. */
static void set_parts(cond_pair *p, cond_pair *const *part, int n, bool is_part)
{
    p->given.part = p->null.part = n > 1 ? part : NULL;
    p->given.parts = p->null.parts = n;
    p->given.is_part = p->null.is_part = is_part;
}

static cond_pair *new_pair(const dr_cond_values *v)
{
    dr_tensor *t[VALUES];
    cond_pair *p = calloc(1, sizeof *p);
    if (!p) {
        dr_fail(DR_ENOMEM, "no memory for a condition");
        return NULL;
    }
    values_of(v, t);
    for (int i = 0; i < VALUES; i++) dr_retain(t[i]);
    p->null = (dr_cond){ .v = *v, .dropped = true, .null = &p->null };
    p->given = (dr_cond){ .v = *v, .null = &p->null };
    set_parts(p, NULL, 1, true);
    return p;
}

/* After f->cond has changed. */
static void set_own(dr_model *f)
{
    const dr_cond_values v = f->conds > 0 ? f->cond[0]->given.v : (dr_cond_values){ 0 };
    f->own.null = (dr_cond){ .v = v, .dropped = true, .null = &f->own.null };
    f->own.given = (dr_cond){ .v = v, .null = &f->own.null };
    set_parts(&f->own, f->cond, f->conds, false);
}

/* ---- giving them ------------------------------------------------------------------------------------------------ */

static dr_status check_form(const char *what, dr_tensor *t, int rank, int dtype, const char *expected)
{
    const dr_view *v = dr_tensor_view(t);
    char text[128];
    if (!v || (v->rank == rank && (dtype < 0 || v->dtype == dtype))) return DR_OK;
    return dr_fail(DR_ESHAPE, "%s should be %s, got %s", what, expected, dr_view_text(v, text, sizeof text));
}

/* Null tokens stand where tokens do: they may differ in rows alone. */
static dr_status check_null_tokens(const dr_cond_values *c)
{
    const dr_view *a = dr_tensor_view(c->tokens), *b = dr_tensor_view(c->null_tokens);
    char x[128], y[128];
    if (!b) return c->null_tokens_mask ? dr_fail(DR_EINVAL, "a mask of null tokens without null tokens") : DR_OK;
    if (!a) return dr_fail(DR_EINVAL, "null tokens without tokens that they stand for");
    if (a->rank == 3 && b->rank == 3 && a->shape[1] == b->shape[1] && a->shape[2] == b->shape[2]) return DR_OK;
    return dr_fail(DR_ESHAPE, "null tokens %s stand for tokens %s: both should be [B,L,D], with one L and D",
                   dr_view_text(b, x, sizeof x), dr_view_text(a, y, sizeof y));
}

static dr_status check_values(const dr_cond_values *c)
{
    if (check_form("labels", c->label, 1, DR_I32, "i32[B]") != DR_OK ||
        check_form("an image that is a condition", c->image, 4, -1, "[B,C,H,W]") != DR_OK ||
        check_form("image levels", c->image_level, 1, DR_F32, "f32[B]") != DR_OK || check_null_tokens(c) != DR_OK)
        return dr_failed();
    return DR_OK;
}

static void free_all(cond_pair **p, int n)
{
    for (int i = 0; i < n; i++) {
        free_pair(p[i]);
        p[i] = NULL;
    }
}

void dr_model_step_done(dr_model *f)
{
    while (f->step_conds) {
        cond_pair *next = f->step_conds->next;
        free_pair(f->step_conds);
        f->step_conds = next;
    }
}

void dr_model_drop_conditions(dr_model *f)
{
    dr_model_step_done(f);
    dr_model_all_rows(f);
    free_all(f->cond, f->conds);
    f->conds = 0;
    set_own(f);
}

dr_status dr_model_conditions(dr_model *f, const dr_cond_values *c, int n)
{
    cond_pair *fresh[MAX_CONDITIONS] = { NULL };
    if (dr_failed() || dr_model_check_idle(f, "a condition is given") != DR_OK) return dr_failed();
    if (n < 1 || n > MAX_CONDITIONS) {
        return dr_fail(DR_EINVAL, "%d conditions; a model has 1 to %d", n, MAX_CONDITIONS);
    }
    for (int i = 0; i < n; i++) {
        if (check_values(&c[i]) == DR_OK) fresh[i] = new_pair(&c[i]);
        if (!fresh[i]) {
            free_all(fresh, i);
            return dr_failed();
        }
    }
    dr_model_drop_conditions(f);
    memcpy(f->cond, fresh, sizeof fresh);
    f->conds = n;
    set_own(f);
    return DR_OK;
}

dr_status dr_model_condition(dr_model *f, dr_tensor *label, dr_tensor *tokens, dr_tensor *tokens_mask)
{
    return dr_model_conditions(f, &(dr_cond_values){ .label = label, .tokens = tokens, .tokens_mask = tokens_mask }, 1);
}

/* ---- what guidance asks ----------------------------------------------------------------------------------------- */

int dr_cond_count(dr_model *f) { return f->conds; }

const dr_cond *dr_cond_at(dr_model *f, int i)
{
    if (i >= 0 && i < f->conds) return &f->cond[i]->given;
    dr_fail(DR_EINVAL, "condition %d is asked for, of %d that were given", i + 1, f->conds);
    return NULL;
}

const dr_cond *dr_cond_null_of(dr_model *f, const dr_cond *cond) { return cond ? cond->null : &f->own.null; }
const dr_cond *dr_cond_null(dr_model *f) { return dr_cond_null_of(f, NULL); }
dr_tensor *dr_cond_image(const dr_cond *cond) { return cond ? cond->v.image : NULL; }
int dr_cond_size(const dr_cond *cond) { return cond ? cond->parts : 0; }

/* Lasts for the step; the given or the null one, as `like` is. */
static const dr_cond *for_this_step(dr_model *f, cond_pair *p, const dr_cond *like)
{
    if (!p) return NULL;
    p->next = f->step_conds;
    f->step_conds = p;
    return like->dropped ? &p->null : &p->given;
}

const dr_cond *dr_cond_part(dr_model *f, const dr_cond *cond, int i, int n)
{
    const dr_cond *all = cond ? cond : &f->own.given;
    if (dr_failed()) return NULL;
    if (n < 1 || i < 0 || i >= n || all->parts % n != 0) {
        dr_fail(DR_EINVAL, "%d condition%s cannot be shared out to %d estimates, each its equal part", all->parts,
                all->parts == 1 ? "" : "s", n);
        return NULL;
    }
    if (n == 1) return all;
    const int size = all->parts / n;
    cond_pair *first = all->part[i * size];
    if (size == 1) return all->dropped ? &first->null : &first->given;
    cond_pair *p = new_pair(&first->given.v);
    if (p) set_parts(p, all->part + i * size, size, true);
    return for_this_step(f, p, all);
}

static cond_pair *mapped(const dr_cond_values *of, dr_image_map_fn *map, void *ctx)
{
    dr_cond_values v = *of;
    v.image = map(ctx, of->image);
    if (dr_failed()) return NULL;
    if (of->image && !v.image) {
        dr_fail(DR_EINTERNAL, "the image of a condition became nothing, and it was not said why");
        return NULL;
    }
    return check_form("an image that is a condition", v.image, 4, -1, "[B,C,H,W]") == DR_OK ? new_pair(&v) : NULL;
}

const dr_cond *dr_cond_map_image(dr_model *f, const dr_cond *cond, dr_image_map_fn *map, void *ctx)
{
    const dr_cond *from = cond ? cond : &f->own.given;
    if (dr_failed()) return NULL;
    if (from->parts == 1) return for_this_step(f, mapped(&from->v, map, ctx), from);
    cond_pair **made = calloc((size_t)from->parts, sizeof *made);
    if (!made) {
        dr_fail(DR_ENOMEM, "no memory for conditions");
        return NULL;
    }
    for (int i = 0; i < from->parts && !dr_failed(); i++) made[i] = mapped(&from->part[i]->given.v, map, ctx);
    cond_pair *p = dr_failed() ? NULL : new_pair(&made[0]->given.v);
    if (!p) {
        free_all(made, from->parts);
        free(made);
        return NULL;
    }
    p->made = made;
    set_parts(p, made, from->parts, from->is_part);
    return for_this_step(f, p, from);
}

static dr_tensor *this_one(void *ctx, dr_tensor *image)
{
    (void)image;
    return ctx;
}

const dr_cond *dr_cond_with_image(dr_model *f, const dr_cond *cond, dr_tensor *image)
{
    if (image) return dr_cond_map_image(f, cond, this_one, image);
    if (!dr_failed()) dr_fail(DR_EINVAL, "a condition with another image: the image is missing");
    return NULL;
}

/* ---- some rows alone -------------------------------------------------------------------------------------------- */

static const char *const names[VALUES] = { "labels", "tokens", "masks of tokens", "images", "image levels",
                                           "null tokens", "masks of null tokens" };

static dr_status check_rows(const char *what, dr_tensor *t, int64_t B)
{
    const dr_view *v = dr_tensor_view(t);
    if (!v || (v->rank > 0 && (v->shape[0] == B || v->shape[0] == 1))) return DR_OK;
    return dr_fail(DR_ESHAPE, "%s: %lld rows for %lld images", what, v->rank > 0 ? (long long)v->shape[0] : 1LL,
                   (long long)B);
}

static bool is_one_row(const dr_tensor *t) { return dr_tensor_view(t)->shape[0] == 1; }

static cond_pair *rows_of(const cond_pair *p, int64_t first, int64_t n, int64_t of)
{
    dr_tensor *t[VALUES];
    dr_cond_values v;
    values_of(&p->given.v, t);
    for (int i = 0; i < VALUES; i++) {
        if (check_rows(names[i], t[i], of) != DR_OK) return NULL;
        if (t[i] && !is_one_row(t[i])) t[i] = dr_slice(t[i], 0, first, n);
    }
    memcpy(&v, t, sizeof v);
    return dr_failed() ? NULL : new_pair(&v);
}

void dr_model_all_rows(dr_model *f)
{
    if (!f->narrowed) return;
    f->narrowed = false;
    free_all(f->cond, f->conds);
    memcpy(f->cond, f->whole, sizeof f->whole);
    set_own(f);
}

dr_status dr_model_rows(dr_model *f, int64_t first, int64_t n, int64_t of)
{
    cond_pair *some[MAX_CONDITIONS] = { NULL };
    dr_model_all_rows(f);
    for (int i = 0; i < f->conds && !dr_failed(); i++) some[i] = rows_of(f->cond[i], first, n, of);
    if (dr_failed()) {
        free_all(some, f->conds);
        return dr_failed();
    }
    memcpy(f->whole, f->cond, sizeof f->whole);
    memcpy(f->cond, some, sizeof some);
    set_own(f);
    f->narrowed = true;
    return DR_OK;
}

/* ---- for a call of the network ---------------------------------------------------------------------------------- */

bool dr_cond_is_given(const dr_cond *c)
{
    bool given = c->v.label || c->v.tokens;
    for (int i = 0; c->parts > 1 && i < c->parts && !given; i++) given = dr_cond_is_given(&c->part[i]->given);
    return given;
}

/* B rows of what has B or one. */
static dr_tensor *to_rows(const char *what, dr_tensor *t, int64_t B)
{
    int64_t shape[DR_MAX_RANK];
    if (check_rows(what, t, B) != DR_OK || !t || dr_tensor_view(t)->shape[0] == B) return dr_failed() ? NULL : t;
    const dr_view *v = dr_tensor_view(t);
    memcpy(shape, v->shape, sizeof shape);
    shape[0] = B;
    return dr_contiguous(dr_expand(t, v->rank, shape), DR_LAYOUT_ROW);
}

/* The mask of tokens, which both halves have where one has it. */
static dr_tensor *mask_of_tokens(const dr_cond_values *c, bool null, int64_t B)
{
    dr_tensor *own = null ? c->null_tokens_mask : c->tokens_mask, *other = null ? c->tokens_mask : c->null_tokens_mask;
    if (own || !other || !c->tokens) return to_rows(names[null ? 6 : 2], own, B);
    const int64_t shape[2] = { B, dr_tensor_view(c->tokens)->shape[1] };
    return dr_tensor_full((dr_dtype)dr_tensor_view(other)->dtype, 2, shape, 1.0);
}

dr_status dr_cond_batch(const dr_cond *c, int64_t B, dr_batch_cond *out)
{
    const dr_cond_values *v = &c->v;
    const bool null_tokens = c->dropped && v->null_tokens; /* then tokens need no mask to be dropped */
    const bool masked = c->dropped && (v->label || !null_tokens);
    if (c->parts > 1 && c->is_part) {
        return dr_fail(DR_EINVAL, "%d conditions reached the network, which takes one: more were given than the guidance uses",
                       c->parts);
    }
    *out = (dr_batch_cond){ .label = to_rows(names[0], v->label, B),
                            .tokens = null_tokens ? to_rows(names[5], v->null_tokens, B)
                                                  : to_rows(names[1], v->tokens, B),
                            .image = to_rows(names[3], v->image, B),
                            .image_level = to_rows(names[4], v->image_level, B) };
    if (!dr_failed()) out->tokens_mask = mask_of_tokens(v, null_tokens, B);
    if (!dr_failed() && dr_cond_is_given(c)) out->mask = dr_tensor_full(DR_F32, 1, &B, masked ? 0.0 : 1.0);
    return dr_failed();
}
