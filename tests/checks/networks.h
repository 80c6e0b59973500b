/* networks.h: what the checks of blocks and conditionings share: a built network's weights, moved, saved, and held to
 * their gradients. */
#ifndef DRIFT_CHECK_NETWORKS_H
#define DRIFT_CHECK_NETWORKS_H

#include "check.h"

void shake_weights(dr_module *root);  /* all move by a normal tensor: what starts at zero would hide the rest */
void expect_live_weights(dr_module *root, bool not_zero); /* each has a finite gradient; not_zero: that is not all 0 */
bool widen_weights(dr_module *root);  /* to f64, buffers too: for finite differences only. false: an error is pending */
void expect_saved_and_loaded(dr_module *from, dr_module *to, const char *file); /* by names, every weight and buffer */

/* Each weight moved along its own gradient, and `others` too: the loss must change as the gradient says. loss(ctx)
 * makes it anew, one number; gradients are there already. share: what is allowed of the change. */
void expect_slopes(dr_module *root, dr_tensor *const *others, int n_others, dr_tensor *(*loss)(void *ctx), void *ctx,
                   bool wide);

#endif
