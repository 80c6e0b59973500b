/* command_line.h: what the command line says: options and key=value in any order behind the command. */
#ifndef DRIFT_COMMAND_LINE_H
#define DRIFT_COMMAND_LINE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct settings {
    const char *device, *against, *precision, *out, *resume, *script, *profile;
    const char *set[256]; /* key=value */
    int n_set;
    int64_t seed, threads, steps; /* threads, steps 0: not said; steps: of diff-devices, sample */
    bool seeded, debug, strict, no_plan, json, peers, bench, sampling;
    struct { const char *name, *value; } sample[16]; /* the options of drift sample, for lua/drift/sample_command.lua */
    int n_sample;
} settings;

extern const char command_line_usage[], command_line_sample_usage[]; /* drift help, drift help sample */

/* Reads argv[1..argc-1], leaves what is neither option nor key=value in rest. 0; 1 after a message on stderr; -1 where
 * help was asked for and printed. */
int command_line_read(int argc, char **argv, settings *s, const char *rest[2], int *n_rest);
int complain(const char *text, const char *detail); /* a line on stderr; 1 */

#endif
