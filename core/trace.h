/* trace.h: the file that a profile writes. One at a time; calls are the profile's, one after another. */
#ifndef DRIFT_TRACE_H
#define DRIFT_TRACE_H

#include "drift.h"

typedef struct dr_trace_event { /* one launch */
    const char *op, *shapes, *dtype, *device;
    double start, seconds; /* CLOCK_MONOTONIC */
    double flop, bytes;
} dr_trace_event;

dr_status dr_trace_open(const char *path, int64_t events, double start); /* at most so many events */
void dr_trace_kernel(const dr_trace_event *e);                           /* these two: nothing where no file is open */
void dr_trace_phase(const char *name, double start, double end);
dr_status dr_trace_close(double end);

#endif
