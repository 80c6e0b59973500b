/* uniform.c: the times that the process draws by itself.
 *   t = draw_t(u): uniform in t for chains, flows and SDEs; log-normal sigma for edm, whose own distribution that is */
#include <drift/plugin.h>

typedef struct { int64_t unused; } uniform;

static double draw(void *self, const dr_instance *process, double u)
{
    (void)self;
    return dr_process_draw_t(process, u);
}

DR_TIME_SAMPLING(uniform, "The process's own training times: uniform in t, but for edm", NULL, .draw = draw)
