/* conv2d_choice.c: forms of a convolution are measured on the device when a larger shape first comes: cuDNN's engines in the order
 * of its advice, with what follows inside the graph or in a kernel of its own, the ways of conv2d_tile.cu, and the direct
 * kernel. An earlier one stays
 * unless a later one is clearly quicker. Choices are kept in ~/.cache/drift/cuda-convolutions-ID.txt, ID standing for the
 * device and cuDNN's version: the next run makes the same choices, and so the same bits. */
#include "conv2d_choice.h"
#include "conv2d_tile.h"
#include "conv2d_weight_tile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 2 /* of what was measured */, KEY = 16, MOST = 8192, REPEATS = 10 };
static const size_t most_workspace = (size_t)256 << 20;
static const double large = 2e7; /* multiplications: less is not measured */
static const float clearly = 0.97f; /* of the time that the one before it takes */

static const char *const form_names[DR_CONV_FORMS] = { "direct", "cudnn", "cudnn_fused", "tile" };
static const int engines_tried[DR_CONV_FORMS] = { 1, 12, 12, 0 };

typedef struct entry {
    int64_t key[KEY];
    dr_conv_choice choice;
    bool known, open; /* open: its plan is there */
} entry;

typedef struct dr_conv_choices {
    entry slot[MOST]; /* open addressing */
    int used;
    char identity[512], path[4096];
    bool tune, writable;
} dr_conv_choices;

/* ---- forms -------------------------------------------------------------------------------------------------------------- */

static bool aligned(const void *p) { return ((uintptr_t)p & 15) == 0; } /* NULL is */

static double multiplications(const dr_conv_shape *s)
{
    return (double)(s->B * s->Ho * s->Wo) * (double)(s->Ci * s->Co * s->k * s->k);
}

static bool may_compile(void)
{
    const char *fuse = getenv("DRIFT_CUDA_FUSE");
    return fuse && strcmp(fuse, "1") == 0;
}

/* Can what follows go into cuDNN's graph? Its ready engines add a bias to a forward convolution, and do ReLU. */
static bool can_fuse(const dr_conv_call *c)
{
    const dr_conv_after *f = &c->after;
    if (c->kind == DR_CONV_WEIGHT || dr_conv_nothing_after(f) || (c->kind == DR_CONV_DATA && c->whole)) return false;
    const bool ready = c->kind == DR_CONV_FORWARD && f->bias && !f->add && (f->act == DR_ACT_NONE || f->act == DR_ACT_RELU);
    return (ready || may_compile()) && aligned(f->add) && (aligned(f->bias) || f->bias_dtype != c->dtype);
}

/* In bf16 cuDNN's compiled engines write bf16 alone. Gradients of weights, and sums that something follows, are so rounded
 * once more than by the direct kernel: PyTorch's way, taken where it matters for speed. */
static bool suits(const dr_conv_call *c, dr_conv_form form)
{
    const bool rounds = c->dtype == DR_BF16 && (c->kind == DR_CONV_WEIGHT || !dr_conv_nothing_after(&c->after));
    const bool matters = multiplications(&c->shape) > large;
    if (form == DR_CONV_DIRECT) return true;
    if (!aligned(c->from) || !aligned(c->to) || (c->kind == DR_CONV_WEIGHT && !aligned(c->second))) return false;
    if (form == DR_CONV_CUDNN_FUSED) return matters && can_fuse(c);
    return !rounds || matters;
}

static int tile_ways(const dr_conv_call *c)
{
    return c->kind == DR_CONV_WEIGHT ? dr_conv2d_weight_tile_ways() : dr_conv2d_tile_ways();
}

static bool tile_suits(const dr_cudnn *d, const dr_conv_call *c, int64_t way)
{
    if (c->kind == DR_CONV_WEIGHT) {
        return way < dr_conv2d_weight_tile_ways() && aligned(c->from) && aligned(c->second) &&
               dr_conv2d_weight_tile_suits(d->cuda, (int)way, &c->shape, c->dtype);
    }
    return way < dr_conv2d_tile_ways() && aligned(c->from) && aligned(c->to) && aligned(c->after.add) &&
           dr_conv2d_tile_suits(d->cuda, (int)way, c->kind, &c->shape, c->dtype);
}

