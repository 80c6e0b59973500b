/* fake_control.h: what tests ask of the fake CUDA (fake/fake.h) in the loaded plugin, and the device that runs on it. */
#ifndef DRIFT_TESTS_FAKE_CONTROL_H
#define DRIFT_TESTS_FAKE_CONTROL_H

#include "../host.h"

typedef struct fake_control {
    void (*fail_at)(int64_t n); /* see fake.h */
    bool (*has_failed)(void);
    int64_t (*count)(void);
    const char *(*name_of)(int64_t i);
    void (*forget)(void);
    int (*leaks)(void);
    int (*violations)(void);
    void (*expect_violations)(void);
    void (*devices)(int n, int error, int driver);
    void (*late)(bool on);
    void (*memory_limit)(size_t bytes);
    void (*run_wrong_kernel)(const char *name, void *backend, float *y, int64_t n);
    void (*make_wrong_call)(const char *library, const char *mistake, void *backend); /* wrong_calls.c has their names */
} fake_control;

extern fake_control fake;

/* Opens the registry and looks for the fake in the plugin backend_cuda: is it there? Closes all again. */
bool there_is_a_fake(void);

int open_emulated(void **state);  /* a test's setup: the current device is cuda */
int close_emulated(void **state); /* and its end: all is closed, and nothing leaked or was done wrong */

#endif
