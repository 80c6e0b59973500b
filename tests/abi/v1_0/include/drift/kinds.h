/* kinds.h: one interface struct per kind of component. Each says what the host calls, when, and who owns what.
 * Everywhere: `self` is the component's own struct (parameters filled in by the host); tensors belong to the host's
 * current scope; a function that fails calls dr_fail() and returns NULL or the status; it never prints, exits or
 * jumps. All functions are [main] but kernels. A function may be left NULL only where that is said here. */
#ifndef DRIFT_KINDS_H
#define DRIFT_KINDS_H

#include <drift/abi.h>

typedef struct dr_builder dr_builder; /* during create(): where weights, buffers and children are declared */
typedef struct dr_module dr_module;   /* a built block with its weights; owned by the host */
typedef struct dr_ctx dr_ctx;         /* one forward call: training or not, further inputs, random stream */
typedef struct dr_model dr_model;     /* process + guidance + network, as a sampler or guidance sees it */
typedef struct dr_cond dr_cond;       /* what a model is conditioned on: label, tokens, image, each or none; opaque, held by the host */
typedef struct dr_file dr_file;       /* an open safetensors file, its header checked; held by the host */

/* ---- op/1: a function of tensors ----------------------------------------------------------------------------------
 * The component's params are its attributes (struct given as `attr`); its self_size is the attribute's size. */
typedef enum dr_layout {
    DR_LAYOUT_ROW = 0, /* row-major, dense */
    DR_LAYOUT_CL,      /* rank 4: channels-last dense (B,H,W,C in memory); other ranks: row-major dense */
    DR_LAYOUT_ANY,     /* any strides */
    DR_LAYOUT_DENSE,   /* no holes, axes in any order (a view of a dense buffer, permuted); inputs with this layout
                          and the same shape all arrive with the same strides */
    DR_LAYOUT_INFER,   /* outputs only: infer fills the strides, of a dense tensor */
    DR_LAYOUT_PIXELS   /* inputs only. As CL, but the pixels of a rank 4 may lie further apart (dr_pixel_pitch): some channels
                          of a channels-last image, as the gradient of one that was joined with others */
} dr_layout;

enum { DR_OP_NONDIFF = 1,   /* has no gradient, by nature */
       DR_OP_VIEW = 2,      /* output shares input 0's memory: no kernel runs; infer fills strides, and data offset in *offset;
                               *offset = -1: these strides do not allow it, so the host makes input 0 row-major and asks again */
       DR_OP_VARIADIC = 4,  /* takes n_in or more inputs */
       DR_OP_MUTATES = 8,   /* writes to inputs (optimizer steps, running statistics); has no outputs that need gradients.
                               No input is copied to another layout: infer refuses what kernels cannot take as it is */
       DR_OP_CREATES = 16,  /* no tensor inputs decide dtype and device: attr and the current device do */
       DR_OP_ONE_DTYPE = 32, /* where f32 inputs stand beside bf16 or f16 ones, the host casts those in f32 first */
       DR_OP_ANY_WEIGHT = 64, /* input 1, a weight, may be f32, f16 or bf16 beside any x but f64; for a backend without
                               DR_BACKEND_ANY_WEIGHT the host widens it to f32 first */
       DR_OP_PICKS = 128 /* output 0 is made of elements of input 0 as they are: those of a frozen half one are cast to f32 */ };
enum { DR_OP_MAX_IN = 16, DR_OP_MAX_OUT = 6 };

/* What backward sees. in[i], out[j] are NULL unless their bit is set in save_in, save_out. */
typedef struct dr_backward_args {
    const void *attr;
    int32_t n_in, n_out;
    dr_tensor *const *in, *const *out;
    const dr_view *in_view, *out_view; /* shapes and dtypes, always there; data is NULL */
    dr_tensor *const *dout;            /* gradient of output j, or NULL where none arrived (never all) */
    const uint8_t *need;               /* need[i]: input i wants its gradient */
    dr_tensor **din;                   /* to fill: gradient of input i, of its shape */
} dr_backward_args;

