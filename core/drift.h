/* drift.h: the host's own side of Drift, for the program in lua/ and for tests. What plugins may call as well is in
 * drift/plugin.h (included here with DRIFT_CORE, so dr_add() and friends are direct calls). One thread, [main], unless
 * said otherwise. Functions that return a pointer or dr_status leave a message in dr_error_message() when they fail. */
#ifndef DRIFT_H
#define DRIFT_H

#ifndef DRIFT_CORE
#define DRIFT_CORE
#endif
#include <drift/plugin.h>
#include <stdbool.h>
#include <stdio.h>

#define DR_VERSION "0.1.0"

/* ---- error.c ------------------------------------------------------------------------------------------------------ */
const char *dr_error_message(void); /* "unet.down1.conv: conv2d: ...", "" when none is pending; valid until the next error */
void dr_error_clear(void);
const char *dr_status_name(dr_status s);
/* The place that errors are prefixed with: pushed around forwards, builds and reads ("epoch 3", "unet.d1"). */
void dr_error_push(const char *where);
void dr_error_pop(void);
const char *dr_error_place(void); /* the innermost of them; "" */
void dr_set_note_sink(void (*sink)(void *ctx, const char *line), void *ctx); /* where dr_note goes; NULL: stderr */

/* ---- device.c: an opened backend and its cache of free memory -------------------------------------------------------- */
typedef struct dr_device dr_device;
dr_device *dr_device_open(const char *backend, dr_args args); /* "cpu", "ref", "null"; the same name gives the same device */
void dr_device_close_all(void);
dr_device *dr_device_current(void); /* where new tensors go */
void dr_device_use(dr_device *d);
const char *dr_device_name(const dr_device *d);
const char *dr_device_describe(dr_device *d);
/* A line about the backend's device `index`; DR_ENOTFOUND, without an error, past the last, and where it does not list. */
dr_status dr_device_list(const dr_component *backend, int64_t index, char *text, size_t bytes);
bool dr_device_option(const dr_device *d, const char *name, double *value); /* as it was opened; false: it has none */
bool dr_device_computes(dr_device *d, dr_dtype dtype); /* has arithmetic of its own in it, not casts around f32 */
dr_status dr_device_sync(dr_device *d);
void dr_device_memory(const dr_device *d, size_t *in_use, size_t *peak, size_t *reserved);

/* ---- scope.c, tensor.c -------------------------------------------------------------------------------------------------- */
/* Scopes nest; there is always one. dr_scope_open, dr_scope_close, dr_escape: api.def. */
dr_tensor *dr_retain(dr_tensor *t); /* one more reference, for dr_release */
dr_device *dr_tensor_device(const dr_tensor *t);
dr_tensor *dr_tensor_to(dr_tensor *t, dr_device *d); /* a copy there, or t itself */
void dr_tensor_swap(dr_tensor *a, dr_tensor *b);     /* exchanges their memory; same shape and dtype */
dr_tensor *dr_detach(dr_tensor *t);                  /* same memory, no gradient */
bool dr_view_is(const dr_view *v, dr_layout layout);
void dr_view_lay(dr_view *v, dr_layout layout);      /* fills stride from shape: ROW or CL */
size_t dr_dtype_size(dr_dtype d);
const char *dr_dtype_name(dr_dtype d);               /* "f32" */
const char *dr_view_text(const dr_view *v, char *text, size_t n); /* "f32[16,65,14,14]"; returns text */
void dr_convert(dr_dtype to_type, void *to, dr_dtype from_type, const void *from, int64_t n); /* host memory, element by element */

/* ---- read_later.c: a tensor's one number, without waiting for it ------------------------------------------------------------ */
typedef struct dr_reading dr_reading;
dr_reading *dr_read_later(dr_tensor *t);         /* of what t holds now, in the order of the device's work; NULL on failure */
bool dr_read_is_there(const dr_reading *r);      /* dr_read_now will not wait */
double dr_read_now(dr_reading *r);               /* waits for that number alone; NAN on failure */
void dr_reading_free(dr_reading *r);             /* before its device closes; NULL is fine */

/* ---- apply.c, launch.c: from an op's name to a kernel --------------------------------------------------------------------- */
typedef struct dr_launch { /* one kernel on views: what a plan records */
    dr_kernel kernel;
    dr_device *device;
    dr_kargs args;
    size_t attr_size;
    const dr_component *component;     /* the op */
    dr_tensor *const *in, *const *out; /* whose views the arguments are; NULL where a plan replays it */
} dr_launch;
dr_status dr_launch_kernel(const dr_launch *l); /* the one function that runs kernels */
typedef void (*dr_launch_hook)(void *ctx, const dr_launch *l, double start, double seconds); /* start: by the
    monotonic clock */
