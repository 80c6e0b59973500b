/* plan_cost.c: what one replay of a plan costs, counted from its recorded launches and not from what a network was meant
 * to do: floating-point operations by op (flop.c: convolutions and matrix products; what is no product counts as 0), and
 * the bytes that the kernels have to touch. What runs only when weights change is left out. */
#include "plan.h"

#include <string.h>

static dr_plan_op *row_of(const char *op, dr_plan_op *rows, int64_t *n, int64_t room)
{
    for (int64_t i = 0; i < *n; i++) {
        if (strcmp(rows[i].op, op) == 0) return &rows[i];
    }
    if (*n == room) return NULL;
    rows[*n] = (dr_plan_op){ .op = op };
    return &rows[(*n)++];
}

int64_t dr_plan_ops(const dr_plan *p, dr_plan_op *rows, int64_t room)
{
    const dr_capture *k = dr_plan_last(p);
    int64_t n = 0;
    if (!k || k->stage != READY) return 0;
    for (int64_t i = 0; i < k->step->events; i++) {
        const dr_event *e = &k->step->event[i];
        if (e->kind != EVENT_LAUNCH || e->once) continue;
        dr_launch l = e->launch; /* as replay.c runs it; the shapes alone are looked at */
        l.args.in = e->view;
        l.args.out = e->view + e->n_in;
        l.args.attr = e->bytes > 0 ? e->data : NULL;
        dr_plan_op *row = row_of(e->component->name, rows, &n, room);
        if (!row) {
            dr_fail(DR_EINVAL, "a plan has more than %lld ops", (long long)room);
            return 0;
        }
        row->launches++;
        row->flop += dr_launch_flop(&l);
        row->bytes += dr_launch_bytes(&l);
    }
    return n;
}