static bool choice_suits(const dr_cudnn *d, const dr_conv_call *c, const dr_conv_choice *choice)
{
    return choice->form == DR_CONV_TILE ? tile_suits(d, c, choice->index) : suits(c, choice->form);
}

/* The first way of a tile that suits, which the batch has no part in, or the direct kernel: each adds up a pixel's sum in an
 * order that follows from the weight alone. */
static bool invariant(const dr_cudnn *d, const dr_conv_call *c, dr_conv_choice *to)
{
    if (!d->cuda->batch_invariant || c->kind == DR_CONV_WEIGHT) return false;
    *to = (dr_conv_choice){ .form = DR_CONV_DIRECT };
    for (int way = 0; way < tile_ways(c) && to->form == DR_CONV_DIRECT; way++)
        if (tile_suits(d, c, way)) *to = (dr_conv_choice){ .form = DR_CONV_TILE, .index = way };
    return true;
}

/* DRIFT_CUDA_CONV=direct; =tile, and tile0, tile1, ... for one way of it: false where nothing is asked for, or a tile that
 * does not suit. */
static bool forced(const dr_cudnn *d, const dr_conv_call *c, dr_conv_choice *to)
{
    const char *conv = getenv("DRIFT_CUDA_CONV");
    *to = (dr_conv_choice){ .form = DR_CONV_DIRECT };
    if (conv && strcmp(conv, "direct") == 0) return true;
    if (!conv || strncmp(conv, "tile", 4) != 0) return false;
    for (int way = 0; way < tile_ways(c); way++) {
        if ((conv[4] && atoi(conv + 4) != way) || !tile_suits(d, c, way)) continue;
        *to = (dr_conv_choice){ .form = DR_CONV_TILE, .index = way };
        return true;
    }
    return false;
}

static dr_conv_spec spec_of(const dr_conv_call *c, dr_conv_form form)
{
    const bool fused = form == DR_CONV_CUDNN_FUSED;
    dr_conv_spec s = { .kind = c->kind, .shape = c->shape, .dtype = c->dtype, .to_dtype = c->dtype };
    s.compile = may_compile();
    s.bias = fused && c->after.bias;
    s.add = fused && c->after.add;
    s.act = fused ? c->after.act : DR_ACT_NONE;
    if (s.add) s.shape.B = c->after.add_rows; /* rows of `add` serve again: several runs */
    return s;
}

static void close_choice(dr_conv_choice *c)
{
    dr_cudnn_plan_close(c->plan);
    dr_cudnn_graph_close(c->graph);
    c->plan = NULL;
    c->graph = NULL;
}

/* The first engine of this form that gives a plan; false where there is none. */
static bool open_first(dr_cudnn *d, const dr_conv_call *c, dr_conv_form form, dr_conv_choice *to)
{
    const dr_conv_spec spec = spec_of(c, form);
    dr_cudnn_graph *g = suits(c, form) ? dr_cudnn_graph_open(d, &spec) : NULL;
    for (int i = 0; g && i < dr_cudnn_graph_engines(g); i++) {
        dr_cudnn_plan *p = dr_cudnn_plan_open(g, i);
        if (p && dr_cudnn_plan_workspace(p) <= most_workspace) {
            *to = (dr_conv_choice){ form, i, dr_cudnn_graph_engine(g, i), g, p };
            return true;
        }
        dr_cudnn_plan_close(p);
    }
    dr_cudnn_graph_close(g);
    return false;
}

static dr_conv_choice advised(dr_cudnn *d, const dr_conv_call *c)
{
    dr_conv_choice found = { .form = DR_CONV_DIRECT };
    if (!open_first(d, c, DR_CONV_CUDNN_FUSED, &found)) (void)open_first(d, c, DR_CONV_CUDNN, &found);
    return found;
}

/* A choice that was made earlier; false where cuDNN now has another list. */
static bool reopen(dr_cudnn *d, const dr_conv_call *c, dr_conv_choice *choice)
{
    if (choice->form == DR_CONV_DIRECT) return true;
    if (choice->form == DR_CONV_TILE) return tile_suits(d, c, choice->index);
    const dr_conv_spec spec = spec_of(c, choice->form);
    dr_cudnn_graph *g = suits(c, choice->form) ? dr_cudnn_graph_open(d, &spec) : NULL;
    const int i = (int)choice->index;
    if (g && i < dr_cudnn_graph_engines(g) && dr_cudnn_graph_engine(g, i) == choice->engine) {
        choice->plan = dr_cudnn_plan_open(g, i);
        choice->graph = g;
        if (choice->plan) return true;
    }
    dr_cudnn_graph_close(g);
    choice->graph = NULL;
    return false;
}