void dr_set_launch_hook(dr_launch_hook hook, void *ctx); /* profiling; NULL: none */
bool dr_launch_is_hooked(void);
/* Called after each op that is no view and no part of another's composed form; out is empty where it writes to its inputs.
 * What it does with tensors is not listened to. */
typedef void (*dr_apply_hook)(void *ctx, const dr_component *op, dr_tensor *const *in, int n_in, dr_tensor *const *out, int n_out);
void dr_set_apply_hook(dr_apply_hook hook, void *ctx); /* NULL: none */
bool dr_apply_is_hooked(void);
void dr_force_compose(bool on); /* tests: run the composed form even where a kernel exists */

/* ---- record.c, plan.c: steps that are recorded and replayed ------------------------------------------------------ */
/* A function of tensors. in[i] may be NULL. It gives references of its own to at most DR_PLAN_OUTPUTS results, of which
 * some may be NULL. */
enum { DR_PLAN_INPUTS = 32, DR_PLAN_OUTPUTS = 16 };
typedef struct dr_plan dr_plan;
typedef struct dr_plan_call {
    dr_status (*fn)(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out);
    void *ctx;
    dr_tensor *const *in;
    int n_in;
    uint32_t constant;  /* bit i: input i seldom changes; what follows from such alone is computed once */
    const char *key;    /* calls with other keys are recorded apart; NULL: "" */
    int64_t sample;     /* what the samples of random streams count from, where has_sample */
    bool has_sample;
    bool ran;           /* set: fn was called, and nothing was replayed */
} dr_plan_call;
typedef struct dr_plan_state {
    const char *reason;     /* why it runs as written; NULL: it does not */
    bool replays;
    int64_t launches, once; /* kernels of a replay; of these, what runs only when a constant input changes */
    size_t arena, made;     /* bytes that it runs in; of all memory that the function asked for */
    size_t outer, inputs;   /* bytes that it touches of what was there before (weights, an optimizer's state); of its inputs */
    int64_t replayed, checked; /* calls so far */
    bool graph;             /* a replay is one launch: see dr_backend's graph_begin */
    int64_t graphs;         /* how often its kernels were captured into one */
} dr_plan_state;
dr_plan *dr_plan_new(const char *name, int64_t first_check); /* after so many replays a call is recorded again and
    compared, then more seldom */
void dr_plan_free(dr_plan *p);
dr_status dr_plan_run(dr_plan *p, dr_plan_call *c, dr_tensor **out, int *n_out); /* the caller owns out[0..n_out) */
void dr_plan_check(dr_plan *p);       /* the next call is recorded and compared; until then the memory is free */
bool dr_plan_enable(bool on);         /* off: functions just run; on at start; returns what it was */
bool dr_plan_recording(void);
/* What runs at this moment cannot be replayed, for this reason. */
void dr_plan_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Tensors have changed their memory, or what plans refer to is gone: all check themselves. */
void dr_plan_outdate(void);
void dr_plan_forget_all(void); /* what was recorded is no longer true: all begin anew */
/* Work of the host beside kernels: done again with each replay. data is compared: other data is another step. It may
 * count and note, and must neither launch kernels nor move memory: where a replay is one launch on the device, all of it
 * runs behind that launch, in its own order. */
void dr_plan_host(dr_status (*fn)(void *ctx, const void *data), void *ctx, const void *data, size_t bytes);
dr_plan_state dr_plan_look(const dr_plan *p);
typedef struct dr_plan_op { /* all launches of one op in a replay */
    const char *op;         /* the component's; borrowed */
    int64_t launches;
    double flop, bytes;     /* as dr_launch_flop and dr_launch_bytes count; sums */
} dr_plan_op;
/* plan_cost.c: the ops of a replay in the order in which it meets them, without what runs only when weights change; 0:
 * it does not replay (yet), or after dr_fail there are more than room. */
int64_t dr_plan_ops(const dr_plan *p, dr_plan_op *rows, int64_t room);