typedef struct dr_op {
    uint32_t size;
    uint32_t flags;
    int32_t n_in, n_optional; /* inputs; the last n_optional may be NULL (their view has rank -1) */
    int32_t n_out;
    uint8_t in_layout[DR_OP_MAX_IN];  /* dr_layout that kernels want; the host copies where it differs.
                                         A variadic op's further inputs take the last one's. */
    uint8_t out_layout[DR_OP_MAX_OUT]; /* ROW, CL, INFER; ANY: channels-last if the first input of its shape
                                          is; DENSE: the strides of the first dense input of its shape, else ROW */
    uint64_t save_in, save_out;       /* bit i: backward wants input i, output i */
    /* The only place where shapes and dtypes are refused (dr_fail, with both shapes). Fills out[j].dtype, rank, shape;
     * for views the strides as well, and *offset (elements into input 0). */
    dr_status (*infer)(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset);
    /* In terms of other ops: the truth. Runs where the device has no kernel of this name; NULL: the op is primitive. */
    dr_status (*compose)(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out);
    /* NULL and not NONDIFF: the gradient is that of compose (the tape records compose's ops instead). */
    dr_status (*backward)(const dr_backward_args *b);
    /* Output 0 once more from what backward keeps (dout, need and din are NULL): the same bits, by little work beside
     * the memory that keeping it takes. Then ops that save this output do not hold it: it is made again. NULL: no. */
    dr_tensor *(*again)(const dr_backward_args *b);
    const char *example; /* shapes of the inputs for the registry's test, "2,4,6,6;4,1,3,3"; NULL: it looks for some */
} dr_op;

/* ---- backend/1: a device's memory and its kernels ------------------------------------------------------------------ */
typedef struct dr_kargs {
    uint32_t size;
    int32_t n_in, n_out;
    dr_view *in;  /* an absent optional input has rank -1 and data NULL */
    dr_view *out; /* dense, in the op's out_layout */
    const void *attr;
    void *backend; /* the backend's self */
    const char *op;
    int32_t sample_moves; /* in a graph: attr's `sample` counts from the sample that the graph is launched with */
    uint64_t frozen; /* bit i: input i's memory is never written while it lives, and forget() tells when it goes */
} dr_kargs;

typedef void (*dr_kernel)(const dr_kargs *a); /* [kernel]; fails through dr_fail */

typedef enum dr_copy_kind { DR_COPY_TO_DEVICE = 0, DR_COPY_TO_HOST, DR_COPY_ON_DEVICE } dr_copy_kind;

typedef struct dr_backend {
    uint32_t size;
    uint32_t flags;                                     /* DR_BACKEND_... */
    dr_status (*open)(void *self);                      /* once, before anything else; NULL: nothing to do */
    void (*close)(void *self);                          /* NULL: nothing to do */
    void *(*alloc)(void *self, size_t bytes);           /* 64-byte aligned at least; NULL: out of memory. The host caches. */
    void (*free)(void *self, void *memory);
    dr_status (*copy)(void *self, void *to, const void *from, size_t bytes, dr_copy_kind kind); /* returns when done */
    dr_status (*sync)(void *self);                      /* NULL: nothing to wait for */
    dr_kernel (*kernel)(void *self, const char *op, dr_dtype dtype); /* NULL: none. dtype is the first float input's, else the output's */
    const char *(*describe)(void *self); /* NULL: its name. "AMD EPYC, AVX-512, 2 threads" */

    /* All below may be NULL. A device with a queue of its own: kernels may return before they are done, and copies to
     * the device when `from` may be written again; copies to the host, and sync, wait.
     * A plan's step as one launch. Between begin and end, kernels and copies are recorded and not run; no memory is
     * allocated, and nothing is waited for. Memory that they name must live as long as the graph. */
    dr_status (*graph_begin)(void *self);
    void *(*graph_end)(void *self); /* NULL after dr_fail; also where something failed in between */
    /* Between begin and end, before each launch or copy; NULL: all follow each other. What comes next runs in `lane`, in
     * the order of its lane and after the numbers after[0..n), which count calls of this function since begin, from 0. */
    dr_status (*graph_step)(void *self, int32_t lane, int32_t n, const int32_t *after);
    dr_status (*graph_launch)(void *self, void *graph, int64_t sample);
    void (*graph_free)(void *self, void *graph);
    /* A value that is read later: begin queues the copy of up to 64 bytes, end waits for that copy alone. */
    void *(*read_begin)(void *self, const void *from, size_t bytes); /* NULL after dr_fail */
    dr_status (*read_end)(void *self, void *reading, void *to);      /* to NULL: nobody wants it any more */
    /* Which devices there are: a line about number `index`; DR_ENOTFOUND, without dr_fail, past the last. Before open. */
    dr_status (*list)(int64_t index, char *text, size_t bytes);
    /* The memory of a frozen input (dr_kargs.frozen) goes: what is kept of it must go too, before this returns. A kernel
     * that keeps a form of its own of such an input says so with dr_weight_packed. */
    void (*forget)(void *self, const void *data, size_t bytes);
} dr_backend;
enum { DR_BACKEND_HOST_MEMORY = 1, /* its memory can be read in place */
       DR_BACKEND_SHAPES_ONLY = 2, /* computes nothing */
       DR_BACKEND_KEEPS_RESULTS = 4, /* memory is plenty, time is not: what backward could make again is kept */
       DR_BACKEND_ANY_WEIGHT = 8 /* kernels of ops with DR_OP_ANY_WEIGHT take input 1 in f32, f16 or bf16 */ };

