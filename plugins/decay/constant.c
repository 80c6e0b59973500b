/* constant.c: the learning rate stays as it is.     factor = 1 */
#include <drift/plugin.h>

typedef struct { int64_t unused; } constant;

static double factor(void *self, double epoch, int64_t epochs)
{
    (void)self, (void)epoch, (void)epochs;
    return 1.0;
}

DR_DECAY(constant, "Stays as it is", NULL, .factor = factor)
