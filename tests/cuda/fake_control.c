/* fake_control.c: finds the fake's functions in the plugin that the host has loaded. */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "fake_control.h"

#include <dlfcn.h>
#include <link.h>

fake_control fake;

static int is_the_plugin(struct dl_phdr_info *info, size_t bytes, void *library)
{
    (void)bytes;
    if (!strstr(info->dlpi_name, "backend_cuda")) return 0;
    *(void **)library = dlopen(info->dlpi_name, RTLD_NOW | RTLD_NOLOAD);
    return 1;
}

bool there_is_a_fake(void)
{
    void *library = NULL;
    if (open_on("ref") == 0) dl_iterate_phdr(is_the_plugin, &library);
    struct {
        const char *name;
        void *to;
    } const wanted[] = {
        { "fake_fail_at", &fake.fail_at },
        { "fake_has_failed", &fake.has_failed },
        { "fake_count", &fake.count },
        { "fake_name_of", &fake.name_of },
        { "fake_forget", &fake.forget },
        { "fake_leaks", &fake.leaks },
        { "fake_violations", &fake.violations },
        { "fake_expect_violations", &fake.expect_violations },
        { "fake_devices", &fake.devices },
        { "fake_late", &fake.late },
        { "fake_memory_limit", &fake.memory_limit },
        { "fake_run_wrong_kernel", &fake.run_wrong_kernel },
        { "fake_make_wrong_call", &fake.make_wrong_call },
    };
    bool found = library != NULL;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted && found; i++) {
        void *address = dlsym(library, wanted[i].name);
        memcpy(wanted[i].to, &address, sizeof address);
        found = address != NULL;
    }
    if (!found) print_message("skipped: the plugin backend_cuda is not the emulated one\n");
    close_all(NULL);
    return found; /* the plugin stays loaded */
}

int open_emulated(void **state)
{
    (void)state;
    return open_on("cuda");
}

int close_emulated(void **state)
{
    const int closed = close_all(state), leaks = fake.leaks(), violations = fake.violations();
    fake.expect_violations();
    fake.forget();
    return closed != 0 || leaks != 0 || violations != 0 ? -1 : 0;
}
