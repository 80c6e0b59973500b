/* abi.h: what crosses the border between the host and a plugin. Versions, status codes, tensors' views, parameter
 * rows, components, the plugin's one exported symbol. Nothing here calls anything.
 *
 * Rules of growth: a field, once published, keeps its place and meaning; kinds carry a revision of their own ("sampler/1").
 * - What a plugin makes and the host reads begins with its size and may grow at its end; rows have their stride.
 * - What the host makes and a plugin reads or fills through a pointer may grow at its end too: the host zeroes it, and a plugin
 *   that is older than a field does not touch it (dr_backward_args, dr_batch_cond, dr_embedding, dr_optim_state,
 *   dr_dataset_info, dr_tokenizer_info, dr_kargs, dr_instance, the host's table).
 * - What is handed over by value, in arrays, or made by a plugin for the host to fill never grows: dr_view, dr_rng, dr_coef,
 *   dr_init, dr_arg, dr_args, the lists, and ops' attributes. An op that needs one more attribute is a new op.
 * A plugin is accepted iff its major equals the host's, the minor that it needs is not above the host's, and the minor that it
 * was built with not below the oldest. Threads: [main] = the thread that runs the script, [any] = any thread, [kernel] = inside
 * a kernel. Unmarked functions are [main]. */
#ifndef DRIFT_ABI_H
#define DRIFT_ABI_H

#include <stddef.h>
#include <stdint.h>

#define DR_ABI_MAJOR 1
#define DR_ABI_MINOR 0
#define DR_ABI_MINOR_OLDEST 0 /* plugins of an older minor are refused; within a major this stays 0 */

/* The least minor of the host that the plugin runs on: that of its headers, unless it says less before it includes them, and
 * asks DR_HOST_HAS before it calls what is newer. */
#ifndef DR_ABI_MINOR_NEEDED
#define DR_ABI_MINOR_NEEDED DR_ABI_MINOR
#endif

/* ---- status ---------------------------------------------------------------------------------------------------- */

typedef enum dr_status {
    DR_OK = 0,
    DR_EINVAL,       /* an argument or parameter that cannot be */
    DR_ESHAPE,       /* shapes or dtypes that do not fit together */
    DR_ENOMEM,       /* out of memory, on the host or a device */
    DR_EIO,          /* the operating system refused: file, disk, network */
    DR_EFORMAT,      /* a file or image whose content is wrong */
    DR_ENOTFOUND,    /* no such component, weight, file */
    DR_EUNSUPPORTED, /* true and sensible, but this device or build cannot */
    DR_EABI,         /* a plugin of another ABI */
    DR_EINTERRUPTED, /* the user stopped it */
    DR_EINTERNAL     /* a promise inside Drift was broken */
} dr_status;

/* ---- tensors, as seen from outside ------------------------------------------------------------------------------- */

typedef enum dr_dtype { DR_F32 = 0, DR_F64, DR_BF16, DR_F16, DR_I32, DR_I64, DR_U8, DR_BOOL, DR_DTYPE_COUNT } dr_dtype;

enum { DR_MAX_RANK = 5 };

/* A view of memory: what a kernel reads and writes, and what an op's shape rule works on (data is NULL there).
 * shape is the logical one (images are B,C,H,W whatever their memory order); stride counts elements, not bytes. */
typedef struct dr_view {
    void *data;
    int32_t dtype; /* dr_dtype */
    int32_t rank;  /* 0 (a scalar) to DR_MAX_RANK */
    int64_t shape[DR_MAX_RANK];
    int64_t stride[DR_MAX_RANK];
} dr_view;

typedef struct dr_tensor dr_tensor; /* reference-counted; op results belong to the current scope */

/* A random stream: Philox4x32-10 with key = seed and counter = (element/4, sample + row, step, purpose). A tensor's
 * first axis counts samples, so what sample i gets does not depend on the batch around it, nor on memory order. */
typedef struct dr_rng {
    uint64_t seed;
    uint32_t purpose; /* dr_purpose("noise"), ... */
    uint32_t step;    /* the host's step; a sampler that draws several times a step adds 1 << 24 per draw */
    uint64_t sample;  /* number of the first row */
} dr_rng;

/* ---- parameters: one row each ------------------------------------------------------------------------------------ */

