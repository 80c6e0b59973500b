/* time_samplings.c: every distribution of training times on every process: its times are ones that the process itself
 * may draw, whole steps of a chain, monotone in u, and can be trained on. */
#include "kinds.h"

#include <math.h>

enum { N = 2000 };

static double draw(dr_instance *time_sampling, dr_instance *process, double u)
{
    double t = NAN;
    dr_draw_time(process, time_sampling, u, &t);
    if (dr_failed()) check_fail("on process %s, u = %g: %s", process->component->name, u, dr_error_message());
    return t;
}

static void check_on(dr_instance *time_sampling, dr_instance *process)
{
    double t_noise, t_data, t[N + 1];
    int64_t steps;
    const char *name = process->component->name;
    dr_process_range(process, &t_noise, &t_data, &steps);
    const double a = dr_process_draw_t(process, 0.0), b = dr_process_draw_t(process, nextafter(1.0, 0.0));
    for (int i = 0; i <= N; i++) {
        t[i] = draw(time_sampling, process, i < N ? i / (double)N : nextafter(1.0, 0.0));
        expect(t[i] >= fmin(a, b) && t[i] <= fmax(a, b), "on process %s: t = %g is outside [%g, %g]", name, t[i],
               fmin(a, b), fmax(a, b));
        expect(steps == 0 || (t[i] == floor(t[i]) && t[i] >= 1.0 && t[i] <= (double)steps),
               "on process %s: t = %g is no step of a chain of %lld", name, t[i], (long long)steps);
    }
    for (int i = 1; i <= N; i++)
        expect((t[i] - t[i - 1]) * (t[N] - t[0]) >= 0.0, "on process %s: it is not monotone in u: %g, then %g", name,
               t[i - 1], t[i]);
    dr_tensor *x0 = noise(DR_F32, DR_SHAPE(N + 1, 1, 1, 2), 1), *eps = noise(DR_F32, DR_SHAPE(N + 1, 1, 1, 2), 2);
    dr_noised n;
    dr_noising(process, NULL, x0, eps, t, &n);
    expect_ok(name);
}

static void check_time_sampling(const dr_component *c)
{
    dr_instance *time_sampling = instance_of(c);
    for (int64_t i = 0; i < dr_component_count(); i++) {
        const dr_component *p = dr_component_at(i);
        if (!is_kind(p, "process")) continue;
        check_note("        on %s", p->name);
        dr_instance *process = built("process", p->name, DR_NO_ARGS);
        dr_scope_open();
        check_on(time_sampling, process);
        dr_scope_close();
        dr_instance_free(process);
    }
    dr_instance_free(time_sampling);
}

const check time_sampling_checks[] = {
    { "times are ones that the process can be trained on", check_time_sampling },
    { NULL, NULL },
};