/* ---- flop.c, profile.c: what kernels take ------------------------------------------------------------------------ */
double dr_launch_flop(const dr_launch *l);  /* of convolutions and matrix products, by their shapes; 0 for other ops */
double dr_launch_bytes(const dr_launch *l); /* of its inputs and outputs, each once */
typedef struct dr_profile_row { /* all launches of one op with the same shapes and dtypes */
    char op[48], shapes[208];   /* "f32[2,1,28,28] f32[8,1,3,3] -> f32[2,8,28,28]" */
    char dtype[8];
    int64_t calls;
    double seconds, least; /* sum, and the shortest call */
    double flop, bytes;    /* sums */
} dr_profile_row;
/* While a profile is open every launch is timed, the device being waited for before and after. path: a Chrome trace is
 * written there, which is complete and valid after each write, so also where the process is killed; NULL: sums only.
 * events: how many the trace may have at most. One profile at a time. */
dr_status dr_profile_open(const char *path, int64_t events);
dr_status dr_profile_close(void);
bool dr_profile_is_open(void);
void dr_profile_repeat(int times); /* each launch that writes nothing in place runs `times` more; its median counts */
int64_t dr_profile_count(void);    /* rows, in order of their first launch; they stay until the next dr_profile_open */
const dr_profile_row *dr_profile_at(int64_t i);
int dr_profile_begin(const char *name); /* a phase of the host, inside those that are open; returns what end takes */
void dr_profile_end(int phase);         /* it, and those that were begun in it and not ended */
void dr_profile_summary(FILE *to);      /* a short table of the ops that took longest */

/* ---- diff_devices.c: where do two devices differ first? ---------------------------------------------------------- */
/* Two processes run the same program on a device each, connected by a pipe. One tells the results of its ops; the other
 * compares its own with them, and goes on with those that it was told: so each op is judged by itself. Both end with an
 * error, DR_EINTERRUPTED, after so many optimizer steps. */
dr_status dr_diff_tell(int fd, int64_t steps);
dr_status dr_diff_compare(int fd, int64_t steps);
bool dr_diff_ended(void); /* the pending or last error was that end */
typedef enum dr_diff_result {
    DR_DIFF_SAME = 0,
    DR_DIFF_DIFFER,
    DR_DIFF_APART, /* they did not run the same ops */
    DR_DIFF_ALONE  /* the other process has ended too early: it failed */
} dr_diff_result;
dr_diff_result dr_diff_finish(FILE *to, const char *device, const char *other); /* says what was found; closes the pipe */
dr_status dr_diff_count_step(void); /* for optim.c: a step is done */

/* ---- tape.c ------------------------------------------------------------------------------------------------------------------ */
dr_tensor *dr_requires_grad(dr_tensor *t, bool on); /* returns t */
bool dr_has_requires_grad(const dr_tensor *t);
bool dr_grad_mode(bool on);                         /* record or not; returns what it was; on at start */
dr_status dr_backward(dr_tensor *y, dr_tensor *dy); /* dy NULL: y has one element, dy = 1. Adds into leaves' gradients; frees the graph */
dr_tensor *dr_grad(dr_tensor *leaf);                /* borrowed; NULL (no error) if none */
void dr_zero_grad(dr_tensor *leaf);

/* ---- registry.c, plugin.c ------------------------------------------------------------------------------------------------------ */
/* component_call.c: the host's calls of components' functions are between these: failures have a message, scopes are as they
 * were, results have the shape of `like` (NULL: any). The result may be another reference's: it is y, or NULL after dr_fail. */
typedef struct dr_component_call {
    const dr_component *component;
    const char *what; /* the function: "step" */
    int depth, floor;
} dr_component_call;
dr_component_call dr_component_enter(const dr_component *c, const char *what);
dr_status dr_component_leave(const dr_component_call *call, dr_status status);
dr_tensor *dr_component_result(const dr_component_call *call, dr_tensor *y, dr_tensor *like);
double dr_component_number(const dr_component_call *call, double value); /* value; dr_fail where it is not finite */

/* signature.c: result and arguments by their first letters: r real, i int, b bool, s string, t tensor, v void. */
enum { DR_SIGNATURE_ARGUMENTS = 8 };
typedef struct dr_signature {
    char result, argument[DR_SIGNATURE_ARGUMENTS];
    int n;
} dr_signature;
bool dr_signature_read(const char *text, dr_signature *s); /* false: it is none */

