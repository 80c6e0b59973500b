/* condition.c: what a model is conditioned on. A condition is a label, tokens and an image, any of them; beside each is its
 * null condition, in which label and tokens are dropped: by mask 0, or by tokens that stand for none (T5 of "") where the
 * network has no mask. A model has one condition or several, all for the same images. Tensors have a row for each image, or
 * one for all. */
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
    free(p);
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
    return p;
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
}

dr_status dr_model_conditions(dr_model *f, const dr_cond_values *c, int n)
{
    cond_pair *fresh[MAX_CONDITIONS] = { NULL };
    if (dr_failed()) return dr_failed();
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

const dr_cond *dr_cond_null_of(dr_model *f, const dr_cond *cond) { return cond ? cond->null : &f->cond[0]->null; }
const dr_cond *dr_cond_null(dr_model *f) { return dr_cond_null_of(f, NULL); }
dr_tensor *dr_cond_image(const dr_cond *cond) { return cond ? cond->v.image : NULL; }

const dr_cond *dr_cond_with_image(dr_model *f, const dr_cond *cond, dr_tensor *image)
{
    const dr_cond *from = cond ? cond : &f->cond[0]->given;
    if (dr_failed() || !image || check_form("an image that is a condition", image, 4, -1, "[B,C,H,W]") != DR_OK) return NULL;
    dr_cond_values v = from->v;
    v.image = image;
    cond_pair *p = new_pair(&v);
    if (!p) return NULL;
    p->next = f->step_conds;
    f->step_conds = p;
    return from->dropped ? &p->null : &p->given;
}

/* ---- some rows alone -------------------------------------------------------------------------------------------- */

static const char *const names[VALUES] = { "labels", "tokens", "masks of tokens", "images", "image levels", "null tokens",
                                           "masks of null tokens" };

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
    f->narrowed = true;
    return DR_OK;
}

/* ---- for a call of the network ---------------------------------------------------------------------------------- */

bool dr_cond_is_given(const dr_cond *c) { return c->v.label || c->v.tokens; }

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
    return dr_tensor_full((dr_dtype)dr_tensor_view(other)->dtype, 2, (int64_t[]){ B, dr_tensor_view(c->tokens)->shape[1] }, 1.0);
}

dr_status dr_cond_batch(const dr_cond *c, int64_t B, dr_batch_cond *out)
{
    const dr_cond_values *v = &c->v;
    const bool null_tokens = c->dropped && v->null_tokens; /* then tokens need no mask to be dropped */
    const bool masked = c->dropped && (v->label || !null_tokens);
    *out = (dr_batch_cond){ .label = to_rows(names[0], v->label, B),
                            .tokens = null_tokens ? to_rows(names[5], v->null_tokens, B) : to_rows(names[1], v->tokens, B),
                            .image = to_rows(names[3], v->image, B),
                            .image_level = to_rows(names[4], v->image_level, B) };
    if (!dr_failed()) out->tokens_mask = mask_of_tokens(v, null_tokens, B);
    if (!dr_failed() && dr_cond_is_given(c)) out->mask = dr_tensor_full(DR_F32, 1, &B, masked ? 0.0 : 1.0);
    return dr_failed();
}
