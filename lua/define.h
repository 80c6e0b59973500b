/* define.h: components whose functions are Lua's: what the files of drift.define share. bind_define.c has the definitions and
 * their life, define_instance.c what an instance keeps, define_kinds.c what each kind has, define_call.c the way from a C call
 * to the Lua function, define_values.c its arguments and results, define_views.c and define_model.c what it is lent. */
#ifndef DRIFT_DEFINE_H
#define DRIFT_DEFINE_H

#include "bind.h"

#include <ffi.h>

/* A function of a kind's interface: where it is, and how it is called. Characters of `signature`: the result, then in
 * parentheses the C arguments, and among them places to be filled in, which are further results of the Lua function.
 *   results    S dr_status: nothing; v nothing; T tensor; D number; I whole number; W string (const char *)
 *   arguments  s self; x tensor, may be NULL; d double; i int64_t; n int, a site (from 1 in Lua); C dr_ctx; B dr_builder;
 *              M dr_model; c dr_cond; P process; K const dr_coef; R dr_rng; b dr_batch_cond; e dr_embedding; O state of
 *              an optimizer; N dr_split; j rows (const int64_t *, n) from 1 in Lua; t text (const char *, bytes);
 *              J ids (const int32_t *, n)
 *   to fill    k dr_coef; r t_noise, t_data, steps; o order [B] of the first tensor's rows; g t[0..n], n the last i;
 *              E dr_embedding; f dr_dataset_info; m image and label; z noise; V metric's values; u dr_tokenizer_info;
 *              L (result const int32_t *) int64_t *n; w (result W) size_t * */
typedef struct define_field {
    const char *name;
    size_t offset;         /* in the interface's struct */
    const char *signature; /* NULL: of an op, see define_op.c */
    bool required;
} define_field;

enum { DEFINE_AS_WRITTEN = 1 /* decides anew in each call: a plan that meets it runs as written */ };
enum { DEFINE_FIELDS = 8, DEFINE_ARGUMENTS = 12 };

typedef union define_iface {
    uint32_t size;
    dr_op op;
    dr_block block;
    dr_conditioning conditioning;
    dr_schedule schedule;
    dr_process process;
    dr_time_sampling time_sampling;
    dr_weighting weighting;
    dr_coupling coupling;
    dr_timesteps timesteps;
    dr_sampler sampler;
    dr_guidance guidance;
    dr_clip clip;
    dr_image_view view;
    dr_filter filter;
    dr_optimizer optim;
    dr_decay decay;
    dr_ema ema;
    dr_dataset dataset;
    dr_metric metric;
    dr_tokenizer tokenizer;
} define_iface;

typedef struct definition definition;

typedef struct define_kind {
    const char *name, *kind; /* "sampler", "sampler/1" */
    size_t size;             /* of the interface's struct */
    int flags;               /* DEFINE_... */
    define_field field[DEFINE_FIELDS];
    void (*constants)(lua_State *L, int table, definition *d); /* fills in what is no function; may be NULL */
} define_kind;

typedef struct define_state { /* of one Lua state */
    lua_State *thread;        /* its own: the script's may be in the middle of anything. NULL: the state has closed */
    struct define_state *next;
} define_state;

typedef struct define_closure {
    definition *definition;
    const define_field *field;
    ffi_closure *code;
    ffi_cif cif;
    ffi_type *type[DEFINE_ARGUMENTS];
} define_closure;

/* Lives until the process ends: instances, modules and recorded steps point to it, also where the state has closed. */
struct definition {
    dr_component component;
    define_iface iface;
    const define_kind *kind;
    define_state *state;
    const dr_plugin_info *plugin;
    dr_param *params;
    size_t tail;       /* offset of a define_tail in self */
    int64_t instances; /* made so far: their numbers */
    bool as_written;   /* of an optimizer: as DEFINE_AS_WRITTEN */
    bool registered;
    define_closure closure[DEFINE_FIELDS];
    definition *next;
};

