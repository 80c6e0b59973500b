/* child.h: a check in a process of its own: what crashes, hangs or ends there is one failed line, and the others go
 * on. */
#ifndef DRIFT_CHECK_CHILD_H
#define DRIFT_CHECK_CHILD_H

#include "check.h"

/* Runs work(ctx, text) in a child of this process, which gives an outcome and fills text. A child that ends otherwise, or
 * takes longer than so many seconds of the processor (or ten times that by the clock), has failed: text says how, and in
 * which function: of the loaded file that `code` lies in, or of `file` where only the child loads it. Either may be NULL. */
typedef check_outcome (*child_work)(void *ctx, char text[CHECK_TEXT]);
check_outcome child_run(child_work work, void *ctx, double seconds, const void *code, const char *file,
                        char text[CHECK_TEXT]);

#endif