/* ---- the table ---------------------------------------------------------------------------------------------------------- */

static uint64_t hash(const void *data, size_t bytes) /* FNV-1a */
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < bytes; i++) h = (h ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    return h ^ h >> 32;
}

static void key_of(const cuda *d, const dr_conv_call *c, int64_t key[KEY])
{
    const dr_conv_shape *s = &c->shape;
    const dr_conv_after *f = &c->after;
    const int64_t bias = f->bias ? 1 + f->bias_dtype : 0;
    const int64_t made[KEY] = { c->kind, c->dtype,   c->weight_dtype, s->B, s->Ci,       s->H,   s->W,     s->Co,
                                s->k,    s->stride, s->padding,      bias, f->add_rows, f->act, c->whole,
                                d->deterministic + 2 * d->tf32 };
    memcpy(key, made, sizeof made);
}

static entry *find(dr_conv_choices *t, const int64_t *key) /* its slot, or the empty one where it belongs */
{
    uint64_t i = hash(key, KEY * sizeof *key) % MOST;
    while (t->slot[i].known && memcmp(t->slot[i].key, key, KEY * sizeof *key) != 0) i = (i + 1) % MOST;
    return &t->slot[i];
}

static entry *add(dr_conv_choices *t, const int64_t *key, const dr_conv_choice *choice)
{
    entry *e = find(t, key);
    if (e->known || t->used >= MOST / 2) return NULL;
    memcpy(e->key, key, sizeof e->key);
    e->choice = *choice;
    e->known = true;
    t->used++;
    return e;
}

void dr_conv_choices_free(dr_conv_choices *t)
{
    for (int i = 0; t && i < MOST; i++) close_choice(&t->slot[i].choice);
    free(t);
}

/* ---- the file: the identity, then a line for each choice: key, form's name, index, engine ------------------------------- */

static bool parse(char *line, int64_t *key, dr_conv_choice *c)
{
    char *at = line, name[32];
    long long index, engine;
    for (int i = 0; i < KEY; i++) {
        char *end;
        key[i] = strtoll(at, &end, 10);
        if (end == at || *end != ' ') return false;
        at = end + 1;
    }
    if (sscanf(at, "%31s %lld %lld", name, &index, &engine) != 3 || index < 0 || index > 1024) return false;
    *c = (dr_conv_choice){ .index = index, .engine = engine };
    for (int form = 0; form < DR_CONV_FORMS; form++) {
        c->form = (dr_conv_form)form;
        if (strcmp(name, form_names[form]) == 0) return true;
    }
    return false;
}

static void read_file(dr_conv_choices *t)
{
    char line[512];
    int64_t key[KEY];
    dr_conv_choice c;
    FILE *f = fopen(t->path, "r");
    if (!f) return;
    bool whole = fgets(line, sizeof line, f) != NULL && strcmp(line, t->identity) == 0;
    while (whole && fgets(line, sizeof line, f)) whole = parse(line, key, &c);
    rewind(f);
    if (!whole) dr_note("%s is damaged: convolutions are measured again", t->path);
    for (bool first = true; whole && fgets(line, sizeof line, f); first = false)
        if (!first && parse(line, key, &c)) (void)add(t, key, &c);
    fclose(f);
}

/* Written beside and renamed, so that nobody reads half of it. */
static bool write_file(const dr_conv_choices *t)
{
    char beside[4200];
    snprintf(beside, sizeof beside, "%s.%ld", t->path, (long)getpid());
    FILE *f = fopen(beside, "w");
    if (!f) return false;
    fputs(t->identity, f);
    for (int i = 0; i < MOST; i++) {
        const entry *e = &t->slot[i];
        if (!e->known) continue;
        for (int k = 0; k < KEY; k++) fprintf(f, "%lld ", (long long)e->key[k]);
        fprintf(f, "%s %lld %lld\n", form_names[e->choice.form], (long long)e->choice.index, (long long)e->choice.engine);
    }
    const bool written = !ferror(f);
    if (fclose(f) == 0 && written && rename(beside, t->path) == 0) return true;
    remove(beside);
    return false;
}

