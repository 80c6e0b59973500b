/* bind.h: what the files of the Lua binding share. Each bind_X.c binds one part of core/drift.h and adds its functions
 * to the table that `require "drift.core"` returns; lua/drift/init.lua makes `drift` of it. Rule of the border: the
 * libraries below report errors as values; here, and only here, they become Lua errors, through bind_check(). Lua
 * functions called back from the core run protected, since a Lua error must not jump over its frames. */
#ifndef DRIFT_BIND_H
#define DRIFT_BIND_H

#include "drift.h"
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* ---- bind.c: errors, with the place in the user's script --------------------------------------------------------- */
void bind_where(lua_State *L); /* pushes "script.lua:12: " of the innermost line that is not of lua/drift, or "" */
int bind_error(lua_State *L, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* raises, with the place */
void bind_check(lua_State *L);             /* raises the pending error of the core, if there is one, and clears it */
int bind_call(lua_State *L,
              int arguments); /* calls the function below `arguments` protected; LUA_OK or an error on top */
bool bind_is_core_error(lua_State *L,
                        int index);          /* the last error that bind_check raised: it carries its module path */
void bind_remember(lua_State *L, int index); /* the userdata at index can be had from its address, while it lives */
void bind_recall(lua_State *L, const void *userdata); /* pushes it: how a callback finds its Lua values */
const char *bind_typename(lua_State *L, int index);   /* "tensor", "spec", ... or Lua's own name of the type */
void bind_module(lua_State *L);                       /* package.preload's drift.core: all bind_X below */
void bind_class(lua_State *L, const char *name, const luaL_Reg *methods,
                lua_CFunction gc); /* metatable with __index = methods; pops it */
const char *bind_option_string(lua_State *L, int table, const char *key, const char *def);
double bind_option_number(lua_State *L, int table, const char *key, double def);
int64_t bind_option_integer(lua_State *L, int table, const char *key, int64_t def);
bool bind_option_bool(lua_State *L, int table, const char *key, bool def);
dr_dtype bind_check_dtype(lua_State *L, const char *name);

/* Each leaves the table of drift.core, which is on top of the stack, with its functions added. */
void bind_open_tensor(lua_State *L);
void bind_open_op(lua_State *L);
void bind_open_create(lua_State *L);
void bind_open_scope(lua_State *L);
void bind_open_device(lua_State *L);
void bind_open_spec(lua_State *L);
void bind_open_instance(lua_State *L);
void bind_open_module(lua_State *L);
void bind_open_process(lua_State *L);
void bind_open_metric(lua_State *L);
void bind_open_model(lua_State *L);
void bind_open_optim(lua_State *L);
void bind_open_plan(lua_State *L);
void bind_open_later(lua_State *L);
void bind_open_data(lua_State *L);
void bind_open_file(lua_State *L);
void bind_open_weights(lua_State *L);
void bind_open_json(lua_State *L);
void bind_open_image(lua_State *L);
void bind_open_gif(lua_State *L);
void bind_open_canvas(lua_State *L);
void bind_open_system(lua_State *L);
void bind_open_profile(lua_State *L);
void bind_open_ffi(lua_State *L);
void bind_open_tokenizer(lua_State *L);
void bind_open_devices(lua_State *L);
void bind_open_doctor(lua_State *L);
void bind_open_spawn(lua_State *L);
void bind_open_line(lua_State *L);
void bind_open_http(lua_State *L);
void bind_open_terminal(lua_State *L);
void bind_open_reload(lua_State *L);

/* ---- bind_scope.c: Lua's tensors and how long they live ---------------------------------------------------------- */
typedef struct bind_tensor { /* the userdata: one reference to a tensor, in the list of the scope that it was made in */
    dr_tensor *tensor;       /* NULL: its scope has ended */
    struct bind_tensor *before, *after;
    int scope; /* depth of drift.scope; 0: lives as long as Lua refers to it */
} bind_tensor;

/* Work of the core that makes tensors stands between dr_scope_open() and this: the scope is closed, what was made on
 * the way dies, and t is pushed, whether it is new or (as ops may return one) an input. Raises the core's error.
 * Returns 1. Arguments must be read from Lua's stack before the scope is opened, since reading them may raise. */
int bind_done(lua_State *L, dr_tensor *t);
void bind_push_owned(lua_State *L, dr_tensor *t);       /* takes over a reference of the caller */
void bind_push_borrowed(lua_State *L, dr_tensor *t);    /* one more reference; nil where t is NULL */
void bind_push_weight(lua_State *L, dr_tensor *t);      /* as borrowed, but of no scope: weights outlive all */
bind_tensor *bind_test_handle(lua_State *L, int index); /* NULL: not a tensor */
dr_tensor *bind_check_tensor(lua_State *L, int index);  /* raises where it is none, or its scope has ended */
dr_tensor *bind_option_tensor(lua_State *L, int table, const char *key); /* NULL: absent. The table keeps it alive */
void bind_scope_enter(lua_State *L);
void bind_scope_leave(lua_State *L,
                      int results); /* the `results` values on top go to the scope around; the rest ends */

/* ---- bind_tensor.c ----------------------------------------------------------------------------------------------- */
void bind_tensor_methods(lua_State *L, const luaL_Reg *methods); /* adds them to all tensors */

/* ---- random streams: { purpose =, seed =, step =, sample = } ----------------------------------------------------- */
dr_rng bind_check_rng(lua_State *L, int index);
extern uint64_t bind_seed; /* --seed */

/* ---- bind_op.c --------------------------------------------------------------------------------------------------- */
int bind_push_op(lua_State *L,
                 const char *name); /* pushes the function of op `name` and returns 1; 0 (nothing pushed): no such op */
int bind_check_shape(lua_State *L, int index, int64_t shape[DR_MAX_RANK]); /* a list; returns the rank */

/* ---- bind_spec.c: parameters ------------------------------------------------------------------------------------- */
/* Parameters of component c from the Lua table at `index`. What the result points to, closures as well, lives as long
 * as the table (the keeper) that is pushed. Raises for unknown names and wrong types; the core checks ranges. */
dr_args bind_args(lua_State *L, const dr_component *c, int index);
const dr_component *bind_check_component(lua_State *L, const char *kind, const char *name);

/* ---- bind_instance.c: components of kinds other than block, conditioning and op ---------------------------------- */
typedef struct bind_instance {
    dr_instance *instance; /* NULL: a borrowed one that has gone */
    bool borrowed;         /* another component's own, or the core's */
} bind_instance;
/* The instance at index, which may also be a spec: the stack's value is then replaced by the spec's own instance. */
dr_instance *bind_check_instance(lua_State *L, int index, const char *kind);
bool bind_kind_is(const dr_component *c, const char *kind); /* kind without revision */
void bind_instance_methods(lua_State *L, const char *kind, const luaL_Reg *methods);

/* ---- bind_process.c ---------------------------------------------------------------------------------------------- */
double *bind_check_times(lua_State *L, int index, int64_t B); /* a number for all, or a list of B; pushes their owner */

/* ---- bind_condition.c -------------------------------------------------------------------------------------------- */
void bind_model_conditions(lua_State *L, dr_model *m, int table); /* sets them from the table's fields */

/* ---- bind_module.c ----------------------------------------------------------------------------------------------- */
dr_module *bind_check_module(lua_State *L, int index); /* a net of lua/drift/net.lua */
dr_module *bind_check_handle(lua_State *L, int index); /* its handle, or that of a part of it */
/* { scale = { ... }, shift =, gate =, vec =, tokens =, mask = }, sites from 1 */
void bind_push_embedding(lua_State *L, const dr_embedding *e);
dr_embedding bind_check_embedding(lua_State *L, int table);
void bind_retain_embedding(const dr_embedding *e); /* one more reference to each of its tensors */

/* ---- bind_file.c, bind_optim.c ----------------------------------------------------------------------------------- */
dr_file *bind_test_file(lua_State *L, int index);
dr_optim *bind_check_optim(lua_State *L, int index);

/* ---- bind_image.c: pixels ---------------------------------------------------------------------------------------- */
typedef struct bind_pixels {     /* 8-bit, rows from the top */
    int width, height, channels; /* 1 or 3 */
    const uint8_t *data;
} bind_pixels;
bind_pixels bind_check_pixels(lua_State *L,
                              int index); /* a canvas, tensor or list of rows; pushes what owns the data */
const bind_pixels *bind_test_canvas(lua_State *L, int index);

/* ---- bind_ffi.c -------------------------------------------------------------------------------------------------- */
/* A C function that calls the Lua function at index; lives as long as the userdata that is pushed. */
dr_function bind_closure(lua_State *L, int index, const char *signature);
/* Pushes a function that calls fn, and its pointer, for define_forget() when fn goes. */
void bind_push_pointer(lua_State *L, dr_function fn, const char *signature);

/* ---- bind_define.c, define_*.c: components written in Lua ---------------------------------------------------------- */
void bind_open_define(lua_State *L);
bool bind_is_script_thread(void); /* Lua runs on it alone: not on a loader's, nor on one of a plugin's */
/* Runs a Lua file that defines components in a state of its own, which stays: they are registered until
 * bind_close_definitions. For programs that are no `drift run`. */
dr_status bind_run_definitions(const char *path);
void bind_close_definitions(void);
int64_t bind_definitions_bytes(void); /* that these states have in use, once garbage is collected */

/* ---- devices.c: the program's --device and `drift devices` -------------------------------------------------------- */
/* NAME[:N][,option=value...]; threads 0: the backend's own choice; tf32: it must have that. NULL after dr_fail. */
dr_device *bind_open_named_device(const char *text, int64_t threads, bool tf32);
int bind_list_devices(void); /* to stdout; the exit status */

/* ---- doctor.c ---------------------------------------------------------------------------------------------------- */
bool bind_doctor_has_home(void); /* whether there is Lua code to run; else it has said so on stdout */

/* ---- diff_devices.c ---------------------------------------------------------------------------------------------- */
/* Two processes from here on; *reference: this is the one that the other is compared with. The folder for the run's
 * files, or NULL after dr_fail. */
const char *bind_diff_begin(bool *reference, int64_t steps);
int bind_diff_end(int status, const char *device, const char *against); /* the exit status */

extern volatile int bind_interrupted;

#endif
