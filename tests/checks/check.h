/* check.h: what is promised of every component of a kind, as functions of one component. They have two uses: the tests
 * registry/NAME run them over all components of the registry, and `drift check FILE` (main.c) over what a file adds.
 *
 * A check is a function that returns where the promise is kept, and calls check_fail where it is not, with what it saw.
 * Components are reached through the core as in use; a check opens no device: the current one is ref, or another. */
#ifndef DRIFT_CHECK_H
#define DRIFT_CHECK_H

#include "drift.h"

#include <stdlib.h>
#include <string.h>

typedef struct check {
    const char *promise; /* "converges at the order that it declares": what the report says, and tests ask for */
    void (*run)(const dr_component *c);
} check;

typedef struct check_table {
    const char *kind; /* "sampler"; NULL: every kind */
    const check *v;   /* ends with a promise of NULL */
} check_table;

extern const check_table check_tables[]; /* ends with v NULL, in the order of a report */
const check *check_find(const char *kind, const char *promise); /* kind NULL: for every kind; NULL: there is none */

/* ---- one run of one check ---------------------------------------------------------------------------------------- */
typedef enum check_outcome { CHECK_OK = 0, CHECK_FAILED, CHECK_SKIPPED } check_outcome;
enum { CHECK_TEXT = 2048 };
/* Runs it in a scope of its own; an error that is left pending fails it. text: why it failed or was skipped. */
check_outcome check_run(const check *what, const dr_component *c, char text[CHECK_TEXT]);

/* Within a check: none of these returns but expect. */
void check_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void check_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void expect(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3))); /* else check_fail */
void expect_ok(const char *what);   /* no error is pending; else it fails with "what: the error" */
void expect_error(const char *part); /* an error is pending and says this; it is cleared */
void *expect_made(void *made, const char *what); /* not NULL; returns it */
/* A measured number for who reads the log: the tests print it, drift check does not. */
void check_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern void (*check_note_sink)(const char *line); /* NULL: nowhere */
extern bool check_in_own_process; /* each check runs in a process of its own: it may close devices, and take its time */
/* Of components in a language that collects its garbage: the bytes that it has in use after it did. Then those are
 * counted, and not the blocks that it asks malloc for. NULL: there is no such language. */
extern int64_t (*check_collected_bytes)(void);
extern const char *check_folder;  /* where checks may write files */
const char *check_file(const char *name); /* in it; valid until the next call */

/* ---- components and what they are made with ---------------------------------------------------------------------- */
bool is_kind(const dr_component *c, const char *kind); /* "sampler" */
const char *kind_of(const dr_component *c);            /* "sampler"; valid until the next call */
const dr_param *has_param(const dr_component *c, const char *name); /* NULL, no error: none */

/* Arguments that the component can be built with: examples where it has them, the least value of what is required, a
 * function of the right signature, and what check_given says. Room is the caller's. */
enum { WALK_ARGS = 32 };
typedef struct walk_args {
    dr_arg v[WALK_ARGS];
    dr_args args; /* of v; add_arg keeps it true */
} walk_args;
void default_args(const dr_component *c, walk_args *a);
void add_arg(walk_args *a, dr_arg arg); /* the last one of a name counts */
/* Parameters that the user gave for components of this name: "my_data.path=/data". false: it is no such text. */
bool check_given(const char *text);

dr_instance *instance_of(const dr_component *c); /* with default_args; fails where it cannot be made */
dr_instance *built(const char *kind, const char *name, dr_args args);

/* Calls what(args) with the defaults, and for an enum parameter of this name with each of its choices. */
void for_each_choice(const dr_component *c, const char *param, void (*what)(const dr_component *c, dr_args args));

/* ---- tensors ----------------------------------------------------------------------------------------------------- */
dr_tensor *noise(dr_dtype dtype, int rank, const int64_t *shape, uint32_t stream); /* normal, of its own stream */
double max_difference(dr_tensor *a, dr_tensor *b); /* of two tensors of one shape; 1e300 where the shapes differ */
const char *shape_text(dr_tensor *t);              /* "f32[2,4,8,8]", "nothing" of NULL; valid for a few calls */
void expect_finite(dr_tensor *t, const char *what); /* else "what: element 3 of f32[2,4] is nan" */
void expect_shape_of(dr_tensor *t, dr_tensor *like, const char *what);

#endif
