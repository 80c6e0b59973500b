/* weight.c: what a block declares in create(): weights, buffers, children. The module that is being built owns them.
 * A weight starts from a Philox stream keyed by (seed, path), so two networks start equal wherever they are equal. */
#include "module.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void dr_own_free(dr_own *o)
{
    dr_release(o->tensor);
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

static bool path_taken(const dr_module *m, const char *path)
{
    for (int64_t i = 0; i < m->own_count; i++) {
        if (strcmp(m->own[i].path, path) == 0) return true;
    }
    for (int64_t i = 0; i < m->child_count; i++) {
        if (path_taken(m->children[i], path)) return true;
    }
    return false;
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

/* A new tensor under name; on a reload the one that is there keeps its values. */
static dr_tensor *declare(dr_builder *b, const char *name, dr_dtype dtype, int rank, const int64_t *shape, bool is_buffer, dr_init init)
{
    if (dr_failed()) return NULL;
    dr_module *m = b->module;
    dr_tensor *t = declared_before(m, name, rank, shape);
    if (t) return t;
    char *path = joined(m->path, name);
    dr_own *own = path ? realloc(m->own, (size_t)(m->own_count + 1) * sizeof *own) : NULL;
    if (own) m->own = own;
    if (own && path_taken(m->root, path)) {
        dr_fail(DR_EINVAL, "two weights have the name '%s'", path);
    } else if (own) {
        t = first_value(m->root, path, dtype, rank, shape, is_buffer, init);
    }
    if (!t) {
        if (!dr_failed()) dr_fail(DR_ENOMEM, "out of memory for weight '%s'", name);
        free(path);
        return NULL;
    }
    if (!is_buffer && !m->root->frozen) dr_requires_grad(t, true);
    m->own[m->own_count++] = (dr_own){ .path = path, .name = path + strlen(path) - strlen(name), .tensor = t, .is_buffer = is_buffer };
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
