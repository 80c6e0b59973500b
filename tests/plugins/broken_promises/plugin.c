/* A plugin for tests of drift check: each component breaks the one promise that its name says, and keeps the others
 * where that can be. tests/shell/check.sh says which lines of the report must fail. */
#include <drift/plugin.h>

DR_PLUGIN("broken_promises", "1.0", "Components that break one promise each")

/* A name that others see: a note in the report. */
__attribute__((visibility("default"))) int broken_promises_exported(void);
int broken_promises_exported(void) { return 1; }
