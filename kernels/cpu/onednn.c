/* onednn.c: the table of plans, and running one. All memory that plans need for reordered arguments and for scratch is
 * shared by them, since one runs at a time. */
#include "onednn.h"
#include "weight_pack.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct plan_arg {
    int name;
    bool output;
    dnnl_memory_t plain;      /* the caller's memory */
    dnnl_memory_t own;        /* in the primitive's layout; NULL where that is the caller's */
    dnnl_primitive_t reorder; /* plain to own, or back for an output */
    size_t own_bytes, plain_bytes;
    int32_t narrow, plain_dtype, own_dtype; /* see dr_onednn_arg; DR_F32 or DR_BF16 */
    int64_t count;
} plan_arg;

struct dr_onednn_plan {
    dr_onednn_key key;
    dr_onednn_plan *next; /* in the same slot of the table */
    dnnl_primitive_t primitive;
    dnnl_memory_t scratch;
    size_t scratch_bytes;
    int n;
    plan_arg arg[DR_ONEDNN_ARGS];
};

typedef struct buffer {
    void *data;
    size_t bytes;
} buffer;

enum { SLOTS = 512, MOST_PLANS = 2048, MOST_HELD = 256 << 20 }; /* bytes */

struct dr_onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr;
    buffer scratch, own[DR_ONEDNN_ARGS], wide;
    dr_weight_packs *packs;
    int64_t plans;
    dr_onednn_plan *slot[SLOTS];
};

static const char *status_text(dnnl_status_t s)
{
    switch (s) {
    case dnnl_out_of_memory: return "out of memory";
    case dnnl_invalid_arguments: return "invalid arguments";
    case dnnl_unimplemented: return "not implemented";
    case dnnl_runtime_error: return "runtime error";
    default: return "error";
    }
}

dr_status dr_onednn_check(const dr_kargs *a, dnnl_status_t status, const char *what)
{
    if (status == dnnl_success) return DR_OK;
    const dr_status code = status == dnnl_out_of_memory   ? DR_ENOMEM
                           : status == dnnl_unimplemented ? DR_EUNSUPPORTED
                                                          : DR_EINTERNAL;
    return dr_fail(code, "%s: oneDNN: %s: %s (%d)", a ? a->op : "backend cpu", what, status_text(status), (int)status);
}

dr_onednn *dr_onednn_open(void)
{
    dr_onednn *o = calloc(1, sizeof *o);
    if (!o) {
        dr_fail(DR_ENOMEM, "backend cpu: no memory for oneDNN's table");
        return NULL;
    }
    dr_status s = dr_onednn_check(NULL, dnnl_engine_create(&o->engine, dnnl_cpu, 0), "engine");
    if (s == DR_OK)
        s = dr_onednn_check(NULL, dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags), "stream");
    if (s == DR_OK) s = dr_onednn_check(NULL, dnnl_primitive_attr_create(&o->attr), "attributes");
    if (s == DR_OK)
        s = dr_onednn_check(NULL, dnnl_primitive_attr_set_scratchpad_mode(o->attr, dnnl_scratchpad_mode_user),
                            "scratchpad");
    o->packs = s == DR_OK ? dr_weight_packs_new() : NULL;
    if (s == DR_OK && !o->packs) s = dr_fail(DR_ENOMEM, "backend cpu: no memory for oneDNN's table");
    if (s == DR_OK) return o;
    dr_onednn_close(o);
    return NULL;
}

static void plan_free(dr_onednn_plan *p)
{
    for (int i = 0; i < p->n; i++) {
        if (p->arg[i].reorder) dnnl_primitive_destroy(p->arg[i].reorder);
        if (p->arg[i].own) dnnl_memory_destroy(p->arg[i].own);
        if (p->arg[i].plain) dnnl_memory_destroy(p->arg[i].plain);
    }
    if (p->scratch) dnnl_memory_destroy(p->scratch);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    free(p);
}

static void forget_plans(dr_onednn *o)
{
    for (int i = 0; i < SLOTS; i++) {
        for (dr_onednn_plan *p = o->slot[i], *next; p; p = next) {
            next = p->next;
            plan_free(p);
        }
        o->slot[i] = NULL;
    }
    o->plans = 0;
}

