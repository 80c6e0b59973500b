/* A shared object that is no plugin. */
#include <drift/plugin.h>

const dr_host *dr_host_table;
__attribute__((visibility("default"))) int not_a_plugin(void);
int not_a_plugin(void) { return 0; }