typedef struct dr_plugin_info {
    const char *id, *version, *doc, *path; /* path "" for the core's own */
    const dr_plugin *plugin;
} dr_plugin_info;
dr_status dr_registry_open(void);              /* the core's own components; call once before anything */
void dr_registry_close(void);
dr_status dr_plugin_load(const char *path);    /* checks the ABI before any of its code runs */
dr_status dr_plugins_load(const char *folder); /* every *.so in it, by name; one that fails is an error naming it */
/* A plugin without a library, whose components are added one by one (lua/bind_define.c). p and its strings must outlive
 * it; path may be "". NULL after dr_fail. undefine removes its components; it and a plugin that is gone: nothing. */
const dr_plugin_info *dr_plugin_define(const dr_plugin *p, const char *path);
void dr_plugin_undefine(const dr_plugin_info *plugin);
dr_status dr_registry_add(const dr_component *c, const dr_plugin_info *plugin);
void dr_registry_remove(const dr_component *c); /* what was made of it goes on */
void dr_registry_remove_plugin(const dr_plugin_info *plugin);
/* definition.c: of components whose code is a Lua state's. Each struct of theirs is told before it is freed. */
typedef struct dr_definition_hooks {
    void (*self_goes)(const dr_component *c, void *self);
    bool (*has_one_thread)(const dr_component *c); /* it must not be called from another */
} dr_definition_hooks;
void dr_set_definition_hooks(const dr_definition_hooks *h); /* NULL: none */
bool dr_instance_has_one_thread(const dr_instance *i); /* it, or a component or function among its parameters: the next line */
bool dr_component_has_one_thread(const dr_component *c);
int64_t dr_plugin_count(void);
const dr_plugin_info *dr_plugin_at(int64_t i);
dr_status dr_plugin_sha256(int64_t i, char hex[65]); /* of its file, read now: some are large; "" for the core's own */
int64_t dr_component_count(void);
const dr_component *dr_component_at(int64_t i); /* sorted by kind, then name */
const dr_component *dr_component_find(const char *kind, const char *name); /* kind without revision; error with a did-you-mean */
const dr_plugin_info *dr_component_plugin(const dr_component *c);
const dr_export *dr_export_find(const char *name);
int64_t dr_export_count(void);
const dr_export *dr_export_at(int64_t i);
const char *dr_nearest(const char *name, const char *const *known, int64_t n); /* for did-you-mean; NULL if nothing is near */

/* ---- schema.c: parameters ------------------------------------------------------------------------------------------------------- */
const dr_param *dr_param_at(const dr_component *c, int i); /* honours the stride; NULL past the end */
const dr_param *dr_param_find(const dr_component *c, const char *name); /* error "sampler heun: no parameter ..., did you mean ...?" */
/* Fills self: defaults, then args, with every check. Strings and lists are copied; component parameters are built (and
 * owned by `owner`'s keeper). Errors read "sampler heun: order = 7 is outside [1, 2]". */
typedef struct dr_keeper dr_keeper; /* owns what a filled struct points to */
dr_status dr_schema_fill(const dr_component *c, dr_args args, void *self, dr_keeper **keeper);
void dr_keeper_free(dr_keeper *k);
dr_status dr_param_read(const dr_component *c, const void *self, const char *name, double *value); /* an int, real, bool or enum back */

/* ---- reload.c, instance.c: a plugin's new version in place of the one that runs ------------------------------------------------- */
typedef struct dr_reloaded {
    const char *id, *version; /* of the new one; valid until the next reload of it */
    char sha256[65];          /* of the file that was loaded */
    int64_t instances, modules; /* that were made anew */
    bool unmapped;            /* the old library is gone; else something may refer to it still, and it stays until the end */
    double seconds;
} dr_reloaded;
/* Loads the file of plugin number i once more and makes everything alive of it anew, with the parameters that it was
 * given; weights, buffers and optimizers' state stay. Plans are recorded again. Where anything of it fails, the old one
 * goes on as if nothing had been, and the error says what and where. Only between steps. */
dr_status dr_plugin_reload(int64_t i, dr_reloaded *out);
int64_t dr_plugin_find(const char *name); /* by its file, its id, or a component: "heun" or "sampler.heun". -1 after dr_fail */
/* Around calls that may lead back into a script while a plugin's code, or a recording, is under way. */
void dr_reload_bar(const char *what); /* "the function of a plan": for the message */
void dr_reload_unbar(void);
dr_status dr_reload_check(const char *plugin); /* an error within such a call */
int64_t dr_instance_renewals(const dr_instance *i); /* reloads that it has lived through: what was read of it may be old */
bool dr_instance_lost(const dr_instance *i);        /* a metric whose samples a reload has lost */
void dr_instance_note_use(dr_instance *i, bool used); /* a metric has samples or real images now, or none any more */

