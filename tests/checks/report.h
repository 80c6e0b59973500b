/* report.h: what drift check found: a line for each component and check, or JSON. */
#ifndef DRIFT_CHECK_REPORT_H
#define DRIFT_CHECK_REPORT_H

#include "check.h"

typedef struct report {
    bool json;
    int64_t ok, failed, skipped, notes;
    struct json_t *lines; /* where json */
} report;

void report_open(report *r, bool json);
/* what: "sampler my_euler", or the file's name. text: why it failed or was skipped; of CHECK_OK a note, where it has
 * one. */
void report_line(report *r, check_outcome outcome, const char *what, const char *promise, const char *text);
int report_close(report *r); /* the exit status: 0 where nothing failed */

#endif
