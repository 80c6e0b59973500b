/* table.c: all checks by kind, see check.h. */
#include "kinds.h"

extern const check parameter_checks[];

const check_table check_tables[] = {
    { NULL, parameter_checks }, { "block", block_checks }, { "conditioning", conditioning_checks },
    { "schedule", schedule_checks }, { "process", process_checks }, { "time_sampling", time_sampling_checks },
    { "weighting", weighting_checks }, { "coupling", coupling_checks }, { "sampler", sampler_checks },
    { "timesteps", timesteps_checks }, { "guidance", guidance_checks }, { "clip", clip_checks },
    { "view", view_checks }, { "filter", filter_checks }, { "optim", optim_checks }, { "decay", decay_checks },
    { "ema", ema_checks }, { "dataset", dataset_checks }, { "metric", metric_checks },
    { "tokenizer", tokenizer_checks }, { "op", op_checks }, { "backend", backend_checks },
    { NULL, common_checks }, { NULL, NULL },
};

const check *check_find(const char *kind, const char *promise)
{
    for (const check_table *t = check_tables; t->v; t++) {
        if ((kind == NULL) != (t->kind == NULL) || (kind && strcmp(kind, t->kind) != 0)) continue;
        for (const check *c = t->v; c->promise; c++) {
            if (strcmp(c->promise, promise) == 0) return c;
        }
    }
    return NULL;
}
