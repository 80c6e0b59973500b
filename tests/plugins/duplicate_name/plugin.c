/* A plugin whose second component has the name of one that is there: nothing of it may stay registered. */
#include <drift/plugin.h>

typedef struct { double to; } aardvark;
typedef struct { double to; } constant;

static double factor(void *self, double epoch, int64_t epochs)
{
    (void)self, (void)epoch, (void)epochs;
    return 1.0;
}

DR_DECAY(aardvark, "comes first", NULL, .factor = factor)
DR_DECAY(constant, "is there already", NULL, .factor = factor)
DR_PLUGIN("duplicate_name", "1.0", "registers a name twice")