void dr_onednn_close(dr_onednn *o)
{
    if (!o) return;
    forget_plans(o);
    for (int i = 0; i < DR_ONEDNN_ARGS; i++) free(o->own[i].data);
    free(o->scratch.data);
    free(o->wide.data);
    dr_weight_packs_free(o->packs);
    if (o->attr) dnnl_primitive_attr_destroy(o->attr);
    if (o->stream) dnnl_stream_destroy(o->stream);
    if (o->engine) dnnl_engine_destroy(o->engine);
    free(o);
}

dnnl_engine_t dr_onednn_engine(const dr_onednn *o) { return o->engine; }
const_dnnl_primitive_attr_t dr_onednn_attr(const dr_onednn *o) { return o->attr; }

const char *dr_onednn_version(void)
{
    static char text[32];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static uint64_t slot_of(const dr_onednn_key *key) /* FNV-1a over the words */
{
    uint64_t h = 14695981039346656037u;
    for (int i = 0; i < DR_ONEDNN_KEY; i++) h = (h ^ (uint64_t)key->v[i]) * 1099511628211u;
    return (h ^ h >> 32) % SLOTS;
}

dr_onednn_plan *dr_onednn_find(const dr_onednn *o, const dr_onednn_key *key)
{
    for (dr_onednn_plan *p = o->slot[slot_of(key)]; p; p = p->next) {
        if (memcmp(&p->key, key, sizeof *key) == 0) return p;
    }
    return NULL;
}

static int32_t dtype_of(const_dnnl_memory_desc_t d)
{
    dnnl_data_type_t type = dnnl_f32;
    dnnl_memory_desc_query(d, dnnl_query_data_type, &type);
    return type == dnnl_bf16 ? DR_BF16 : DR_F32;
}

static dr_status make_arg(dr_onednn *o, const dr_kargs *a, plan_arg *to, const dr_onednn_arg *from,
                          const_dnnl_primitive_desc_t pd)
{
    to->name = from->name;
    to->output = from->output;
    to->narrow = from->narrow;
    to->count = from->count;
    to->plain_dtype = dtype_of(from->plain);
    to->plain_bytes = from->narrow == DR_F16 ? 2 * (size_t)from->count : dnnl_memory_desc_get_size(from->plain);
    dr_status s =
        dr_onednn_check(a, dnnl_memory_create(&to->plain, from->plain, o->engine, DNNL_MEMORY_NONE), "memory");
    if (s != DR_OK) return s;
    const_dnnl_memory_desc_t best = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, from->name);
    if (!best || dnnl_memory_desc_equal(best, from->plain)) return DR_OK;

    to->own_dtype = dtype_of(best);
    to->own_bytes = dnnl_memory_desc_get_size(best);
    s = dr_onednn_check(a, dnnl_memory_create(&to->own, best, o->engine, DNNL_MEMORY_NONE), "memory");
    if (s != DR_OK) return s;
    dnnl_primitive_desc_t reorder = NULL;
    const dnnl_status_t made =
        to->output ? dnnl_reorder_primitive_desc_create(&reorder, best, o->engine, from->plain, o->engine, NULL)
                   : dnnl_reorder_primitive_desc_create(&reorder, from->plain, o->engine, best, o->engine, NULL);
    s = dr_onednn_check(a, made, "reorder");
    if (s == DR_OK) s = dr_onednn_check(a, dnnl_primitive_create(&to->reorder, reorder), "reorder");
    if (reorder) dnnl_primitive_desc_destroy(reorder);
    return s;
}

static dr_status make_plan(dr_onednn *o, const dr_kargs *a, dr_onednn_plan *p, const_dnnl_primitive_desc_t pd,
                           const dr_onednn_arg *args, int n)
{
    for (int i = 0; i < n; i++) {
        p->n = i + 1;
        if (!args[i].plain) continue;
        const dr_status s = make_arg(o, a, &p->arg[i], &args[i], pd);
        if (s != DR_OK) return s;
    }
    const_dnnl_memory_desc_t scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    p->scratch_bytes = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (p->scratch_bytes > 0) {
        const dr_status s =
            dr_onednn_check(a, dnnl_memory_create(&p->scratch, scratch, o->engine, DNNL_MEMORY_NONE), "memory");
        if (s != DR_OK) return s;
    }
    return dr_onednn_check(a, dnnl_primitive_create(&p->primitive, pd), "primitive");
}

