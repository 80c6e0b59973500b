/* weight.c: what a block declares in create(): weights, buffers, children. The module that is being built owns them.
 * A weight starts from a Philox stream keyed by (seed, path), so two networks start equal wherever they are equal. */
#include "module.h"
#include "tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void dr_own_free(dr_own *o)
{
    dr_release(o->tensor);
    dr_release(o->before);
    free(o->path);
}

static uint64_t path_hash(const char *path) /* FNV-1a, 64 bits */
{
    uint64_t h = 14695981039346656037u;
    for (const unsigned char *p = (const unsigned char *)path; *p; p++) h = (h ^ *p) * 1099511628211u;
    return h;
}

/* Four values from one counter; the normal ones by Box-Muller, in double and rounded once. */
static void initial_values(float *v, int64_t n, dr_init init, uint64_t seed, const char *path)
{
    const uint64_t hash = path_hash(path);
    const double two_pi = 6.283185307179586476925286766559;
    for (int64_t i = 0; i < n; i += 4) {
        const uint32_t counter[4] = { (uint32_t)(i / 4), (uint32_t)hash, (uint32_t)(hash >> 32), dr_purpose("weights") };
        uint32_t word[4];
        dr_philox(seed, counter, word);
        for (int k = 0; k < 4 && i + k < n; k++) {
            if (init.kind == DR_INIT_UNIFORM) {
                v[i + k] = (float)(init.value * (2.0 * ((word[k] >> 8) + 0.5) * 0x1p-24 - 1.0));
                continue;
            }
            const double r = sqrt(-2.0 * log((word[k & 2] + 1.0) * 0x1p-32)), angle = two_pi * word[(k & 2) + 1] * 0x1p-32;
            v[i + k] = (float)(init.value * r * (k & 1 ? sin(angle) : cos(angle)));
        }
    }
}

static dr_status initialise(dr_tensor *t, dr_init init, uint64_t seed, const char *path)
{
    if (init.kind == DR_INIT_CONSTANT) return dr_fill(t, init.value);
    const dr_view *view = dr_tensor_view(t);
    int64_t n;
    if (!dr_checked_size(path, DR_F32, view->rank, view->shape, &n, NULL)) return dr_failed();
    float *v = malloc((size_t)(n > 0 ? n : 1) * sizeof *v);
    if (!v) return dr_fail(DR_ENOMEM, "%s: out of memory for its initial values", path);
    initial_values(v, n, init, seed, path);
    const dr_status status = dr_tensor_write(t, DR_F32, v);
    free(v);
    return status;
}

static char *joined(const char *a, const char *b)
{
    const bool dot = a[0] && b[0];
    const size_t n = strlen(a) + strlen(b) + 2;
    char *text = malloc(n);
    if (text) {
        snprintf(text, n, "%s%s%s", a, dot ? "." : "", b);
    } else {
        dr_fail(DR_ENOMEM, "out of memory for the name %s", b);
    }
    return text;
}

const dr_own *dr_own_find(const dr_module *m, const char *path)
{
    for (int64_t i = 0; i < m->own_count; i++) {
        if (strcmp(m->own[i].path, path) == 0) return &m->own[i];
    }
    for (int64_t i = 0; i < m->child_count; i++) {
        const dr_own *found = dr_own_find(m->children[i], path);
        if (found) return found;
    }
    return NULL;
}

static dr_tensor *declared_before(const dr_module *m, const char *name, int rank, const int64_t *shape)
{
    for (int64_t i = 0; i < m->own_count; i++) {
        if (strcmp(m->own[i].name, name) != 0) continue;
        const dr_view *v = dr_tensor_view(m->own[i].tensor);
        if (v->rank == rank && memcmp(v->shape, shape, (size_t)rank * sizeof *shape) == 0) return m->own[i].tensor;
    }
    return NULL;
}

/* From the root's files, or from its seed. */
static dr_tensor *first_value(dr_module *root, const char *path, dr_dtype dtype, int rank, const int64_t *shape,
                              bool is_buffer, dr_init init)
{
    if (root->weights) return dr_weights_take(root, path, dtype, rank, shape, is_buffer);
    dr_tensor *t = dr_keep(dr_tensor_new(dtype, rank, shape, DR_LAYOUT_ROW));
    if (t && initialise(t, init, root->seed, path) == DR_OK) return t;
    dr_release(t);
    return NULL;
}

/* ---- on a reload -------------------------------------------------------------------------------------------------- */

/* The module that is being made to take another's place, of which m is a part; NULL: there is none. */
static dr_module *renewed_around(dr_module *m)
{
    while (m && !m->renews) m = m->parent;
    return m;
}

static dr_tensor *copy_of(dr_tensor *t)
{
    if (dr_tensor_is_frozen(t)) return NULL; /* nobody can write to it */
    dr_tensor *copy = dr_keep(dr_tensor_make(t->storage->device, &t->view));
    if (copy && dr_assign(copy, t) == DR_OK) return copy;
    dr_release(copy);
    return NULL;
}

