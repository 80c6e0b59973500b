/* tensor.h: what a tensor is inside the core. Private: plugins see dr_view and dr_tensor *. */
#ifndef DRIFT_TENSOR_H
#define DRIFT_TENSOR_H

#include "drift.h"

/* Who has the memory that tensors read in place: a mapped file. */
typedef struct dr_memory_keeper {
    void (*gone)(void *ctx); /* nobody reads it any more; called once */
    /* NULL: not told. A kernel has a form of its own of these bytes and will not read them soon: pages of a file that
     * lie in them may go (they can be read again). */
    void (*packed)(void *ctx, const void *data, size_t bytes);
    void *ctx;
} dr_memory_keeper;

/* Memory on a device, shared by the views of it. */
typedef struct dr_storage {
    int refs;
    dr_device *device;
    void *data;
    size_t bytes;
    int64_t id;             /* counts all storages ever made */
    int64_t version;        /* counts writes to it after it was made: in-place ops and the host's */
    int64_t recording;      /* the last recording that met it, */
    int32_t slot;           /* and its place in that one's list */
    bool frozen;            /* nothing writes to it while it lives */
    bool in_place;          /* data is its keeper's, not the device's */
    dr_memory_keeper keeper;
    struct dr_storage *next_in_place; /* in_place.c: the list of those */
} dr_storage;

typedef struct dr_node dr_node;

struct dr_tensor {
    int refs;
    dr_view view; /* view.data points into storage */
    dr_storage *storage;
    bool requires_grad; /* a leaf that wants its gradient */
    dr_tensor *grad;    /* of a leaf: owned */
    dr_node *node;      /* of a result: what made it (owned), and as which output */
    int output;
    int scope; /* depth of the scope that holds a reference; 0: none */
    int slot;  /* where in that scope */
};

struct dr_device {
    const dr_component *component;
    dr_backend api_read;   /* a plugin's own may end earlier: what it lacks is NULL here, */
    const dr_backend *api; /* which this points to */
    dr_instance *instance;
    void *self;
    char name[32];
    size_t in_use, peak, reserved;
    struct dr_block_list *cache;
    struct dr_kernel_memo *memo;
    int64_t memo_count, memo_capacity;
    dr_storage *arena;      /* what plans run in: one for all, as one runs at a time */
    const void *arena_user; /* whose lasting values lie in it */
    bool arena_in_use;      /* a replay runs in it */
    struct dr_replay_graph *graphs; /* replay_graph.c: of the plans on it */
    dr_device *next;
};

/* device.c */
dr_storage *dr_storage_new(dr_device *d, size_t bytes);
void dr_storage_release(dr_storage *s);
dr_storage *dr_storage_around(dr_device *d, void *data, size_t bytes); /* of memory that is not the device's; its owner sees to its end */
int64_t dr_storage_next_id(void);   /* of the next one that is made */
void dr_device_trim(dr_device *d);  /* gives the cache's memory back */
dr_storage *dr_device_arena(dr_device *d, size_t bytes, const void *user); /* borrowed; at least so large */
void dr_device_drop_arena(dr_device *d);
void dr_device_spare_arena(dr_device *d); /* drops it, unless graphs are bound to it */
void dr_replay_graphs_close(dr_device *d); /* replay_graph.c: the device is about to close */
dr_kernel dr_device_kernel(dr_device *d, const char *op, dr_dtype dtype); /* NULL, no error: none */
void dr_device_forget_kernels(void); /* of all devices: they are looked for again */

/* tensor.c: the new tensor belongs to the current scope */
dr_tensor *dr_tensor_wrap(const dr_view *view, dr_storage *storage); /* takes a reference to storage; view.data must be set */
dr_tensor *dr_tensor_make(dr_device *d, const dr_view *like);        /* fresh memory for like's dtype, shape and strides */

/* in_place.c: a tensor of the memory at view->data, which stays as it is and lies at whole elements, on the current
 * device. It is frozen: writing to it is an error. Takes the keeper over, also where it fails (NULL): gone is called
 * then, or with the last tensor of it; at once where the device cannot read the host's memory and has got a copy. */
dr_tensor *dr_tensor_in_place(const dr_view *view, const dr_memory_keeper *keeper);
bool dr_tensor_is_frozen(const dr_tensor *t);
void dr_in_place_gone(dr_storage *s); /* for device.c: the last reference went */

/* scope.c */
int dr_scope_depth(void);     /* 0 on other threads than the first, which have none */
int dr_scope_fence(int at);   /* scopes up to that depth cannot be closed, 0: all can; returns the fence before (component_call.c) */
bool dr_scope_refused(void);  /* whether somebody tried, since the last call */
void dr_scope_hold(dr_tensor *t); /* the current scope takes the caller's reference */
void dr_scope_drop(dr_tensor *t); /* the scope forgets t without releasing it */

/* tape.c */
bool dr_tape_wants(dr_tensor *const *in, int n);
/* in: the op's inputs as given, where gradients go; laid: the same as its kernel saw them, which backward may see. */
void dr_tape_record(const dr_component *op, const void *attr, dr_tensor *const *in, dr_tensor *const *laid, int n_in, dr_tensor *const *out, int n_out);
void dr_node_release(dr_node *n);
bool dr_tape_open(const dr_tensor *t); /* backward has not yet passed what made it */

#endif