/* ---- block/1: a part of a network ---------------------------------------------------------------------------------- */
typedef struct dr_block {
    uint32_t size;
    dr_status (*create)(void *self, dr_builder *b); /* declares weights, buffers, children; called again on reload; NULL: it has none */
    dr_tensor *(*forward)(void *self, dr_tensor *x, dr_ctx *ctx); /* further inputs: dr_input(ctx, i) */
    const char *example; /* shapes for the registry's test with default or example parameters: of x, "2,4,8,8", and of what
                            else forward must be given, "2,4,8,8;2,5" */
    dr_args example_args; /* parameters for that test; required ones at least */
} dr_block;

/* ---- conditioning/1: how time, class and text enter a network -------------------------------------------------------
 * embed once per model call; modulate and gate at each site. What embed makes is kept in dr_embedding. A site's h is a
 * map [B,C,H,W] or tokens [B,L,C]. Networks in Lua call modulate themselves, or hand the site to a block, which calls
 * dr_modulate and dr_gate: so a block can be conditioned by any scheme. */
enum { DR_MAX_SITES = 64 };
typedef struct dr_embedding {
    dr_tensor *scale[DR_MAX_SITES]; /* the scheme's own meaning, e.g. [B,C,1,1] factors at site i */
    dr_tensor *shift[DR_MAX_SITES];
    dr_tensor *vec;                 /* [B,D] for schemes that hand one vector to all sites */
    dr_tensor *tokens, *mask;       /* [B,L,D], [B,L] */
    dr_tensor *gate[DR_MAX_SITES];  /* what the residual branch of site i is multiplied with */
} dr_embedding;
typedef struct dr_batch_cond { /* what arrives: any may be NULL */
    dr_tensor *time;       /* [B] f32, as the process hands it to the network (t/T, t, log sigma/4) */
    dr_tensor *label;      /* [B] i32 */
    dr_tensor *mask;       /* [B] f32: 0 drops the condition of that row, NULL keeps all */
    dr_tensor *tokens, *tokens_mask; /* [B,L,D], [B,L] */
    dr_tensor *image;       /* [B,C,H,W]: joined to x as further channels, as x is: not repeated where images are shared */
    dr_tensor *image_level; /* [B] f32: the image's noise level, as the network wants to be told */
} dr_batch_cond;
typedef struct dr_conditioning {
    uint32_t size;
    dr_status (*create)(void *self, dr_builder *b); /* the parameter `channels` (ints) lists the sites' widths; NULL: no weights */
    dr_status (*embed)(void *self, dr_ctx *ctx, const dr_batch_cond *c, dr_embedding *e);
    dr_tensor *(*modulate)(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e); /* of h's shape */
    /* The branch h that follows the site, before it is added to its input; NULL: h as it is. */
    dr_tensor *(*gate)(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e);
} dr_conditioning;

/* ---- schedule/1: the noise level of discrete steps ------------------------------------------------------------------ */
typedef struct dr_schedule {
    uint32_t size;
    double (*beta)(void *self, int64_t i, int64_t T); /* i in 0..T-1 (the paper's t = i+1); double throughout */
} dr_schedule;

/* ---- process/1: how data becomes noise ------------------------------------------------------------------------------
 * x_t = alpha x0 + sigma eps. The network sees c_in x_t and `time`; it is asked for p x0 + q eps (eps-prediction: p=0,
 * q=1). Losses, and the conversions between x0, eps, v and velocity, follow from these nine numbers. */