/* ---- module.c ------------------------------------------------------------------------------------------------------------------- */
typedef struct dr_named {
    const char *path; /* "d1.c.c1.conv.0.weight", from the root */
    dr_tensor *tensor; /* borrowed */
    bool is_buffer;
} dr_named;
dr_module *dr_module_group(dr_module *parent, const char *name); /* parent NULL: a root (name only for messages); name "": shares the parent's path */
dr_module *dr_module_create(dr_module *parent, const char *name, const char *kind, const char *component, dr_args args); /* kind "block" or "conditioning" */
dr_tensor *dr_module_weight(dr_module *group, const char *name, int rank, const int64_t *shape, dr_init init); /* f32, borrowed: a
    weight of a network written in Lua */
void dr_module_free(dr_module *root); /* with its children and weights */
void dr_module_seed(dr_module *root, uint64_t seed); /* before children are made: keys the initial weights */
void dr_module_mode(dr_module *root, bool training);
bool dr_module_training(const dr_module *m);
uint64_t dr_module_modes(void); /* a number that says which networks are in evaluation mode */
void dr_module_stream(dr_module *root, uint64_t seed, uint32_t step, uint64_t sample); /* for dropout in this step */
const dr_component *dr_module_component(const dr_module *m); /* NULL for a group */
const char *dr_module_path(const dr_module *m);
int64_t dr_module_child_count(const dr_module *m);
dr_module *dr_module_child_at(const dr_module *m, int64_t i);
int64_t dr_module_named_count(dr_module *m); /* weights and buffers under m, in order of declaration */
const dr_named *dr_module_named_at(dr_module *m, int64_t i);
/* in[0] is x. Opens a scope of its own: intermediates that backward does not need die at once. The result is in the caller's scope. */
dr_tensor *dr_module_forward(dr_module *m, dr_tensor *const *in, int n);
dr_status dr_module_embed(dr_module *conditioning, const dr_batch_cond *c, dr_embedding *e);
dr_tensor *dr_module_modulate(dr_module *conditioning, int site, dr_tensor *h, const dr_embedding *e);
dr_tensor *dr_module_gate(dr_module *conditioning, int site, dr_tensor *h, const dr_embedding *e);
typedef struct dr_site { /* where a block's own site 0 is among the conditioning's */
    dr_module *conditioning;
    int first;
    const dr_embedding *e;
} dr_site;
dr_tensor *dr_module_forward_at(dr_module *m, dr_tensor *const *in, int n, const dr_site *site); /* site NULL: as dr_module_forward */

/* ---- safetensors.c, checkpoint files ------------------------------------------------------------------------------------------------- */
/* A safetensors file, memory-mapped read-only: dr_file_open, _close, _metadata, _shape and _read are in api.def. Everything
 * in the header is checked before use; errors name file and field. */
int64_t dr_file_count(const dr_file *f);
typedef struct dr_file_entry {
    const char *name;
    int32_t dtype; /* dr_dtype, or -1 for a valid safetensors type that Drift has no tensor of (I8, I16, U16, F8..) */
    int64_t rank, shape[8];
    const void *data; /* into the map: may be unaligned only if the file is; n bytes */
    size_t bytes;
    const char *type; /* as the file names it: "F8_E4M3" */
} dr_file_entry;
dr_file *dr_file_retain(dr_file *f); /* one more owner, who calls dr_file_close; returns f */
const char *dr_file_path(const dr_file *f); /* as it was opened */
void dr_file_unread(const dr_file *f, const void *data, size_t bytes); /* these bytes will not be read soon: their memory may go */
const dr_file_entry *dr_file_at(const dr_file *f, int64_t i); /* by offset */
const dr_file_entry *dr_file_find(const dr_file *f, const char *name); /* NULL, no error */
int64_t dr_file_metadata_count(const dr_file *f);
const char *dr_file_metadata_key(const dr_file *f, int64_t i);
dr_tensor *dr_file_tensor(const dr_file *f, const char *name, int as_dtype /* dr_dtype, -1: as stored */); /* a copy on the current device */

