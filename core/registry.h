/* registry.h: how plugins put their components into the registry. Private to the core. */
#ifndef DRIFT_REGISTRY_H
#define DRIFT_REGISTRY_H

#include "drift.h"

void dr_registry_clear(void);
void dr_self_goes(const dr_component *c, void *self); /* definition.c: that struct is about to be freed */
extern const dr_plugin dr_core_plugin; /* the core's ops, as a plugin's table */

#endif