typedef struct define_tail { /* behind the parameters; zero in a new struct */
    const void *at;          /* the struct that it was written for: parameters may be copied, private state may not */
    int64_t number;
} define_tail;

typedef struct define_call { /* one that is under way */
    definition *d;
    const define_field *field;
    void **arg;      /* of the C function */
    dr_tensor *made; /* a result, retained */
    double real;
    int64_t whole;
    const void *pointer;
} define_call;

/* ---- bind_define.c ----------------------------------------------------------------------------------------------- */
definition *define_of(const dr_component *c); /* NULL: it is not written in Lua */
char *define_text(const char *text);          /* a copy that lives until the process ends; NULL stays NULL */

/* ---- define_instance.c ------------------------------------------------------------------------------------------- */
/* Tables of a definition: "functions" { name = function }, "instances" { [number] = self }, "held" { [number] = { handles that
 * end with the instance } }, "data" what C points to, "given" what is no function. */
void define_open_tables(lua_State *L);
void define_make_tables(lua_State *L, const definition *d);
void define_push(lua_State *L, const definition *d, const char *what);
void define_set(lua_State *L, const definition *d, const char *what); /* pops it */
void define_push_self(lua_State *L, definition *d, void *self);       /* the instance's table; made at the first call */
void define_hold(lua_State *L, definition *d, void *self, int index); /* the value at index lives as long as self */
void define_push_params(lua_State *L, definition *d, const void *self); /* a new table of them */
void define_self_goes(const dr_component *c, void *self);

/* ---- define_kinds.c ---------------------------------------------------------------------------------------------- */
extern const define_kind define_kinds[];
extern const int define_kind_count;
void define_op_constants(lua_State *L, int table, definition *d);

/* ---- define_call.c ----------------------------------------------------------------------------------------------- */
void define_trampoline(ffi_cif *cif, void *result, void **argument, void *user);
bool define_prepare(define_closure *c); /* its cif */
void define_note_thread(void);          /* this one runs the script */
/* Calls body(T, data) in a scope of Lua's, protected: false after dr_fail. */
bool define_protected(definition *d, lua_CFunction body, void *data);
dr_tensor *define_for_caller(dr_tensor *t); /* one reference of ours, given to the core's current scope */

const char *define_c_types(char c); /* of a signature's character: p a pointer, d double, l int64_t, i int */

/* ---- define_values.c --------------------------------------------------------------------------------------------- */
void *define_pointer_at(void **arg);
int define_push_argument(lua_State *T, define_call *c, char type,
                         void **arg); /* 1; 0: it is a place, and nothing is pushed */
int define_places_of(char type);      /* results that fill it; 0: it is none */
int define_read_place(lua_State *T, define_call *c, char type, void **arg, int index,
                      int64_t n);                                 /* from the results at index */
void define_read_result(lua_State *T, define_call *c, int index); /* the C function's own, into c */

/* ---- define_op.c ------------------------------------------------------------------------------------------------- */
void define_op_trampoline(ffi_cif *cif, void *result, void **argument, void *user);
bool define_op_prepare(define_closure *c);

/* ---- define_views.c: handles that are good during one call ------------------------------------------------------- */
void define_enter_call(void);
void define_leave_call(void);
void define_push_view(lua_State *L, const char *type,
                      const void *pointer); /* "drift.builder", "drift.context", ...; nil for NULL */
void define_push_builder(lua_State *L, dr_builder *b, definition *d, void *self);
void define_push_rng(lua_State *L, const dr_rng *rng);
void define_push_borrowed(lua_State *L, dr_instance *i); /* an instance that another owns, or nil */
void define_forget(lua_State *L, int index);             /* a handle whose thing goes */
void define_push_coef(lua_State *L, const dr_coef *c);
const void *define_check_view(lua_State *L, int index, const char *type); /* raises where its call has ended */
void define_open_views(lua_State *L);
void define_open_model(lua_State *L); /* define_model.c */

#endif
