/* my_time_sampling.c: training times crowded toward one end of what the process trains on.
 *   t = process's draw of u^power,  u uniform in [0,1) */
#include <drift/plugin.h>
#include <math.h>

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { double power; } my_time_sampling;

static const dr_param params[] = {
    DR_REAL(my_time_sampling, power, 2, 0.05, 20, "1: the process's own times; above 1: more near its draw of 0"),
    DR_END
};

/* A training time from one uniform number. It must lie where the process itself draws, and be a whole step of a chain:
 * the process's own draw of a changed u is both. dr_process_range and dr_process_coef say more of the process. No other
 * randomness than u: the host counts its draws, so that runs can be resumed and compared. */
static double draw(void *self, const dr_instance *process, double u)
{
    const my_time_sampling *p = self;
    return dr_process_draw_t(process, pow(u, p->power));
}

DR_TIME_SAMPLING(my_time_sampling, "Times crowded toward one end", params, .draw = draw)