dr_onednn_plan *dr_onednn_add(dr_onednn *o, const dr_kargs *a, const dr_onednn_key *key,
                              dnnl_primitive_desc_t primitive_desc, const dr_onednn_arg *args, int n)
{
    if (o->plans >= MOST_PLANS) forget_plans(o); /* a script that never repeats a shape */
    dr_onednn_plan *p = calloc(1, sizeof *p);
    if (p) p->key = *key;
    else dr_fail(DR_ENOMEM, "%s: no memory for a oneDNN plan", a->op);
    if (p && make_plan(o, a, p, primitive_desc, args, n) != DR_OK) {
        plan_free(p);
        p = NULL;
    }
    for (int i = 0; i < n; i++) {
        if (args[i].plain) dnnl_memory_desc_destroy(args[i].plain);
    }
    dnnl_primitive_desc_destroy(primitive_desc);
    if (!p) return NULL;
    dr_onednn_plan **slot = &o->slot[slot_of(key)];
    p->next = *slot;
    *slot = p;
    o->plans++;
    return p;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static bool reserve(const dr_kargs *a, buffer *b, size_t bytes)
{
    if (bytes <= b->bytes) return true;
    free(b->data);
    b->bytes = 0;
    b->data = aligned_alloc(64, (bytes + 4095) / 4096 * 4096);
    if (!b->data) {
        dr_fail(DR_ENOMEM, "%s: no memory for %zu bytes of reordered weights or scratch", a->op, bytes);
        return false;
    }
    b->bytes = bytes;
    return true;
}

static dr_status reorder(dr_onednn *o, const dr_kargs *a, const plan_arg *arg)
{
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, arg->output ? arg->own : arg->plain },
                                     { DNNL_ARG_TO, arg->output ? arg->plain : arg->own } };
    return dr_onednn_check(a, dnnl_primitive_execute(arg->reorder, o->stream, 2, args), "reorder");
}

/* An input's numbers as the plan's `plain` says where the caller has them in f16, else as he has them. NULL after dr_fail */
static void *widened(dr_onednn *o, const dr_kargs *a, const plan_arg *arg, void *data)
{
    if (arg->narrow != DR_F16) return data;
    const bool rounds = arg->plain_dtype == DR_BF16;
    if (!reserve(a, &o->wide, (size_t)arg->count * (rounds ? 2 : sizeof(float)))) return NULL;
    if (rounds) dr_f16_to_bf16(data, o->wide.data, arg->count);
    else dr_widen(DR_F16, data, o->wide.data, arg->count);
    return o->wide.data;
}

/* data -> to, as the primitive wants it */
static dr_status lay_out(dr_onednn *o, const dr_kargs *a, plan_arg *arg, void *data, void *to)
{
    void *from = widened(o, a, arg, data);
    if (!from) return DR_ENOMEM;
    dr_status s = dr_onednn_check(a, dnnl_memory_set_data_handle(arg->plain, from), "memory");
    if (s == DR_OK) s = dr_onednn_check(a, dnnl_memory_set_data_handle(arg->own, to), "memory");
    return s == DR_OK ? reorder(o, a, arg) : s;
}

/* What is kept of a weight, as the primitive wants it: as it is, or made wider into `room`. */
static dr_status unpack(const dr_kargs *a, plan_arg *arg, const dr_weight_pack *p, void *room)
{
    const bool narrow = p->dtype != arg->own_dtype;
    if (narrow) dr_widen(p->dtype, p->data, room, p->count);
    return dr_onednn_check(a, dnnl_memory_set_data_handle(arg->own, narrow ? room : p->data), "memory");
}