/* ---- weight_source.c: tensors by name, out of files, that a network takes its weights from while it is built ------- */
typedef struct dr_weights dr_weights;
typedef struct dr_weight_part { /* of a tensor in a file: its rows [first, first + rows) of each `every`, in this shape */
    int rank; /* -1: the file's */
    int64_t shape[DR_MAX_RANK];
    int64_t every, first, rows; /* every 0: all rows */
} dr_weight_part;
dr_weights *dr_weights_new(void);
void dr_weights_free(dr_weights *w); /* networks keep what they took; NULL is fine */
dr_status dr_weights_add(dr_weights *w, const char *name, dr_file *f, const char *in_file, const dr_weight_part *part /* NULL: as it is */);
dr_tensor *dr_weights_tensor(dr_weights *w, const char *name, int as_dtype /* -1: as stored */); /* a copy on the current device */
/* Before children are made: weights and buffers of the network come from w, which must outlive the build. Weights of two
 * axes or more stay in the file and are frozen: no gradient, nobody writes to them. trainable: all are f32 copies instead.
 * What does not fit is listed in w and does not stop the build; such a network must not be used. */
void dr_module_take_weights(dr_module *root, dr_weights *w, bool trainable);
bool dr_module_is_frozen(const dr_module *m); /* of a network that was built so */
typedef enum dr_misfit_kind { DR_MISFIT_MISSING = 0, DR_MISFIT_SHAPE, DR_MISFIT_TYPE, DR_MISFIT_EXTRA } dr_misfit_kind;
typedef struct dr_misfit {
    dr_misfit_kind kind;
    char *text; /* "conv_in.weight is [8,4,3,3], expected [8,3,3,3]" */
} dr_misfit;
dr_status dr_module_weights_taken(dr_module *root); /* the build is done: lists what nobody took, and lets go of w */
int64_t dr_weights_misfit_count(const dr_weights *w); /* of the last build */
const dr_misfit *dr_weights_misfit_at(const dr_weights *w, int64_t i);
typedef struct dr_save dr_save; /* a file being put together */
dr_save *dr_save_begin(void);
dr_status dr_save_metadata(dr_save *s, const char *key, const char *value);
dr_status dr_save_tensor(dr_save *s, const char *name, dr_tensor *t); /* read back from its device now, row-major */
dr_status dr_save_data(dr_save *s, const char *name, dr_dtype dtype, int rank, const int64_t *shape, const void *data);
dr_status dr_save_commit(dr_save *s, const char *path); /* temporary name, fsync, rename, fsync of the folder; frees s either way */
void dr_save_abandon(dr_save *s);
dr_status dr_write_file(const char *path, const void *data, size_t bytes); /* any file, the same careful way */
void dr_sha256_hex(const void *data, size_t bytes, char hex[65]);
dr_status dr_sha256_file(const char *path, char hex[65]);

/* ---- noising.c, coupling.c, model.c, sample.c: diffusion ----------------------------------------------------------------------------------------- */
typedef struct dr_noised { /* one training batch, on the device */
    dr_tensor *input;  /* c_in x_t [B,C,H,W]: what the network sees */
    dr_tensor *x_t;    /* [B,C,H,W] */
    dr_tensor *target; /* p x0 + q eps [B,C,H,W] */
    dr_tensor *time;   /* [B] f32 */
    dr_tensor *weight; /* [B] f32, or NULL where all are 1 */
} dr_noised;
dr_status dr_noising(dr_instance *process, dr_instance *weighting, dr_tensor *x0, dr_tensor *eps, const double *t,
                     dr_noised *out); /* t[B]; weighting NULL: the process's own weights */
/* The same in two parts: the host's, and the device's, which is the same kernels for every batch (for plans). */
typedef struct dr_levels {
    dr_tensor *alpha, *sigma, *p, *q; /* [B,1,..] as the images; a pair is NULL where it is the same at all times */
    dr_tensor *c_in, *time, *weight;  /* [B,1,..], [B] f32, [B] f32; c_in and weight NULL where always 1 */
} dr_levels;
dr_status dr_batch_levels(dr_instance *process, dr_instance *weighting, dr_tensor *x0, const double *t,
                          dr_levels *out); /* x0: for its shape */
dr_status dr_noise_batch(dr_instance *process, dr_tensor *x0, dr_tensor *eps, const dr_levels *levels, dr_noised *out);
dr_status dr_draw_times(dr_instance *process, dr_instance *time_sampling, const dr_rng *rng, int64_t B, double *t); /* row i:
    sample rng->sample + i; time_sampling NULL: as the process draws */
