/* fake_exports.c: what specs in Lua ask of the fake, as exports of its plugin; and how many devices there are, which
 * programs that a test starts are told by DRIFT_FAKE_DEVICES=n. */
#include "fake.h"

#include <drift/plugin.h>
#include <stdlib.h>
#include <string.h>

static int64_t fake_calls(const char *name) /* since the start, or fake_forget_calls() */
{
    int64_t found = 0;
    for (int64_t i = 0; i < fake_count(); i++) {
        const char *each = fake_name_of(i);
        found += each && strcmp(each, name) == 0;
    }
    return found;
}

static void fake_forget_calls(void) { fake_forget(); }

DR_EXPORT(fake_calls, "int(string)", "how often the fake CUDA was called by this name, among its last 65536 calls")
DR_EXPORT(fake_forget_calls, "void()", "forgets the calls of the fake CUDA")

__attribute__((constructor)) static void count_devices(void)
{
    const char *n = getenv("DRIFT_FAKE_DEVICES");
    if (n) fake_devices((int)strtol(n, NULL, 10), 0, 13000);
}
