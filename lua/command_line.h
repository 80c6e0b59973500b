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
    bool seeded, debug, strict, no_plan, json, peers;
    const char *command;
    struct { const char *name, *value; } own[16]; /* options of that command alone: drift.options.sample.prompt */
    int n_own;
    const char *rest[256]; /* what is neither option nor key=value */
    int n_rest;
} settings;

extern const char command_line_usage[], command_line_sample_usage[]; /* drift help, drift help sample */

/* Reads argv[1..argc-1], of s->command. 0; 1 after a message on stderr; -1 where help was asked for. */
int command_line_read(int argc, char **argv, settings *s);
int complain(const char *text, const char *detail); /* a line on stderr; 1 */

#endif