typedef enum dr_param_type {
    DR_PARAM_END = 0,
    DR_PARAM_INT,      /* int64_t */
    DR_PARAM_REAL,     /* double */
    DR_PARAM_BOOL,     /* bool */
    DR_PARAM_STRING,   /* const char *, owned by the host, lives as long as the instance */
    DR_PARAM_ENUM,     /* int64_t: index into choices "a|b|c" */
    DR_PARAM_INTS,     /* dr_ints */
    DR_PARAM_REALS,    /* dr_reals */
    DR_PARAM_FUNCTION, /* a C function pointer; choices holds its signature, "real(real,int)" */
    DR_PARAM_COMPONENT, /* dr_instance *, owned by the host; choices holds "kind" or "kind:default_name" */
    DR_PARAM_COMPONENTS, /* dr_instances, owned by the host; choices holds "kind" */
    DR_PARAM_TENSOR      /* dr_tensor *, a reference held by the host; choices holds its dtype: "i32", "f32" */
} dr_param_type;

enum { DR_LIST_MAX = 64 };
typedef struct dr_ints { int64_t n, v[DR_LIST_MAX]; } dr_ints;
typedef struct dr_reals { int64_t n; double v[DR_LIST_MAX]; } dr_reals;
typedef struct dr_instances { int64_t n; struct dr_instance *v[DR_LIST_MAX]; } dr_instances; /* in the order given */
typedef void (*dr_function)(void); /* cast to the real type where it is called */

typedef struct dr_param {
    const char *name;
    int32_t type;     /* dr_param_type */
    int32_t required; /* 1: no default, the script must give it */
    size_t offset;    /* of the field in the component's struct */
    double def, min, max;
    const char *def_text; /* default of a string */
    const char *choices;
    const char *doc;
} dr_param;

