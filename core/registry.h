/* registry.h: how plugins put their components into the registry. Private to the core. */
#ifndef DRIFT_REGISTRY_H
#define DRIFT_REGISTRY_H

#include "drift.h"

dr_status dr_registry_add(const dr_component *c, const dr_plugin_info *plugin);
void dr_registry_remove_plugin(const dr_plugin_info *plugin);
void dr_registry_clear(void);
extern const dr_plugin dr_core_plugin; /* the core's ops, as a plugin's table */

#endif