typedef struct dr_coef {
    double alpha, sigma;   /* x_t = alpha x0 + sigma eps */
    double dalpha, dsigma; /* their derivatives in t: velocity dx/dt = dalpha x0 + dsigma eps */
    double p, q;           /* the network's target p x0 + q eps */
    double c_in, time;     /* what the network sees */
    double weight;         /* of the squared error */
} dr_coef;
typedef struct dr_process {
    uint32_t size;
    dr_status (*create)(void *self);  /* tables; NULL: nothing to do */
    void (*destroy)(void *self);      /* NULL: nothing to do */
    double (*draw_t)(void *self, double u);      /* a training time from a uniform u in [0,1); monotone in u, so that u = 0
                                                    and u -> 1 give the ends of the times that may be trained on */
    void (*coef)(void *self, double t, dr_coef *c);
    void (*range)(void *self, double *t_noise, double *t_data, int64_t *steps); /* sampling runs from t_noise to t_data;
                                                    steps: of the discrete chain, 0 for continuous time */
    double (*time)(void *self, double noise_to_signal); /* the t where sigma/alpha is that, also outside the range where t
                                                    has a meaning there; NULL: the host bisects within the range */
} dr_process;

/* ---- time_sampling/1: which times are trained on --------------------------------------------------------------------- */
typedef struct dr_time_sampling {
    uint32_t size;
    double (*draw)(void *self, const dr_instance *process, double u); /* a training time of that process from a uniform u in
                                                    [0,1): between the ends that draw_t has, a whole step of a chain */
} dr_time_sampling;

/* ---- weighting/1: how much an error counts at a time ----------------------------------------------------------------- */
typedef struct dr_weighting {
    uint32_t size;
    double (*weight)(void *self, const dr_coef *c); /* of the squared error of the network's output, p x0 + q eps. An error dy
                                                    there is dx0 = -sigma/D dy and deps = alpha/D dy, D = alpha q - sigma p */
} dr_weighting;

/* ---- coupling/1: which noise goes with which image ------------------------------------------------------------------- */
typedef struct dr_coupling {
    uint32_t size;
    /* order[i]: the row of eps that goes with image i, a permutation of 0..B-1 (the host checks). x0 and eps are of one
     * shape [B,...]; label is i32 [B] or NULL */
    dr_status (*pair)(void *self, dr_tensor *x0, dr_tensor *eps, dr_tensor *label, int64_t *order);
} dr_coupling;

/* ---- timesteps/1: how n steps are laid between noise and data --------------------------------------------------------
 * Fills t[0..n]: t[0] is t_noise (or nearer to the data, where the method is so), t[n] is t_data, each t strictly nearer
 * to the data than the one before. The host checks that. */
typedef struct dr_timesteps {
    uint32_t size;
    dr_status (*lay)(void *self, dr_model *f, int64_t n, double *t);
} dr_timesteps;

/* ---- sampler/1: one step from t to t_next --------------------------------------------------------------------------
 * The host owns the loop, progress, the count of model calls and the tensors kept between steps. If the component has an
 * int parameter `steps`, the host lays that many steps (0: all of the process's) between t_noise and t_data, by the
 * sampler's component parameter `timesteps`, or evenly where it has none. */
typedef struct dr_sampler {
    uint32_t size;
    int32_t order; /* of convergence for smooth velocity fields; the registry's test holds it to this; 0: stochastic */
    dr_status (*grid)(void *self, dr_model *f, int64_t n, double *t); /* t[0..n], for a sampler that insists; NULL: as above */
    dr_tensor *(*step)(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng);
    uint32_t flags; /* DR_SAMPLER_... */
} dr_sampler;
enum { DR_SAMPLER_ROW_BY_ROW = 1 /* step is called on each image alone, [1,C,H,W], whose condition and rng it then sees: for a
                                    sampler whose own decisions (a step's size) must not depend on the batch. It remembers
                                    nothing from step to step */ };

typedef dr_tensor *dr_image_map_fn(void *ctx, dr_tensor *image); /* for dr_cond_map_image */

/* ---- guidance/1: a model made of a model ----------------------------------------------------------------------------
 * Returns what the network is asked for (p x0 + q eps) at x, t. Inner estimates: dr_predict(f, x, t, cond). A network may
 * return [B,2C,H,W] for x [B,C,H,W]: the second half is its variance output, which dr_variance gives after each estimate;
 * guidance that makes one estimate of several says by dr_set_variance what the whole has. The model may have several
 * conditions (dr_cond_count, dr_cond_at); cond is the one that this level is asked about. */