static dr_status run_weight(dr_onednn *o, const dr_kargs *a, plan_arg *arg, void *data, buffer *room)
{
    const_dnnl_memory_desc_t layout;
    bool make;
    dr_status s = dr_onednn_check(a, dnnl_memory_get_memory_desc(arg->own, &layout), "memory");
    if (s != DR_OK) return s;
    const int32_t dtype = arg->narrow && arg->own_dtype == DR_F32 ? arg->narrow : arg->own_dtype;
    const bool narrow = dtype != arg->own_dtype;
    dr_weight_pack *p = dr_weight_pack_find(o->packs, data, layout, &make);
    if ((!p || narrow) && !reserve(a, room, arg->own_bytes)) return DR_ENOMEM;
    if (p) return unpack(a, arg, p, room->data);
    const int64_t count = (int64_t)arg->own_bytes / (arg->own_dtype == DR_F32 ? 4 : 2);
    if (make) p = dr_weight_pack_add(o->packs, data, layout, dtype, count);
    s = lay_out(o, a, arg, data, p && !narrow ? p->data : room->data);
    if (p && narrow && s == DR_OK) dr_narrow(dtype, room->data, p->data, p->count);
    if (p && s != DR_OK) dr_weight_packs_forget(o->packs, data, 1);
    dr_weight_packed(data, arg->plain_bytes);
    return s;
}

static dr_status run_argument(dr_onednn *o, const dr_kargs *a, plan_arg *arg, int i, void *data, dr_onednn_weight weight)
{
    if (i == 1 && arg->own && weight == DR_WEIGHT_KEPT) return run_weight(o, a, arg, data, &o->own[i]);
    if (arg->own) {
        if (!reserve(a, &o->own[i], arg->own_bytes)) return DR_ENOMEM;
        if (!arg->output) return lay_out(o, a, arg, data, o->own[i].data);
        const dr_status s = dr_onednn_check(a, dnnl_memory_set_data_handle(arg->plain, data), "memory");
        return s == DR_OK ? dr_onednn_check(a, dnnl_memory_set_data_handle(arg->own, o->own[i].data), "memory") : s;
    }
    void *as_it_is = widened(o, a, arg, data);
    return as_it_is ? dr_onednn_check(a, dnnl_memory_set_data_handle(arg->plain, as_it_is), "memory") : DR_ENOMEM;
}

void dr_onednn_forget(dr_onednn *o, const void *memory, size_t bytes) { dr_weight_packs_forget(o->packs, memory, bytes); }

/* Memory for layouts and scratch that only a huge weight needs is not held for it. */
static void give_back(buffer *b)
{
    if (b->bytes <= MOST_HELD) return;
    free(b->data);
    *b = (buffer){ 0 };
}

dr_status dr_onednn_run(dr_onednn *o, const dr_kargs *a, dr_onednn_plan *p, void *const *data, dr_onednn_weight weight)
{
    dnnl_exec_arg_t args[DR_ONEDNN_ARGS + 1];
    int n = 0;
    for (int i = 0; i < p->n; i++) {
        plan_arg *arg = &p->arg[i];
        if (!arg->plain) continue;
        const dr_status s = run_argument(o, a, arg, i, data[i], weight);
        if (s != DR_OK) return s;
        args[n++] = (dnnl_exec_arg_t){ arg->name, arg->own ? arg->own : arg->plain };
    }
    if (p->scratch) {
        if (!reserve(a, &o->scratch, p->scratch_bytes)) return DR_ENOMEM;
        const dr_status s = dr_onednn_check(a, dnnl_memory_set_data_handle(p->scratch, o->scratch.data), "memory");
        if (s != DR_OK) return s;
        args[n++] = (dnnl_exec_arg_t){ DNNL_ARG_SCRATCHPAD, p->scratch };
    }
    dr_status s = dr_onednn_check(a, dnnl_primitive_execute(p->primitive, o->stream, n, args), "execute");
    for (int i = 0; i < p->n && s == DR_OK; i++) {
        if (p->arg[i].own && p->arg[i].output) s = reorder(o, a, &p->arg[i]);
    }
    if (s == DR_OK) s = dr_onednn_check(a, dnnl_stream_wait(o->stream), "wait");
    if (weight == DR_WEIGHT_FROZEN && p->n > 1 && p->arg[1].plain) dr_weight_packed(data[1], p->arg[1].plain_bytes);
    for (int i = 0; i < DR_ONEDNN_ARGS; i++) give_back(&o->own[i]);
    give_back(&o->wide);
    return s;
}
