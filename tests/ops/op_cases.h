/* op_cases.h: the one table of cases that all tests of ops run, and the running of one case. A case is an op, its
 * attributes, and inputs given by shape and by what kind of values fill them; values come from a fixed stream. */
#ifndef DRIFT_TESTS_OP_CASES_H
#define DRIFT_TESTS_OP_CASES_H

#include "tensor.h"

enum { CASE_INPUTS = 13 };

typedef enum case_values {
    ABSENT = 0,  /* an optional input that is not given */
    NORMAL,      /* normal, rounded to f32 */
    POSITIVE,    /* in [0.5, 2) */
    DISTINCT,    /* no two within 0.01 of each other in all of the case's inputs, none within 0.01 of 0, 1 or -1 */
    ZERO_ONE,    /* 0 or 1; wants no gradient */
    IDS,         /* i32 in [0, limit) */
    BATCHES,     /* i64, the number 7 */
    LR_AND_STEP, /* f64: 0.01, 3 */
    SQUARE_NORM, /* f64: 9 */
    DECAY        /* f64: 0.999 */
} case_values;

typedef struct case_input {
    case_values values;
    int rank;
    int64_t shape[DR_MAX_RANK];
    int64_t limit;  /* of IDS */
    bool statistic; /* f32 where floating inputs are narrower */
} case_input;

typedef struct op_case {
    const char *op;
    char label[160]; /* "conv2d [1,3,7,5] [5,3,3,3] [5] #2" */
    const void *attr;
    int n_in;
    case_input in[CASE_INPUTS];
    bool stepwise; /* its values move in steps (a cast to fewer bits): finite differences say nothing */
} op_case;

int op_case_count(void);
const op_case *op_case_at(int i);
bool op_has_case(const char *op);

/* The next registered op after *i, or NULL: for (int64_t i = 0; (c = next_op(&i));) */
const dr_component *next_op(int64_t *i);
const dr_op *op_of(const op_case *c);
bool wants_gradient(const case_input *in);
int64_t input_count(const case_input *in);
int64_t largest_count(const op_case *c); /* of elements of an input: an upper bound for the length of its sums */

/* What a run gives: outputs and gradients as f64, row-major. Outputs of an op that writes in place are its inputs. */
typedef struct case_result {
    int n_out;
    dr_view view[CASE_INPUTS];
    double *out[CASE_INPUTS];
    double *grad[CASE_INPUTS]; /* NULL: none */
    int32_t grad_dtype[CASE_INPUTS];
} case_result;

typedef struct case_run {
    dr_device *device;
    dr_dtype dtype; /* of floating inputs */
    uint32_t wide;  /* bit i: input i is f32 all the same */
    bool round;     /* their values are those that rounded_to holds */
    dr_dtype rounded_to;
    dr_layout layout; /* of rank-4 floating inputs */
    uint32_t need;    /* bit i: input i requires a gradient, if it wants one; 0: forward only */
    uint32_t holes;   /* bit i: input i, if floating, is a view with holes: every second channel of a wider tensor */
    bool joined;      /* or channels that follow one another there, as those of one of several images joined */
    int nudged;       /* input whose element `at` is moved by `by`; -1: none */
    int64_t at;
    double by;
} case_run;

double *case_values_of(const op_case *c, int i);    /* malloc'd, of input i */
double *case_upstream(const op_case *c, int64_t n); /* malloc'd: the gradient that backward starts from */
bool run_case(const op_case *c, const case_run *run, case_result *result); /* false: an error is pending */
void free_result(case_result *r);
int64_t view_count(const dr_view *v);                           /* of elements */
double largest(const double *v, int64_t n);                     /* magnitude */
double difference(const double *a, const double *b, int64_t n); /* largest; infinite where either is not finite */

#endif
