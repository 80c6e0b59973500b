/* walk.h: what is promised of a kind of component (tests/checks/check.h), held over all components of the registry. */
#ifndef DRIFT_TESTS_WALK_H
#define DRIFT_TESTS_WALK_H

#include "../host.h"
#include "check.h"

/* Runs the check with this promise over every component of a kind ("sampler"; NULL: of every kind, for checks that
 * hold for all). One that fails fails the test, with its name; at least `least` must have kept it, not counting those
 * that skip it. */
void every(const char *kind, int64_t least, const char *promise);

extern const char *every_but; /* components of this name are left out; NULL: none */

/* The same for a function of this test. */
void for_each(const char *kind, int64_t least, void (*test)(const dr_component *c));

#endif
