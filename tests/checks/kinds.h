/* kinds.h: between the files of checks/: each kind's table of checks, and what one use of a component of a kind is. */
#ifndef DRIFT_CHECK_KINDS_H
#define DRIFT_CHECK_KINDS_H

#include "check.h"

extern const check block_checks[], conditioning_checks[], sampler_checks[], clip_checks[], ema_checks[],
    coupling_checks[], filter_checks[], metric_checks[], optim_checks[], decay_checks[],
    process_checks[], schedule_checks[], time_sampling_checks[], timesteps_checks[], view_checks[],
    weighting_checks[], guidance_checks[], op_checks[], dataset_checks[], tokenizer_checks[],
    backend_checks[], common_checks[];

/* ---- one use of a component (use.c): made, put to work as programs do, and ended --------------------------------- */
typedef struct use_results { /* every number that came of it, in order */
    double *v;
    int64_t n, capacity;
    dr_status status; /* DR_OK, or that of the error that is pending */
    bool out_of_room;
} use_results;
/* The current device is used. An error that comes of it stays pending. Nothing is left behind but in `out`. */
void component_use(const dr_component *c, use_results *out);
bool component_has_use(const dr_component *c); /* backends have none here */
/* common.c: within a check, which is skipped where it cannot be used with its defaults. */
void use_or_skip(const dr_component *c, use_results *out);
void use_results_free(use_results *r);
void use_results_take(use_results *out, dr_tensor *t);
void use_op(const dr_component *c, use_results *out); /* ops.c: with inputs that are found by trying */
int64_t use_first_difference(const use_results *a, const use_results *b, double share); /* -1: none; share 0: bits */

/* ---- memory.c ---------------------------------------------------------------------------------------------------- */
void check_nothing_left(const dr_component *c);
void check_out_of_memory(const dr_component *c);

/* ---- blocks.c ---------------------------------------------------------------------------------------------------- */
enum { MOST_INPUTS = 4 };
typedef struct block_inputs { /* x, and what the block is given beside it */
    dr_tensor *t[MOST_INPUTS];
    int n;
} block_inputs;
/* One shape of an example, whose size[rank] is filled in; what follows it. */
const char *example_shape(const char *text, int64_t size[DR_MAX_RANK], int *rank);
block_inputs block_input(const dr_component *c, dr_dtype dtype); /* normal, of the example's shapes: "2,4,8,8;2,6" */
dr_module *block_build(const dr_component *c, uint64_t seed);    /* a group with it as its child */
dr_tensor *block_run(dr_module *root, bool training, const block_inputs *in); /* NULL after an error */
dr_tensor *block_loss(dr_module *root, const block_inputs *in); /* in training, one number */

#endif
