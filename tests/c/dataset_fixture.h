/* dataset_fixture.h: what the tests of data sets share: a data set opened as the host does it, files of any
 * content, and the lines that a user would have been shown. */
#ifndef TESTS_DATASET_FIXTURE_H
#define TESTS_DATASET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "drift.h"

/* cmocka's group set-up and tear-down: the registry with the plugin of data sets. */
int dataset_registry_open(void **state);
int dataset_registry_close(void **state);

/* Builds dataset NAME, which opens it. NULL where that fails: the error is pending, its status in *status. */
dr_instance *dataset_open(const char *name, dr_args args, dr_status *status);
void dataset_close(dr_instance *d);
const dr_dataset *dataset_iface(const dr_instance *d);

/* Opening must fail with this status and a message that contains all of the texts (NULL ends them). Clears the
 * error. */
void dataset_refused(const char *name, dr_args args, dr_status status, ...);

/* The lines noted since the last call with clear. */
const char *notes(void);
void notes_clear(void);

/* A folder of the test's own below the current one, empty. Returns its path, valid for the program's life. */
const char *fresh_folder(const char *name);
/* printf's result, valid for the program's life. */
__attribute__((format(printf, 1, 2))) const char *text(const char *format, ...);
void write_bytes(const char *path, const void *bytes, size_t n);
uint8_t *read_bytes(const char *path, size_t *n); /* free() it */
void copy_file(const char *from, const char *to);
const char *test_data(const char *name); /* DRIFT_TEST_DATA/NAME */

#endif
