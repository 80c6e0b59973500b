/* module.h: what a module is inside the core. Private. */
#ifndef DRIFT_MODULE_H
#define DRIFT_MODULE_H

#include "drift.h"

typedef struct dr_own { /* a weight or buffer declared by this module */
    char *path;        /* from the root */
    const char *name;  /* the path's end, as declared */
    dr_tensor *tensor; /* owned */
    bool is_buffer;
    dr_tensor *before; /* of a renewed module, until it is whole: a copy, for if create() writes to it */
    int64_t version;   /* of its memory then */
} dr_own;

struct dr_module {
    dr_module *root, *parent;
    char *path;  /* from the root, "" for it: the prefix of its weights' names */
    char *place; /* with the root's name in front, for messages */
    const dr_component *component; /* NULL: a group */
    void *self;
    dr_keeper *keeper;
    dr_own *own;
    int64_t own_count;
    dr_module **children;
    int64_t child_count;
    dr_module *renews; /* of one that is made for a reload: whose place it is to take; its weights are that one's */
    uint32_t draws; /* random streams taken in this step */
    int64_t draws_of;
    /* of a root */
    uint64_t seed;
    int64_t number; /* of making */
    bool training;
    dr_rng stream;
    int64_t stream_number;
    dr_weights *weights; /* while it is built: where they come from; NULL: from the seed */
    bool frozen;         /* they came from there, and stay as they are */
    dr_named *named; /* all weights and buffers, made on demand */
    int64_t named_count;
    dr_module *before, *after; /* all roots */
};

struct dr_builder {
    dr_module *module;
};

struct dr_ctx {
    dr_module *module;
    dr_tensor *const *in;
    int n;
    const dr_site *site; /* NULL: none was given */
};

/* weight.c */
void dr_own_free(dr_own *o);
const dr_own *dr_own_find(const dr_module *m, const char *path); /* in m or below; NULL, no error: none */
dr_status dr_own_settle(dr_module *renewed, dr_status status); /* after create(): what it wrote to weights is undone; where status is
    DR_OK, the weights are all that there were */

/* weight_source.c: the caller owns it. What does not fit gives a stand-in; NULL: a failure. */
dr_tensor *dr_weights_take(dr_module *root, const char *path, dr_dtype dtype, int rank, const int64_t *shape, bool is_buffer);

#endif
