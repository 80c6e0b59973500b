/* walk.h: the registry as a list of tests: what each component of a kind is built with, and a loop over them. */
#ifndef DRIFT_TESTS_WALK_H
#define DRIFT_TESTS_WALK_H

#include "../host.h"

/* Calls test(component) for every component of a kind ("sampler"), NULL: of every kind. At least `least` must be there.
 * A component whose test leaves an error pending fails, with its name. */
void for_each(const char *kind, int64_t least, void (*test)(const dr_component *c));
bool is_kind(const dr_component *c, const char *kind);
const char *kind_of(const dr_component *c); /* "sampler"; valid until the next call */

/* Arguments that the component can be built with: examples where it has them, the least value of what is required, a
 * function of the right signature. Room is the caller's. */
enum { WALK_ARGS = 32 };
typedef struct walk_args {
    dr_arg v[WALK_ARGS];
    dr_args args; /* of v; add() keeps it true */
} walk_args;
void default_args(const dr_component *c, walk_args *a);
void add_arg(walk_args *a, dr_arg arg); /* the last one of a name counts */
const dr_param *has_param(const dr_component *c, const char *name); /* NULL, no error: none */

/* A normal tensor of this shape from a stream of its own. */
dr_tensor *noise(dr_dtype dtype, int rank, const int64_t *shape, uint32_t stream);
double max_difference(dr_tensor *a, dr_tensor *b); /* of two tensors of one shape; 1e300 where the shapes differ */

#endif
