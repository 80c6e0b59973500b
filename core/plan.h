/* plan.h: what a plan records, inside the core. Private. A recording is a list of events (kernels, the host's writes,
 * the host's own work) on slots: pieces of memory, numbered in the order in which events meet them. */
#ifndef DRIFT_PLAN_H
#define DRIFT_PLAN_H

#include "tensor.h"

typedef enum slot_kind {
    SLOT_INNER = 0, /* made by the function */
    SLOT_INPUT,     /* of an input */
    SLOT_OUTER      /* there before it: weights, an optimizer's state */
} slot_kind;

typedef struct dr_slot {
    slot_kind kind;
    int input;           /* of an input: which */
    dr_storage *storage; /* outer: held by the recording; output: by the plan; else NULL after recording */
    size_t bytes;        /* as far as views of it reach */
    bool alive;          /* inner: something still refers to it */
    bool output;
    bool varies;         /* inner: made anew by each replay */
    bool lasts;          /* inner: made once, read by each replay */
    int64_t first, last; /* events that touch it, in the order of replay */
    size_t offset;       /* in the arena */
    int64_t version;     /* outer: when what was computed once from it was computed */
} dr_slot;

typedef struct dr_place { /* of a view's data */
    int32_t slot;         /* -1: an absent input */
    size_t offset;
} dr_place;

typedef enum event_kind { EVENT_LAUNCH = 0, EVENT_WRITE, EVENT_HOST } event_kind;

typedef struct dr_event {
    event_kind kind;
    const dr_component *component; /* launch: the op, */
    dr_launch launch;              /* its kernel; the arguments lie in view and data */
    dr_view *view;                 /* [n_in + n_out]; of a write: the tensor */
    dr_place *where;               /* of each view */
    int n_in, n_out;
    void *data;                    /* launch: attributes; write: the bytes; host: what it is called with */
    size_t bytes;
    int64_t *sample;               /* in data: what moves with the call's sample; NULL: nothing does */
    int64_t sample_base;           /* its distance from the call's */
    dr_status (*fn)(void *ctx, const void *data);
    void *ctx;
    bool mutates;                  /* writes to its inputs */
    bool once;                     /* depends on what seldom changes alone */
} dr_event;

typedef struct dr_output {
    dr_view view;
    dr_place where; /* slot -1: the function gave NULL */
} dr_output;

typedef struct dr_recording {
    int64_t number;
    dr_device *device;
    int64_t first_id; /* storages from this one on were made inside */
    dr_event *event;
    int64_t events, event_room;
    dr_slot *slot;
    int32_t slots, slot_room;
    dr_output output[DR_PLAN_OUTPUTS];
    int outputs;
    dr_storage *input[DR_PLAN_INPUTS]; /* borrowed, while recording */
    int inputs;
    int64_t sample;
    bool has_sample;
    bool settled;     /* compared with another, so that what moves with the sample is known */
    size_t made;      /* bytes of all inner memory */
    char fault[256];  /* why this cannot be replayed; "": nothing is known against it */
} dr_recording;

typedef enum stage { NEW = 0, RUN_ONCE, RECORDED, READY, AS_WRITTEN } stage;

typedef struct dr_capture { /* of calls of one signature */
    const char *plan;                 /* its name; borrowed */
    char *signature;
    size_t signature_bytes;
    stage stage;
    dr_recording *step;               /* the last one; what is replayed when ready */
    dr_tensor *input[DR_PLAN_INPUTS]; /* where the kernels read the call's inputs; owned */
    int inputs;
    size_t arena;
    char **base;                      /* [slots] during a replay */
    bool once_done, check;
    int64_t since_check, interval, generation, used;
    int restarts;
    struct dr_replay_graph *graph;    /* the events that vary as one launch; NULL: not captured */
    int64_t graphs;                   /* how often they were */
    bool no_graph;                    /* they could not be */
} dr_capture;

/* plan.c */
const dr_capture *dr_plan_last(const dr_plan *p); /* of the last call; NULL: there was none */

/* record.c */
dr_recording *dr_record_begin(dr_tensor *const *in, int n_in, const dr_plan_call *c);
void dr_record_end(dr_recording *r, dr_tensor *const *out, int n_out); /* looks for what cannot be replayed */
bool dr_nothing_to_replay(const char *fault); /* no reason for a note */
void dr_recording_free(dr_recording *r);
void dr_record_launch(const dr_launch *l);
void dr_record_write(const dr_tensor *t, const void *from, size_t bytes);
void dr_record_freed(const dr_storage *s);

size_t dr_view_extent(const dr_view *v); /* bytes from its first element to the end of its last one */

/* compare.c: are they the same step? Says in `why` what differs; marks in b what moves with the call's sample. */
bool dr_same_step(const dr_recording *a, dr_recording *b, char *why, size_t n);

/* arena.c: says what runs once and where each inner slot lies; the bytes that it takes in all */
size_t dr_lay_arena(dr_recording *r, uint32_t constant);

/* replay.c */
dr_status dr_bind_inputs(dr_capture *k, const dr_plan_call *c);
/* moves: the sample is told to the device when it launches the graph that the event goes into */
dr_status dr_replay_event(const dr_capture *k, dr_event *e, int64_t sample, bool moves);
void dr_count_writes(const dr_capture *k, const dr_event *e); /* to what was there before */
dr_status dr_replay(dr_capture *k, const dr_plan_call *c, dr_tensor **out, int *n_out);

/* lanes.c: what may run side by side, for each event of a replay that is no host's and does not run once; free() it. NULL
 * after dr_fail */
enum { DR_PLAN_LANES = 6 };
typedef struct dr_lane_step {
    int32_t lane, n, after[DR_PLAN_LANES]; /* at most one of each other lane */
} dr_lane_step;
dr_lane_step *dr_lanes_of(const dr_recording *r, char *const *base);

/* replay_graph.c */
bool dr_replay_graph_ready(dr_capture *k); /* there is one for the addresses of k->base; captures it if need be */
dr_status dr_replay_graph_launch(const dr_capture *k, int64_t sample);
void dr_replay_graph_results(const dr_capture *k, dr_tensor **out, int *n_out); /* copies: the graph keeps its memory */
void dr_replay_graph_free(dr_capture *k);

#endif
