/* model.h: what model.c, condition.c and network_call.c share: a model's insides. Private to the core. */
#ifndef DRIFT_MODEL_H
#define DRIFT_MODEL_H

#include "noising.h"

enum { MAX_GUIDANCE = 16, MAX_NETWORKS = 16, MAX_CONDITIONS = 64 };

typedef struct network {
    char *name; /* NULL: the one that is sampled from */
    dr_net_fn fn;
    void *ctx;
    dr_plan *plan; /* of its evaluation; NULL: not yet */
} network;

struct dr_cond {
    dr_cond_values v;
    bool dropped;
    const dr_cond *null;             /* itself where it is dropped */
    struct cond_pair *const *part;   /* where it stands for several: these, of which v is the first one's */
    int parts;                       /* 1: it is one, and part is NULL */
    bool is_part;                    /* of what the model was given: all of its conditions are meant to be used */
};

typedef struct cond_pair { /* a condition and its null one, which borrows the same tensors */
    dr_cond given, null;
    struct cond_pair *next;  /* among those that last for a step */
    struct cond_pair **made; /* what `part` points to, where it belongs to this one: given.parts of them */
} cond_pair;

typedef struct memory { /* what a sampler keeps from one step to the next */
    char *name;
    dr_tensor *tensor;
} memory;

struct dr_model {
    dr_instance *process, *clip; /* clip NULL: none */
    network net[MAX_NETWORKS];
    int networks;
    bool shares_images; /* net[0] does, see drift.h */
    bool without_mask;  /* net[0] is */
    dr_instance *guidance[MAX_GUIDANCE];
    int guidances, level; /* level: how many of them the next dr_predict runs through */
    int evaluating;       /* calls of guidance or a network that are under way */
    cond_pair *cond[MAX_CONDITIONS];
    int conds;                        /* one at least */
    cond_pair own;                    /* all of them, as guidance is given it first; borrows what cond[0] has */
    cond_pair *whole[MAX_CONDITIONS]; /* the same of all rows, while `narrowed` to some */
    bool narrowed;
    cond_pair *step_conds; /* made by guidance for this step */
    dr_tensor *variance;   /* of the last prediction; NULL: it has none */
    int64_t calls, step; /* step: what dr_step tells */
    memory *kept;
    int64_t kept_count;
};

/* condition.c */
bool dr_cond_is_given(const dr_cond *c); /* the null condition differs from it */
void dr_model_drop_conditions(dr_model *f);
/* What the network gets of c for B images, but the time; every tensor has B rows. */
dr_status dr_cond_batch(const dr_cond *c, int64_t B, dr_batch_cond *out);

/* network_call.c: x [B,C,H,W] at t; the result is the first C channels of what the network returns, *variance the
 * others (NULL: there are none). Both belong to the current scope. */
dr_tensor *dr_network_one(dr_model *f, network *net, dr_tensor *x, double t, const dr_cond *c, dr_tensor **variance);
/* Under c and under its null condition as one batch; *variance is the first one's. */
dr_tensor *dr_network_both(dr_model *f, dr_tensor *x, double t, const dr_cond *c, dr_tensor **null_half,
                           dr_tensor **variance);

#endif