/* ~/.cache/drift, made if it is missing; a failure shows when the file is written. */
static void find_path(dr_conv_choices *t)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *user = getenv("HOME");
    char folder[3900];
    if (xdg && *xdg) snprintf(folder, sizeof folder, "%s", xdg);
    else snprintf(folder, sizeof folder, "%s/.cache", user && *user ? user : ".");
    (void)mkdir(folder, 0777);
    snprintf(t->path, sizeof t->path, "%s/drift", folder);
    (void)mkdir(t->path, 0777);
    snprintf(t->path, sizeof t->path, "%s/drift/cuda-convolutions-%016llx.txt", folder,
             (unsigned long long)hash(t->identity, strlen(t->identity)));
}

static dr_conv_choices *open_table(dr_cudnn *d)
{
    const char *tune = getenv("DRIFT_CUDA_TUNE");
    if (d->choices) return d->choices;
    dr_conv_choices *t = calloc(1, sizeof *t);
    if (!t) {
        dr_fail(DR_ENOMEM, "backend cuda: out of memory");
        return NULL;
    }
    t->tune = d->handle && !(tune && strcmp(tune, "off") == 0);
    snprintf(t->identity, sizeof t->identity, "drift cuda convolutions %d, cuDNN %zu, %s, %d multiprocessors\n", VERSION,
             d->version, d->device, d->cuda->multiprocessors);
    if (t->tune) {
        find_path(t);
        read_file(t);
        t->writable = write_file(t);
    }
    return d->choices = t;
}

/* ---- measuring ---------------------------------------------------------------------------------------------------------- */

static const float never = 1e30f;

typedef struct contest {
    const dr_kargs *args;
    const dr_conv_call *call;
    dr_conv_runner run;
    dr_cudnn *cudnn;
    cudaEvent_t begin, end;
    dr_conv_choice best;
    float least; /* milliseconds */
} contest;

static float time_runs(const contest *t, const dr_conv_choice *c, int n)
{
    const dr_cuda_calls *f = t->cudnn->calls;
    struct CUstream_st *stream = t->cudnn->cuda->stream;
    float taken = never;
    bool fine = true;
    void *scratch = dr_cuda_workspace(t->args, 256);
    if (scratch) dr_cuda_delay(t->args, scratch);
    fine = scratch && f->cudaEventRecord(t->begin, stream) == cudaSuccess;
    for (int i = 0; i < n && fine; i++) fine = t->run(t->args, t->call, c);
    fine = fine && f->cudaEventRecord(t->end, stream) == cudaSuccess && f->cudaEventSynchronize(t->end) == cudaSuccess;
    if (!fine || f->cudaEventElapsedTime(&taken, t->begin, t->end) != cudaSuccess) return never;
    return taken / (float)n;
}

/* The best of two rounds after a run that does not count; one run where it is far from the best. */
static float measure(const contest *t, const dr_conv_choice *c)
{
    if (!t->run(t->args, t->call, c) || dr_failed() != DR_OK) return never;
    const float once = time_runs(t, c, 1);
    if (once > 3 * t->least) return once;
    const float first = time_runs(t, c, REPEATS), second = time_runs(t, c, REPEATS);
    return first < second ? first : second;
}

static void enter(contest *t, const dr_conv_choice *c)
{
    const float taken = dr_failed() == DR_OK ? measure(t, c) : never;
    if (t->cudnn->verbose) {
        dr_note("convolution [%lld,%lld,%lld,%lld] -> %lld: %s %lld (engine %lld): %.4f ms", (long long)t->call->shape.B,
                (long long)t->call->shape.Ci, (long long)t->call->shape.H, (long long)t->call->shape.W,
                (long long)t->call->shape.Co, form_names[c->form], (long long)c->index, (long long)c->engine,
                taken < never ? (double)taken : -1.0);
    }
    if (!(taken < never) || taken >= clearly * t->least) {
        dr_cudnn_plan_close(c->plan);
        return;
    }
    if (t->best.graph == c->graph) t->best.graph = NULL; /* the same graph goes on */
    close_choice(&t->best);
    t->best = *c;
    t->least = taken;
}

