/* host.h: what every C test of the core begins with: cmocka, an opened registry with the built plugins, a device. */
#ifndef DRIFT_TESTS_HOST_H
#define DRIFT_TESTS_HOST_H

#include "drift.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline int open_on(const char *device)
{
    const char *folder = getenv("DRIFT_PLUGIN_DIR"), *home = getenv("DRIFT_HOME");
    dr_set_home(home ? home : DRIFT_HOME_DIR);
    dr_registry_open();
    dr_plugins_load(folder ? folder : DRIFT_PLUGIN_DIR);
    dr_device *d = dr_device_open(device, DR_NO_ARGS);
    if (d) dr_device_use(d);
    if (dr_failed()) print_error("%s\n", dr_error_message());
    return dr_failed() ? -1 : 0;
}

static inline int open_ref(void **state)
{
    (void)state;
    return open_on("ref");
}

static inline int close_all(void **state)
{
    (void)state;
    dr_scope_close();
    dr_device_close_all();
    dr_registry_close();
    return dr_failed() ? -1 : 0;
}

/* The pending error says this; then it is cleared. */
static inline void assert_error_has_(const char *part, const char *file, int line)
{
    if (!strstr(dr_error_message(), part)) {
        print_error("expected an error with '%s', got '%s'\n", part, dr_error_message());
        _fail(file, line);
    }
    dr_error_clear();
}
#define assert_error_has(part) assert_error_has_(part, __FILE__, __LINE__)

#endif