/* The row's C field must have the row's type: anything else does not compile. */
#define DR_FIELD_(T, f, ctype) (offsetof(T, f) + 0 * sizeof(char[_Generic(((T *)0)->f, ctype: 1)]))
#define DR_INT(T, f, d, lo, hi, text) \
    { .name = #f, .type = DR_PARAM_INT, .offset = DR_FIELD_(T, f, int64_t), .def = (double)(d), .min = (double)(lo), .max = (double)(hi), .doc = text }
#define DR_INT_REQUIRED(T, f, lo, hi, text) \
    { .name = #f, .type = DR_PARAM_INT, .required = 1, .offset = DR_FIELD_(T, f, int64_t), .min = (double)(lo), .max = (double)(hi), .doc = text }
#define DR_REAL(T, f, d, lo, hi, text) \
    { .name = #f, .type = DR_PARAM_REAL, .offset = DR_FIELD_(T, f, double), .def = (d), .min = (lo), .max = (hi), .doc = text }
#define DR_BOOL(T, f, d, text) \
    { .name = #f, .type = DR_PARAM_BOOL, .offset = DR_FIELD_(T, f, _Bool), .def = (d), .max = 1, .doc = text }
#define DR_STRING(T, f, d, text) \
    { .name = #f, .type = DR_PARAM_STRING, .offset = DR_FIELD_(T, f, const char *), .def_text = d, .doc = text }
#define DR_ENUM(T, f, d, names, text) /* names "a|b|c"; the field holds the index; d is the default's index */ \
    { .name = #f, .type = DR_PARAM_ENUM, .offset = DR_FIELD_(T, f, int64_t), .def = (d), .choices = names, .doc = text }
#define DR_INTS(T, f, lo, hi, text) \
    { .name = #f, .type = DR_PARAM_INTS, .offset = DR_FIELD_(T, f, dr_ints), .min = (double)(lo), .max = (double)(hi), .doc = text }
#define DR_REALS(T, f, lo, hi, text) \
    { .name = #f, .type = DR_PARAM_REALS, .offset = DR_FIELD_(T, f, dr_reals), .min = (lo), .max = (hi), .doc = text }
#define DR_FUNCTION(T, f, signature, text) /* NULL where the script gives none */ \
    { .name = #f, .type = DR_PARAM_FUNCTION, .offset = DR_FIELD_(T, f, dr_function), .choices = signature, .doc = text }
#define DR_COMPONENT_PARAM(T, f, kind_and_default, text) /* "schedule:linear"; NULL where there is neither */ \
    { .name = #f, .type = DR_PARAM_COMPONENT, .offset = DR_FIELD_(T, f, dr_instance *), .choices = kind_and_default, .doc = text }
#define DR_COMPONENT_LIST(T, f, kind_, text) /* "view": of one kind, in order; empty where the script gives none */ \
    { .name = #f, .type = DR_PARAM_COMPONENTS, .offset = DR_FIELD_(T, f, dr_instances), .choices = kind_, .doc = text }
#define DR_TENSOR(T, f, dtype_, text) /* NULL where the script gives none. It may lie on any device */ \
    { .name = #f, .type = DR_PARAM_TENSOR, .offset = DR_FIELD_(T, f, dr_tensor *), .choices = dtype_, .doc = text }
#define DR_END { .type = DR_PARAM_END }

/* A parameter given by name from C, as dr_child() and dr_instance_new() take them: DR_ARGS(DR_I("out_channels", 8)). */
typedef struct dr_arg {
    const char *name;
    int32_t type; /* DR_PARAM_INT, _REAL, _BOOL, _STRING, _INTS, _REALS, _FUNCTION, _COMPONENT (text is then "name"),
                     _COMPONENTS (children are then its items, each a _COMPONENT) or _TENSOR */
    int64_t i;
    double r;
    const char *text;
    const void *list; /* dr_ints, dr_reals; of _TENSOR the dr_tensor */
    dr_function fn;
    const struct dr_args *children; /* parameters of a component given by name */
} dr_arg;
typedef struct dr_args { const dr_arg *v; int64_t n; } dr_args;
#define DR_I(name_, value) { .name = name_, .type = DR_PARAM_INT, .i = (value) }
#define DR_R(name_, value) { .name = name_, .type = DR_PARAM_REAL, .r = (value) }
#define DR_B(name_, value) { .name = name_, .type = DR_PARAM_BOOL, .i = (value) }
#define DR_S(name_, value) { .name = name_, .type = DR_PARAM_STRING, .text = (value) }
#define DR_C(name_, component_, args_) { .name = name_, .type = DR_PARAM_COMPONENT, .text = component_, .children = &args_ }
/* a list of components: DR_CS("views", DR_C(NULL, "identity", DR_NO_ARGS), DR_C(NULL, "rotate", DR_ARGS(...))) */
#define DR_CS(name_, ...) { .name = name_, .type = DR_PARAM_COMPONENTS, .children = &DR_ARGS(__VA_ARGS__) }
#define DR_T(name_, tensor_) { .name = name_, .type = DR_PARAM_TENSOR, .list = (tensor_) }
#define DR_ARGS(...) ((dr_args){ (const dr_arg[]){ __VA_ARGS__ }, sizeof((const dr_arg[]){ __VA_ARGS__ }) / sizeof(dr_arg) })
/* the same where C wants a constant: .example_args = DR_STATIC_ARGS(DR_I("in_channels", 4)) */
#define DR_STATIC_ARGS(...) { (const dr_arg[]){ __VA_ARGS__ }, sizeof((const dr_arg[]){ __VA_ARGS__ }) / sizeof(dr_arg) }
#define DR_NO_ARGS ((dr_args){ NULL, 0 })

/* ---- components and plugins -------------------------------------------------------------------------------------- */

typedef struct dr_component {
    uint32_t size; /* sizeof(dr_component) where it was compiled */
    const char *kind; /* "sampler/1" */
    const char *name; /* "heun" */
    const char *doc;  /* one line */
    const dr_param *params; /* ends with DR_END; NULL: none */
    uint32_t param_size;    /* sizeof(dr_param): the rows' stride */
    size_t self_size;       /* of the component's struct: parameters and private state; zeroed, then filled by the host */
    const void *iface;      /* the kind's struct from kinds.h; begins with its size */
    const char *source;     /* text of the file that it was written in; its opening comment is its documentation */
} dr_component;

/* A component with its parameters set. The host owns it; plugins read it through inline wrappers of kinds.h. */
typedef struct dr_instance {
    const dr_component *component;
    const void *iface;
    void *self;
} dr_instance;

/* A C function that Lua may call with no binding code. Signature: result(arguments), of real, int, bool, string,
 * tensor and void: "tensor(tensor,real)". A tensor result belongs to the current scope. */
typedef struct dr_export {
    uint32_t size; /* sizeof(dr_export) where it was compiled */
    const char *name, *signature, *doc;
    dr_function fn;
} dr_export;

/* A kernel that a plugin brings for the device of another one, by that backend's name ("cpu"). It runs where the backend has
 * none of its own for that op and dtype. See DR_DEVICE_KERNEL in kernel.h. */
struct dr_kargs;
typedef struct dr_brought_kernel {
    uint32_t size; /* sizeof(dr_brought_kernel) where it was compiled */
    const char *backend, *op;
    int32_t dtype; /* dr_dtype */
    void (*fn)(const struct dr_kargs *a);
} dr_brought_kernel;

struct dr_host;

typedef struct dr_plugin {
    uint32_t size;
    uint32_t abi_major, abi_minor, abi_minor_needed;
    const char *id, *version, *doc;
    const dr_component *const *components_begin, *const *components_end;
    const dr_export *const *exports_begin, *const *exports_end;
    dr_status (*load)(const struct dr_host *host); /* sets the plugin's host pointer; may refuse with dr_fail */
    void (*unload)(void);                          /* NULL: nothing to do */
    const dr_brought_kernel *const *kernels_begin, *const *kernels_end;
} dr_plugin;

#define DR_PLUGIN_SYMBOL "dr_plugin_entry"

#endif
