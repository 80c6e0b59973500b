/* definition.c: what the core asks about components that are defined while the program runs (lua/bind_define.c): their
 * code is a Lua state's, so they run on that state's thread alone, and they want to know when a struct of theirs goes. */
#include "registry.h"

static const dr_definition_hooks *hooks; /* NULL: nobody defines any */

void dr_set_definition_hooks(const dr_definition_hooks *h) { hooks = h; }

void dr_self_goes(const dr_component *c, void *self)
{
    if (hooks && c && self) hooks->self_goes(c, self);
}

bool dr_component_has_one_thread(const dr_component *c) { return hooks && hooks->has_one_thread(c); }