typedef struct dr_guidance {
    uint32_t size;
    dr_tensor *(*eval)(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond);
} dr_guidance;

/* ---- clip/1: where an estimate of the data may lie -------------------------------------------------------------------
 * Applied to every estimate of x0 that a sampler asks for, after guidance; noise and velocity then follow from the result.
 * So every sampler has it. */
typedef struct dr_clip {
    uint32_t size;
    dr_status (*create)(void *self); /* refuses parameters that cannot be; NULL: nothing to do */
    dr_tensor *(*apply)(void *self, dr_tensor *x0); /* [B,C,H,W] -> [B,C,H,W]; an image must not depend on its batch */
} dr_clip;

/* ---- view/1: another way to look at an image -------------------------------------------------------------------------
 * For anagrams: one picture that shows one thing as it is and another thing under the view. apply and invert are linear,
 * each other's inverse, and take images [B,C,H,W] of any C; a view may change H and W. They should be orthogonal as well:
 * noise seen under the view must still be normal noise. An image x0 is seen as apply(x0) + constant. */
typedef struct dr_image_view {
    uint32_t size;
    dr_tensor *(*apply)(void *self, dr_tensor *x);
    dr_tensor *(*invert)(void *self, dr_tensor *x);
    dr_tensor *(*invert_variance)(void *self, dr_tensor *v); /* of a network's variance output; NULL: as invert */
    double (*constant)(void *self);  /* what is added to every pixel; NULL: 0 */
    dr_status (*create)(void *self); /* parameters checked, tables made; NULL: nothing to do */
    void (*destroy)(void *self);     /* also after a create that failed; NULL: nothing to do */
} dr_image_view;

/* ---- filter/1: a linear map of images, such as a blur. What it leaves out is x - apply(x). ----------------------------- */
typedef struct dr_filter {
    uint32_t size;
    uint32_t flags; /* DR_FILTER_... */
    dr_tensor *(*apply)(void *self, dr_tensor *x); /* [B,C,H,W] -> the same shape */
    dr_status (*create)(void *self); /* parameters checked; NULL: nothing to do */
} dr_filter;
enum { DR_FILTER_KEEPS_CONSTANTS = 1 /* an image of one value stays as it is */ };

/* ---- optimizer/1 ---------------------------------------------------------------------------------------------------- */
enum { DR_OPTIM_SLOTS = 4, DR_OPTIM_AVERAGES = 4 };
typedef struct dr_optim_state {
    int64_t n;             /* weights */
    dr_tensor **param, **grad;
    dr_tensor **slot[DR_OPTIM_SLOTS]; /* slot[k][i]: state k of weight i, f32, zero at first; the host owns and checkpoints them */
    int64_t step;          /* 1 at the first */
    double lr;             /* after decay */
    dr_tensor *lr_and_step; /* f64 [2]: the two as a tensor. A step that takes them from there can be replayed */
    /* Averages of the weights, which a step may move in the same pass: average = d average + (1-d) weight, after the
     * weight's own update. It says so by setting averaged; else the host moves them afterwards. */
    int32_t averages, averaged;
    dr_tensor **average[DR_OPTIM_AVERAGES]; /* average[k][i]: the k-th of weight i */
    dr_tensor *with_decays;  /* f64 [2 + averages]: lr, step, then each average's d */
} dr_optim_state;
typedef struct dr_optimizer {
    uint32_t size;
    int32_t slots;
    const char *slot_name[DR_OPTIM_SLOTS]; /* "exp_avg", "exp_avg_sq" */
    dr_status (*step)(void *self, dr_optim_state *s); /* the component has a real parameter `lr` */
} dr_optimizer;

/* ---- decay/1: the learning rate's factor ---------------------------------------------------------------------------- */
typedef struct dr_decay {
    uint32_t size;
    double (*factor)(void *self, double epoch, int64_t epochs); /* epoch: finished ones, a whole number as the spec has it */
} dr_decay;

/* ---- ema/1: averages of weights over training. After optimizer step 1, 2, ... average = d average + (1-d) weight ---- */
typedef struct dr_ema {
    uint32_t size;
    double (*decay)(void *self, int64_t step); /* d after that step, in [0,1]; 0: the average starts from this weight */
} dr_ema;

