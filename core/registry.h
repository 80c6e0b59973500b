/* registry.h: how plugins put their components into the registry, and the libraries that they come from. Private to the
 * core. */
#ifndef DRIFT_REGISTRY_H
#define DRIFT_REGISTRY_H

#include "drift.h"

void dr_registry_clear(void);
void dr_self_goes(const dr_component *c, void *self); /* definition.c: that struct is about to be freed */
typedef struct dr_registry_copy dr_registry_copy;
dr_registry_copy *dr_registry_copy_new(void);         /* what is registered now; NULL after dr_fail */
void dr_registry_copy_restore(dr_registry_copy *copy); /* that again, and nothing else; cannot fail */
void dr_registry_copy_free(dr_registry_copy *copy);
extern const dr_plugin dr_core_plugin; /* the core's ops, as a plugin's table */

/* plugin.c: a library that is open. */
typedef struct dr_library {
    dr_plugin_info info; /* first: the registry points to it */
    void *handle;        /* of dlopen; NULL: the core itself */
    bool started;        /* load() has run, and unload() has not */
    char *file;          /* what was opened; NULL: path */
    char path[];         /* what the plugin is known by */
} dr_library;
dr_library *dr_library_open(const char *file, const char *path); /* its table is there and fits; none of its code has run */
dr_status dr_library_start(dr_library *l);  /* load(), and its components are registered; all or nothing */
void dr_library_close(dr_library *l);       /* unload(), dlclose, free; NULL is fine */
dr_library *dr_library_at(int64_t i);       /* in the order of loading; NULL past the end */
dr_library *dr_library_exchange(int64_t i, dr_library *by); /* returns what was at that place */
bool dr_plugin_has(const dr_plugin *p, const dr_component *c);
dr_kernel dr_plugin_kernel(const char *backend, const char *op, dr_dtype dtype); /* that a plugin brings for another's device; NULL */

/* elf_check.c: a shared object of this machine that is all there; before dlopen, which would end the process. */
dr_status dr_elf_check(const char *path);
dr_status dr_elf_check_bytes(const char *path, const unsigned char *data, size_t bytes);

/* plugin_check.c: what can be told of a plugin's tables before anything is called. */
dr_status dr_plugin_check(const dr_plugin *p, const char *path);
dr_status dr_component_check(const dr_component *c, const dr_plugin_info *plugin);
bool dr_kind_exists(const char *kind, size_t n); /* "sampler", of n characters */

/* reload.c: libraries that were replaced and are referred to still go. */
void dr_reload_close(void);

#endif