dr_status dr_weigh(dr_instance *weighting, const dr_coef *c, double *weight); /* an error where it is negative or not finite */
dr_status dr_draw_time(dr_instance *process, dr_instance *time_sampling, double u, double *t); /* an error outside the process's own */
dr_tensor *dr_pair(dr_instance *coupling, dr_tensor *x0, dr_tensor *eps, dr_tensor *label); /* eps with its rows in the order of the
    images that they go with (coupling.c); label i32 [B] or NULL */
/* From t back to a noisier t: x' = a x + b noise with a = alpha'/alpha, b^2 = sigma'^2 - a^2 sigma^2. */
dr_tensor *dr_renoise(const dr_instance *process, dr_tensor *x, double from, double to, dr_tensor *noise);
dr_tensor *dr_prediction_to(const dr_coef *c, dr_tensor *x, dr_tensor *prediction, double wx0, double weps); /* wx0 x0 + weps eps */

typedef dr_tensor *(*dr_net_fn)(void *ctx, dr_tensor *x, const dr_batch_cond *cond); /* cond->time is filled in */
dr_model *dr_model_new(dr_instance *process, dr_net_fn net, void *ctx); /* borrows process */
void dr_model_free(dr_model *f);
void dr_model_shares_images(dr_model *f); /* the network takes x [B] with a condition of n B rows, row r for image
    r mod B */
void dr_model_without_mask(dr_model *f); /* the network pays no heed to the mask: a condition is dropped by null tokens */
void dr_model_network(dr_model *f, const char *name, dr_net_fn net, void *ctx); /* a further one, for guidance to ask by name */
void dr_model_guide(dr_model *f, dr_instance *guidance); /* outermost last; borrowed */
void dr_model_clip(dr_model *f, dr_instance *clip); /* of estimates of x0; NULL: none; borrowed */
typedef struct dr_cond_values { /* of B rows each, or of one that holds for all; any may be NULL */
    dr_tensor *label, *tokens, *tokens_mask;   /* [B] i32, [B,L,D], [B,L] */
    dr_tensor *image, *image_level;            /* [B,C,H,W], [B] f32 */
    dr_tensor *null_tokens, *null_tokens_mask; /* [B,L,D], [B,L]: what dropped rows get in place of tokens; without
                                                  null_tokens such rows have mask 0 */
} dr_cond_values;
dr_status dr_model_conditions(dr_model *f, const dr_cond_values *c, int n); /* n >= 1; the model keeps what it is given */
dr_status dr_model_condition(dr_model *f, dr_tensor *label, dr_tensor *tokens, dr_tensor *tokens_mask); /* one, of these alone */
/* Within its network or guidance a model takes no condition, and makes no estimate of its own: `what` says so. */
dr_status dr_model_check_idle(const dr_model *f, const char *what);
int64_t dr_model_calls(const dr_model *f); /* network evaluations so far, a batch of both halves counted once */
/* After each step; not DR_OK stops. It may put another tensor of x's shape and dtype in *x, which goes on in x's place. */
typedef dr_status (*dr_sample_step_fn)(void *ctx, int64_t step, int64_t steps, double t, dr_tensor **x);
/* The loop: x at t_noise (NULL grid) or along t[0..n]; returns the last x in the caller's scope. */
dr_tensor *dr_sample(dr_model *f, dr_instance *sampler, dr_tensor *x, dr_rng rng, const double *t, int64_t n, dr_sample_step_fn each, void *ctx);
dr_status dr_sample_grid(dr_model *f, dr_instance *sampler, double **t, int64_t *n); /* malloc'd t[0..n] */

/* ---- metric.c: a metric's values with bootstrap intervals ------------------------------------------------------------------------------- */
typedef struct dr_resampling {
    int64_t resamples; /* 0: no interval (low and high are NaN) */
    double confidence; /* 0.95 */
    uint64_t seed;
} dr_resampling;
typedef struct dr_metric_value {
    const char *name;
    double value, low, high; /* NaN where there are no samples */
} dr_metric_value;
dr_status dr_metric_reset(dr_instance *metric);
dr_status dr_metric_reference(dr_instance *metric, dr_tensor *real, dr_split split); /* DR_OK and nothing where the metric needs none of that split */
dr_status dr_metric_update(dr_instance *metric, dr_tensor *output, dr_tensor *label);
int64_t dr_metric_samples(const dr_instance *metric);
int dr_metric_values(const dr_instance *metric); /* how many */
int dr_metric_better(const dr_instance *metric, int k); /* of value k: 1 higher, -1 lower, 0 neither, or it does not say */
dr_status dr_metric_result(dr_instance *metric, const dr_resampling *how, dr_metric_value *out); /* out[dr_metric_values()] */
/* The interval's numbers alone, for what is not a metric: the mean of x[0..n) over resamples of it. */
dr_status dr_bootstrap_mean(const double *x, int64_t n, const dr_resampling *how, dr_metric_value *out);