/* The tensor of that path which is there already. */
static dr_tensor *kept(const dr_module *old, const char *path, dr_dtype dtype, int rank, const int64_t *shape, bool is_buffer)
{
    const dr_own *own = dr_own_find(old, path);
    dr_view wanted = { .dtype = dtype, .rank = rank };
    char a[128], b[128];
    if (rank >= 0 && rank <= DR_MAX_RANK) memcpy(wanted.shape, shape, (size_t)rank * sizeof *shape);
    if (!own) {
        dr_fail(DR_EINVAL, "the new version declares %s '%s' %s, which the running network does not have", is_buffer ? "a buffer" :
                "a weight", path, dr_view_text(&wanted, a, sizeof a));
        return NULL;
    }
    const dr_view *v = dr_tensor_view(own->tensor);
    const bool is_float = v->dtype != (int32_t)dtype && dr_tensor_is_frozen(own->tensor) && dtype == DR_F32; /* as it lies in a file */
    const bool same = (v->dtype == (int32_t)dtype || is_float) && v->rank == rank && own->is_buffer == is_buffer &&
                      memcmp(v->shape, wanted.shape, (size_t)rank * sizeof *shape) == 0;
    if (same) return dr_retain(own->tensor);
    dr_fail(DR_ESHAPE, "the new version declares %s '%s' as %s, and the running network has %s %s", is_buffer ? "buffer" : "weight",
            path, dr_view_text(&wanted, a, sizeof a), own->is_buffer ? "a buffer" : "a weight", dr_view_text(v, b, sizeof b));
    return NULL;
}

static dr_status settle(dr_module *m)
{
    for (int64_t i = 0; i < m->own_count; i++) {
        dr_own *o = &m->own[i];
        if (o->before && o->tensor->storage->version != o->version) dr_assign(o->tensor, o->before);
        dr_release(o->before);
        o->before = NULL;
    }
    for (int64_t i = 0; i < m->child_count; i++) settle(m->children[i]);
    return dr_failed();
}

static dr_status check_all_kept(const dr_module *old, const dr_module *renewed)
{
    for (int64_t i = 0; i < old->own_count; i++) {
        const char *path = old->own[i].path;
        if (dr_own_find(renewed, path)) continue;
        return dr_fail(DR_EINVAL, "the new version does not declare '%s' any more, which the running network has", path);
    }
    for (int64_t i = 0; i < old->child_count; i++) {
        if (check_all_kept(old->children[i], renewed) != DR_OK) return dr_failed();
    }
    return DR_OK;
}

dr_status dr_own_settle(dr_module *renewed, dr_status status)
{
    char message[1024];
    snprintf(message, sizeof message, "%s", dr_error_message());
    dr_error_clear(); /* else nothing could be written back */
    dr_scope_open();
    settle(renewed);
    dr_scope_close();
    if (status == DR_OK) return dr_failed() ? dr_failed() : check_all_kept(renewed->renews, renewed);
    dr_error_clear();
    dr_error_push(""); /* it has its place already */
    dr_fail(status, "%s", message);
    dr_error_pop();
    return status;
}

/* ---- what create() asks for -------------------------------------------------------------------------------------- */

/* A new tensor under name; on a reload the one that is there. */
static dr_tensor *declare(dr_builder *b, const char *name, dr_dtype dtype, int rank, const int64_t *shape, bool is_buffer, dr_init init)
{
    if (dr_failed()) return NULL;
    dr_module *m = b->module;
    char what[128];
    snprintf(what, sizeof what, "%s '%s'", is_buffer ? "buffer" : "weight", name);
    if (!dr_checked_size(what, dtype, rank, shape, NULL, NULL)) return NULL;
    dr_tensor *t = declared_before(m, name, rank, shape);
    if (t) return t;
    char *path = joined(m->path, name);
    dr_own *own = path ? realloc(m->own, (size_t)(m->own_count + 1) * sizeof *own) : NULL;
    if (own) m->own = own;
    dr_module *renewed = renewed_around(m);
    if (own && dr_own_find(renewed ? renewed : m->root, path)) {
        dr_fail(DR_EINVAL, "two weights have the name '%s'", path);
    } else if (own && renewed) {
        t = kept(renewed->renews, path, dtype, rank, shape, is_buffer);
    } else if (own) {
        t = first_value(m->root, path, dtype, rank, shape, is_buffer, init);
    }
    if (!t) {
        if (!dr_failed()) dr_fail(DR_ENOMEM, "out of memory for weight '%s'", name);
        free(path);
        return NULL;
    }
    if (!is_buffer && !m->root->frozen && !renewed) dr_requires_grad(t, true);
    m->own[m->own_count++] = (dr_own){ .path = path, .name = path + strlen(path) - strlen(name), .tensor = t, .is_buffer = is_buffer,
                                       .before = renewed ? copy_of(t) : NULL, .version = t->storage->version };
    return t;
}

dr_tensor *dr_weight(dr_builder *b, const char *name, int rank, const int64_t *shape, dr_init init)
{
    return declare(b, name, DR_F32, rank, shape, false, init);
}

dr_tensor *dr_buffer(dr_builder *b, const char *name, dr_dtype dtype, int rank, const int64_t *shape, double fill)
{
    return declare(b, name, dtype, rank, shape, true, (dr_init){ DR_INIT_CONSTANT, fill });
}

dr_tensor *dr_random_buffer(dr_builder *b, const char *name, int rank, const int64_t *shape, dr_init init)
{
    return declare(b, name, DR_F32, rank, shape, true, init);
}

dr_tensor *dr_module_weight(dr_module *m, const char *name, int rank, const int64_t *shape, dr_init init)
{
    dr_error_push(m->place);
    dr_scope_open();
    dr_tensor *t = dr_weight(&(dr_builder){ m }, name, rank, shape, init);
    dr_scope_close();
    dr_error_pop();
    return t;
}

dr_module *dr_child(dr_builder *b, const char *name, const char *block, dr_args args)
{
    return dr_failed() ? NULL : dr_module_create(b->module, name, "block", block, args);
}

dr_tensor *dr_child_weight(dr_module *child, const char *name)
{
    for (int64_t i = 0; child && i < child->own_count; i++) {
        if (strcmp(child->own[i].name, name) == 0) return child->own[i].tensor;
    }
    return NULL;
}