/* ---- dataset/1 ------------------------------------------------------------------------------------------------------ */
typedef struct dr_dataset_info {
    int64_t n, channels, height, width, classes; /* classes 0: unlabelled */
    const char *source; /* where it was found, for the run's records */
    uint8_t sha256[32]; /* of its raw content; zero: not computed */
} dr_dataset_info;
typedef enum dr_split { DR_TRAIN = 0, DR_TEST } dr_split;
typedef struct dr_dataset {
    uint32_t size;
    dr_status (*open)(void *self); /* NULL: nothing to do */
    void (*close)(void *self);     /* NULL: nothing to do */
    dr_status (*info)(void *self, dr_split split, dr_dataset_info *info);
    dr_status (*read)(void *self, dr_split split, int64_t index, float *image, int32_t *label); /* [C,H,W] in [0,1]; [any] */
    const char *(*class_name)(void *self, int64_t label); /* NULL: the number */
    dr_status (*noise)(void *self, dr_split split, int64_t index, float *noise); /* [C,H,W]: the noise that the image was
                                                    made from; NULL: images have no noise of their own */
} dr_dataset;

/* ---- metric/1: numbers that judge a set of outputs -------------------------------------------------------------------
 * A metric keeps what it needs of each sample, and evaluates on any list of them: so the host makes bootstrap intervals
 * for every metric (core/metric.c). Samples count from 0 in the order of their updates; a list may name one repeatedly,
 * and what a metric then does with the copies is its own affair, but all samples once must give the metric's value. */
typedef enum dr_metric_space { /* what outputs and real images are given as */
    DR_SPACE_LOGITS = 0, /* [B,K] of the classifier, with labels */
    DR_SPACE_FEATURES,   /* [B,D], the classifier's layer before the last */
    DR_SPACE_PIXELS      /* [B,C,H,W] */
} dr_metric_space;
enum { DR_METRIC_VALUES = 4 };
enum { DR_REFERENCE_TRAIN = 1, DR_REFERENCE_TEST = 2 }; /* 1 << dr_split */
typedef struct dr_metric {
    uint32_t size;
    int32_t space;     /* dr_metric_space */
    int32_t references; /* DR_REFERENCE_...: the real images that it needs; 0: none */
    int32_t values;    /* 1 to DR_METRIC_VALUES */
    const char *value_name[DR_METRIC_VALUES];
    double range[DR_METRIC_VALUES][2]; /* least and largest that a value can be; both 0: not bounded */
    dr_status (*reset)(void *self);    /* forgets samples and real images; also called at the start */
    dr_status (*reference)(void *self, dr_tensor *real, dr_split split); /* more real images, before any update; NULL: needs none */
    dr_status (*update)(void *self, dr_tensor *output, dr_tensor *label); /* label i32 [B], or NULL */
    int64_t (*samples)(void *self);
    dr_status (*evaluate)(void *self, const int64_t *rows, int64_t n, double *value); /* n >= 1; value[values] */
    void (*destroy)(void *self);       /* NULL: nothing to do */
    int32_t better[DR_METRIC_VALUES]; /* 1: higher values are better, -1: lower, 0: neither (an ideal in between, or not known) */
} dr_metric;

/* ---- tokenizer/1: text as the ids of a vocabulary's pieces -----------------------------------------------------------
 * Text is bytes: UTF-8, and whatever else arrives; what becomes of bytes that are not UTF-8 is the component's own affair,
 * but they are no error. What a function returns stays the component's and holds until the next call of any. */
typedef struct dr_tokenizer_info {
    int64_t pieces;        /* ids are 0 .. pieces - 1 */
    int64_t pad, eos, unk; /* special ids; -1: the vocabulary has none */
} dr_tokenizer_info;
typedef struct dr_tokenizer {
    uint32_t size;
    dr_status (*open)(void *self); /* reads the vocabulary; NULL: nothing to do */
    void (*close)(void *self);     /* also after an open that failed; NULL: nothing to do */
    dr_status (*info)(void *self, dr_tokenizer_info *info);
    const int32_t *(*encode)(void *self, const char *text, size_t bytes, int64_t *n); /* n ids, without eos; NULL after dr_fail */
    const char *(*decode)(void *self, const int32_t *ids, int64_t n, size_t *bytes);  /* ids are in range: the host checks */
    const char *(*normalize)(void *self, const char *text, size_t bytes, size_t *length); /* the text that is cut into pieces */
} dr_tokenizer;

#endif
