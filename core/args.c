/* args.c: parameters as they were given, copied with all that they point to. Who makes a component keeps them, so that it
 * can be made once more: when its plugin is reloaded, defaults are the new version's and what was given stays. */
#include "reload.h"

#include <stdlib.h>
#include <string.h>

static void free_values(dr_arg *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        dr_arg *a = &v[i];
        free((char *)(uintptr_t)a->name);
        free((char *)(uintptr_t)a->text);
        if (a->type == DR_PARAM_TENSOR) {
            dr_release((dr_tensor *)(uintptr_t)a->list);
        } else {
            free((void *)(uintptr_t)a->list);
        }
        dr_args_free((dr_args *)(uintptr_t)a->children);
    }
    free(v);
}

void dr_args_free(dr_args *args)
{
    if (!args) return;
    free_values((dr_arg *)(uintptr_t)args->v, args->n);
    free(args);
}

static char *copy_text(const char *text, bool *ok)
{
    char *copy = text ? strdup(text) : NULL;
    *ok &= copy || !text;
    return copy;
}

static void *copy_list(const void *list, size_t bytes, bool *ok)
{
    void *copy = list ? malloc(bytes) : NULL;
    *ok &= copy || !list;
    if (copy) memcpy(copy, list, bytes);
    return copy;
}

/* to is zeroed, and complete enough to be freed where this fails. */
static bool copy_value(const dr_arg *from, dr_arg *to)
{
    bool ok = true;
    *to = (dr_arg){ .type = from->type, .i = from->i, .r = from->r, .fn = from->fn };
    to->name = copy_text(from->name, &ok);
    const bool has_text = from->type == DR_PARAM_STRING || from->type == DR_PARAM_COMPONENT;
    if (has_text) to->text = copy_text(from->text, &ok);
    if (from->type == DR_PARAM_INTS) to->list = copy_list(from->list, sizeof(dr_ints), &ok);
    if (from->type == DR_PARAM_REALS) to->list = copy_list(from->list, sizeof(dr_reals), &ok);
    if (from->type == DR_PARAM_TENSOR) to->list = dr_retain((dr_tensor *)(uintptr_t)from->list);
    if (from->children) to->children = dr_args_copy(*from->children);
    return ok && (to->children || !from->children);
}

dr_args *dr_args_copy(dr_args args)
{
    dr_args *copy = calloc(1, sizeof *copy);
    dr_arg *v = calloc((size_t)args.n + 1, sizeof *v);
    bool ok = copy && v;
    for (int64_t i = 0; i < args.n && ok; i++) ok = copy_value(&args.v[i], &v[i]);
    if (ok) {
        *copy = (dr_args){ v, args.n };
        return copy;
    }
    if (v) free_values(v, args.n);
    free(copy);
    dr_fail(DR_ENOMEM, "out of memory for parameters");
    return NULL;
}