/* ---- optim.c ----------------------------------------------------------------------------------------------------------------------------- */
typedef struct dr_optim dr_optim;
dr_optim *dr_optim_new(dr_instance *optimizer, dr_tensor *const *param, const char *const *path, int64_t n); /* borrows the instance; retains tensors */
void dr_optim_free(dr_optim *o);
dr_status dr_optim_advance(dr_optim *o, double lr_factor); /* announces the next step, outside of a plan that has it */
/* Uses and then clears the weights' gradients; a weight with none is left alone. The factor counts where the step was
 * not announced. */
dr_status dr_optim_step(dr_optim *o, double lr_factor);
/* count averages of all weights, average[k n + i], which each step moves after the weights; in one pass where the
 * optimizer can. Returns f64 [2 + count], borrowed: from the third on the decays, for the caller to write before a step. */
dr_tensor *dr_optim_averages(dr_optim *o, dr_tensor *const *average, int count);
int64_t dr_optim_weights(const dr_optim *o);
int64_t dr_optim_steps(const dr_optim *o);
dr_status dr_optim_save(dr_optim *o, dr_save *s, const char *prefix);        /* "optim." + slot + "." + path */
dr_status dr_optim_load(dr_optim *o, const dr_file *f, const char *prefix);

/* ---- loader.c: batches of a data set --------------------------------------------------------------------------------------------------------- */
typedef struct dr_batch {
    dr_tensor *image; /* [B,C,H,W] f32 channels-last */
    dr_tensor *label; /* [B] i32, or NULL */
    dr_tensor *noise; /* [B,C,H,W] f32 channels-last: what each image was made from; NULL where the data set has none */
    int64_t size, first; /* first: number of its first sample since training began, the key of its noise */
} dr_batch;
/* The i-th batch of an epoch: order is a permutation keyed by (seed, epoch); the last batch may be smaller (dropped if drop_last). */
typedef struct dr_loader dr_loader;
dr_loader *dr_loader_new(dr_instance *dataset, dr_split split, int64_t batch, bool shuffle, bool drop_last, uint64_t seed, int64_t limit);
void dr_loader_free(dr_loader *l);
int64_t dr_loader_batches(const dr_loader *l); /* per epoch */
int64_t dr_loader_samples(const dr_loader *l);
dr_status dr_loader_read(dr_loader *l, int64_t epoch, int64_t i, dr_batch *out);
void dr_dataset_lock(void); /* around calls of a data set's functions: a loader's thread may be in them [any] */
void dr_dataset_unlock(void);

/* ---- host.c --------------------------------------------------------------------------------------------------------------------------------------- */
extern const dr_host dr_host_functions; /* the table that plugins get */
void dr_set_home(const char *folder);

/* ---- installation.c: where Drift itself lies ---------------------------------------------------------------------- */
/* Sets the home (dr_home_dir) and the two folders below, once, before plugins are loaded: DRIFT_HOME and
 * DRIFT_PLUGIN_DIR, else around the program where it is installed, else as it was built. */
void dr_find_installation(const char *built_home, const char *built_plugin_dir);
const char *dr_program_path(void); /* of the running program, absolute; "" where the system does not say */
const char *dr_plugin_dir(void);   /* Drift's own plugins */
const char *dr_include_dir(void);  /* holds drift/plugin.h */

/* ---- plugin_search.c: where plugins are found; the file says in which order, and what is an error ---------------- */
dr_status dr_plugins_find(const char *own, const char *script); /* opens the registry; loads Drift's own, DRIFT_PLUGINS's, and: */
dr_status dr_plugins_load_around(const char *script); /* those beside the script (NULL: in the current folder), and the user's */
const char *dr_user_plugin_dir(void);                 /* ~/.local/share/drift/plugins; "" where there is no home */
int64_t dr_plugins_left_out(void);                    /* found, but not loaded */
const char *dr_plugin_left_out(int64_t i, const char **why); /* its path */
const char *dr_plugin_origin(const char *path);       /* "DRIFT_PLUGINS", "beside the script", ...; "" Drift's own, or given */
const char *dr_plugin_missing(const char *name, const char **why); /* one left out that may have a component of this name; NULL */

#endif