static void enter_form(contest *t, dr_conv_form form)
{
    const dr_conv_spec spec = spec_of(t->call, form);
    dr_cudnn_graph *g = suits(t->call, form) ? dr_cudnn_graph_open(t->cudnn, &spec) : NULL;
    for (int i = 0; g && i < dr_cudnn_graph_engines(g) && i < engines_tried[form] && dr_failed() == DR_OK; i++) {
        dr_cudnn_plan *p = dr_cudnn_plan_open(g, i);
        if (!p) continue;
        const dr_conv_choice c = { form, i, dr_cudnn_graph_engine(g, i), g, p };
        if (dr_cudnn_plan_workspace(p) <= most_workspace) enter(t, &c);
        else dr_cudnn_plan_close(p);
    }
    if (g && t->best.graph != g) dr_cudnn_graph_close(g);
}

static void enter_tiles(contest *t)
{
    for (int way = 0; way < tile_ways(t->call) && dr_failed() == DR_OK; way++) {
        const dr_conv_choice c = { .form = DR_CONV_TILE, .index = way };
        if (tile_suits(t->cudnn, t->call, way)) enter(t, &c);
    }
}

static bool measured(const dr_kargs *a, const dr_conv_call *c, dr_conv_runner run, dr_cudnn *d, dr_conv_choice *to)
{
    const char *conv = getenv("DRIFT_CUDA_CONV");
    const dr_conv_choice direct = { .form = DR_CONV_DIRECT };
    contest t = { .args = a, .call = c, .run = run, .cudnn = d, .best = direct, .least = never };
    const dr_cuda_calls *f = d->calls;
    if (f->cudaEventCreateWithFlags(&t.begin, cudaEventDefault) != cudaSuccess) return false;
    if (f->cudaEventCreateWithFlags(&t.end, cudaEventDefault) == cudaSuccess) {
        enter_form(&t, DR_CONV_CUDNN);
        enter_form(&t, DR_CONV_CUDNN_FUSED);
        const bool cudnn_alone = conv && strcmp(conv, "cudnn") == 0 && t.best.plan;
        if (!cudnn_alone) enter_tiles(&t);
        if (!cudnn_alone) enter(&t, &direct);
        f->cudaEventDestroy(t.end);
    }
    f->cudaEventDestroy(t.begin);
    *to = t.best;
    return true;
}

/* ---- choosing ------------------------------------------------------------------------------------------------------------ */

static entry *choose(const dr_kargs *a, const dr_conv_call *c, dr_conv_runner run, dr_cudnn *d, dr_conv_choices *t)
{
    int64_t key[KEY];
    key_of(d->cuda, c, key);
    entry *e = find(t, key);
    if (e->known && e->open) return e;
    if (e->known && reopen(d, c, &e->choice)) {
        e->open = true;
        return e;
    }
    if (!e->known && t->used >= MOST / 2) return NULL;
    dr_conv_choice choice = { .form = DR_CONV_DIRECT };
    const bool tune = t->tune && t->writable && !d->cuda->capturing && multiplications(&c->shape) > large;
    const bool kept = tune && measured(a, c, run, d, &choice);
    if (!kept) choice = advised(d, c);
    if (e->known) e->choice = choice; /* what the file said is no longer so */
    else e = add(t, key, &choice);
    if (!e) {
        close_choice(&choice);
        return NULL;
    }
    e->open = true;
    if (!kept || dr_failed() != DR_OK) return e;
    read_file(t); /* what other processes have added meanwhile */
    t->writable = write_file(t);
    return e;
}

void dr_conv_run(const dr_kargs *a, const dr_conv_call *call, dr_conv_runner run)
{
    const dr_conv_choice direct = { .form = DR_CONV_DIRECT };
    dr_cudnn *d = dr_cuda_of(a)->cudnn;
    dr_conv_choice asked;
    if (forced(d, call, &asked) || invariant(d, call, &asked)) {
        (void)run(a, call, &asked);
        return;
    }
    dr_conv_choices *t = d->handle ? open_table(d) : NULL;
    entry *e = t && (suits(call, DR_CONV_CUDNN) || suits(call, DR_CONV_CUDNN_FUSED)) ? choose(a, call, run, d, t) : NULL;
    if (dr_failed() != DR_OK) return;
    if (e && choice_suits(d, call, &e->choice) && run(a, call, &e->choice)) return;
    if (dr_failed() != DR_OK) return;
    if (e && choice_suits(d, call, &e->choice)) { /* it has failed: never again */
        close_choice(&e->choice);
        e->choice = direct;
    }
    (void)run(a, call, &direct);
}
