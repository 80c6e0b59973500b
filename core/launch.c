/* launch.c: the one function through which every kernel runs. What passes here is all that a step does on its device,
 * so this is where a profile is taken and where a step can be recorded and replayed. */
#include "plan.h"

#include <time.h>

static dr_launch_hook hook;
static void *hook_ctx;

void dr_set_launch_hook(dr_launch_hook h, void *ctx)
{
    hook = h;
    hook_ctx = ctx;
}

bool dr_launch_is_hooked(void) { return hook != NULL; }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A launch of a replay has no tensors: its plan counts for them. */
static void count_writes(const dr_launch *l)
{
    if (!l->in || !(((const dr_op *)l->component->iface)->flags & DR_OP_MUTATES)) return;
    for (int i = 0; i < l->args.n_in; i++) {
        if (l->in[i]) l->in[i]->storage->version++;
    }
}

dr_status dr_launch_kernel(const dr_launch *l)
{
    dr_record_launch(l);
    count_writes(l);
    if (!hook) {
        l->kernel(&l->args);
        return dr_failed();
    }
    dr_device_sync(l->device);
    const double start = now();
    l->kernel(&l->args);
    dr_device_sync(l->device);
    hook(hook_ctx, l, start, now() - start);
    return dr_failed();
}
