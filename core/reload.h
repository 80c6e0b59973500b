/* reload.h: what reload.c asks of the files that make components. Private to the core. Something alive is "renewed" by
 * making a second one of it, from the registry's present version and the parameters that it was given; then the two
 * exchange what they hold, so that everybody's pointer to the first stays good; then the second is freed. */
#ifndef DRIFT_RELOAD_H
#define DRIFT_RELOAD_H

#include "module.h"
#include "registry.h"

/* args.c: malloc'd; NULL after dr_fail */
dr_args *dr_args_copy(dr_args args);
void dr_args_free(dr_args *args);

/* schema.c */
dr_status dr_keeper_remember(dr_keeper *k, dr_args given); /* copies */
dr_args dr_keeper_given(const dr_keeper *k);               /* borrowed; none where none were remembered */
bool dr_keeper_has_one_thread(const dr_keeper *k); /* a part of it, or a function that it was given, is written in Lua */
bool dr_keeper_uses(const dr_keeper *k, const dr_plugin *p); /* an instance of p is among what it holds, at any depth */

/* instance.c */
dr_instance *dr_instance_after(const dr_instance *i); /* of all that are alive; NULL: the first one */
void dr_instance_hold(dr_instance *i);                /* another's keeper owns it: it is made anew with that other */
bool dr_instance_is_held(const dr_instance *i);
bool dr_instance_uses(const dr_instance *i, const dr_plugin *p); /* is of p, or holds what is */
dr_instance *dr_instance_renewed(const dr_instance *i); /* NULL after dr_fail: it cannot be made, or does not fit */
void dr_instance_exchange(dr_instance *i, dr_instance *fresh);

/* module.c */
dr_module *dr_module_after(const dr_module *root); /* of all roots; NULL: the first one */
bool dr_module_uses(const dr_module *m, const dr_plugin *p); /* itself; its children are asked for themselves */
dr_module *dr_module_renewed(dr_module *m); /* with its children; the weights are the same tensors, untouched. NULL after dr_fail */
void dr_module_exchange(dr_module *m, dr_module *fresh);
void dr_module_free_renewed(dr_module *fresh);

#endif
