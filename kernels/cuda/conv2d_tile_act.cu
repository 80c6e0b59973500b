/* conv2d_tile_act.cu: conv2d_tile_kernel.h with an activation after the sums, as evaluation has it:
 * compiled beside the rest. */
#include "conv2d_tile_kernel.h"

tile_kernel *const dr_conv2d_tile_with_act[WAYS][KINDS] = DR_TILE_WAYS(DR_ACT_BY_VALUE);
