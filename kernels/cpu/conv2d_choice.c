/* conv2d_choice.c: which form of a convolution runs. A rule estimates each form's time from its multiplications. Shapes
 * of a millisecond or more are measured when they first come: the rule's form stays unless another is at least a tenth
 * quicker, so that noise changes little. Choices are kept in ~/.cache/drift/convolutions-ID.txt, ID standing for
 * processor, instruction set, threads and versions: the next run makes the same choices, and so the same bits. Where
 * that file cannot be written nothing is measured. */
#include "conv2d_choice.h"
#include "conv2d_weight_bf16.h"
#include "conv2d_winograd.h"
#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    VERSION = 3, /* of what was measured: raise it when a form becomes faster */
    KEY = 12,
    MOST = 1024,
    REPEATS = 3
};
static const double measured_from = 2e8; /* multiplications */

static const char *const form_names[DR_CONV_FORMS] = { "onednn", "outer", "winograd", "winograd_small" };

typedef struct choice {
    int64_t key[KEY]; /* kind, dtype, B, Ci, H, W, Co, k, stride, padding, with what else, threads */
    int form;         /* -1: an empty slot */
} choice;

static struct {
    choice slot[MOST]; /* open addressing */
    int used;
    int64_t threads; /* whose file has been read; 0: none */
    char identity[512], path[4096];
    bool writable;
} table;

/* ---- the rule ------------------------------------------------------------------------------------------------------ */

static bool suits(const dr_conv_call *c, int form)
{
    if (form == DR_CONV_ONEDNN) return true;
    if (form == DR_CONV_OUTER && c->kind != DR_ONEDNN_CONV_BACKWARD_WEIGHT) return false;
    if (form == DR_CONV_OUTER && c->shape->dtype == DR_BF16) return dr_conv2d_weight_bf16_suits(c->shape);
    if (form == DR_CONV_OUTER) return dr_conv2d_weight_suits(c->shape);
    return dr_winograd_suits(c->shape, form == DR_CONV_WINOGRAD_SMALL);
}

static double multiplications(const conv_shape *s)
{
    return (double)(s->B * s->Ho * s->Wo) * (double)(s->Ci * s->Co * s->k * s->k);
}

/* What oneDNN (also for gradients of weights) and the outer products take for a multiplication in bf16, of what one in
 * f32 takes. With AMX oneDNN stays ahead of all others. */
#ifdef __AMX_BF16__
static const double onednn_bf16 = 0.06, onednn_weight_bf16 = 0.08;
#else
static const double onednn_bf16 = 0.5, onednn_weight_bf16 = 0.65;
#endif
static const double outer_bf16 = 0.55;

/* In multiplications in f32 that would take as long. */
static double estimate(const dr_conv_call *c, int form)
{
    const conv_shape *s = c->shape;
    const bool narrow = s->dtype == DR_BF16;
    const double onednn = c->kind == DR_ONEDNN_CONV_BACKWARD_WEIGHT ? onednn_weight_bf16 : onednn_bf16;
    if (form == DR_CONV_OUTER) return (narrow ? outer_bf16 : 0.95) * multiplications(s);
    if (form == DR_CONV_ONEDNN) return (narrow ? onednn : 1.0) * (s->stride > 1 ? 1.2 : 1.0) * multiplications(s);
    return dr_winograd_cost(s, form == DR_CONV_WINOGRAD_SMALL,
                            c->kind == DR_ONEDNN_CONV_BACKWARD_DATA || c->kind == DR_ONEDNN_CONV_TRANSPOSE);
}

static int by_rule(const dr_conv_call *c)
{
    int best = DR_CONV_ONEDNN;
    for (int form = 1; form < DR_CONV_FORMS; form++)
        if (suits(c, form) && estimate(c, form) < estimate(c, best)) best = form;
    return best;
}

/* ---- the table ----------------------------------------------------------------------------------------------------- */

static void clear_table(void)
{
    for (int i = 0; i < MOST; i++) table.slot[i].form = -1;
    table.used = 0;
}

static uint64_t hash(const void *data, size_t bytes) /* FNV-1a */
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < bytes; i++) h = (h ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    return h ^ h >> 32;
}

static choice choice_for(const dr_conv_call *c, int64_t threads)
{
    const conv_shape *s = c->shape;
    const int64_t with = s->bias + 2 * (s->add != NULL) + 4 * s->frozen + 8 * (s->weight_dtype != DR_F32);
    return (choice){ { c->kind, s->dtype, s->B, s->Ci, s->H, s->W, s->Co, s->k, s->stride, s->padding, with, threads },
                     -1 };
}

static choice *find(const int64_t *key) /* its slot, or the empty one where it belongs */
{
    uint64_t i = hash(key, KEY * sizeof *key) % MOST;
    while (table.slot[i].form >= 0 && memcmp(table.slot[i].key, key, KEY * sizeof *key) != 0) i = (i + 1) % MOST;
    return &table.slot[i];
}

static void add(const choice *c)
{
    choice *slot = find(c->key);
    if (slot->form >= 0 || table.used >= MOST / 2) return;
    *slot = *c;
    table.used++;
}

/* ---- the file: the identity, then a line for each choice: key and form's name -------------------------------------- */

static bool parse(char *line, choice *c)
{
    char *at = line;
    for (int i = 0; i < KEY; i++) {
        char *end;
        c->key[i] = strtoll(at, &end, 10);
        if (end == at || *end != ' ') return false;
        at = end + 1;
    }
    at[strcspn(at, "\n")] = '\0';
    for (c->form = 0; c->form < DR_CONV_FORMS; c->form++)
        if (strcmp(at, form_names[c->form]) == 0) return true;
    return false;
}

static void read_file(void)
{
    char line[512];
    choice c;
    FILE *f = fopen(table.path, "r");
    if (!f) return;
    bool whole = fgets(line, sizeof line, f) != NULL && strcmp(line, table.identity) == 0;
    while (whole && fgets(line, sizeof line, f)) whole = parse(line, &c);
    rewind(f);
    if (!whole) dr_note("%s is damaged: convolutions are measured again", table.path);
    for (bool first = true; whole && fgets(line, sizeof line, f); first = false)
        if (!first && parse(line, &c)) add(&c);
    fclose(f);
}

/* Written beside and renamed, so that nobody reads half of it. */
static bool write_file(void)
{
    char beside[4200];
    snprintf(beside, sizeof beside, "%s.%ld", table.path, (long)getpid());
    FILE *f = fopen(beside, "w");
    if (!f) return false;
    fputs(table.identity, f);
    for (int i = 0; i < MOST; i++) {
        if (table.slot[i].form < 0) continue;
        for (int k = 0; k < KEY; k++) fprintf(f, "%lld ", (long long)table.slot[i].key[k]);
        fprintf(f, "%s\n", form_names[table.slot[i].form]);
    }
    const bool written = !ferror(f);
    if (fclose(f) == 0 && written && rename(beside, table.path) == 0) return true;
    remove(beside);
    return false;
}

/* ~/.cache/drift, made if it is missing; a failure shows when the file is written. */
static void find_path(void)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *user = getenv("HOME");
    char folder[3900];
    if (xdg && *xdg) snprintf(folder, sizeof folder, "%s", xdg);
    else snprintf(folder, sizeof folder, "%s/.cache", user && *user ? user : ".");
    (void)mkdir(folder, 0777);
    snprintf(table.path, sizeof table.path, "%s/drift", folder);
    (void)mkdir(table.path, 0777);
    snprintf(table.path, sizeof table.path, "%s/drift/convolutions-%016llx.txt", folder,
             (unsigned long long)hash(table.identity, strlen(table.identity)));
}

static void open_table(int64_t threads)
{
    if (table.threads == threads) return;
    table.threads = threads;
    snprintf(table.identity, sizeof table.identity, "drift convolutions %d, oneDNN %s, %s, %s, %lld threads\n", VERSION,
             dr_onednn_version(), dr_cpu_name(), dr_cpu_instruction_set(), (long long)threads);
    find_path();
    clear_table();
    read_file();
    table.writable = write_file();
}

/* ---- measuring ----------------------------------------------------------------------------------------------------- */

typedef void (*runner)(const dr_kargs *a, const dr_conv_call *call, dr_conv_form form);

/* Seconds, the best of several runs after one that does not count; few where it is far from `best`. */
static double seconds(const dr_kargs *a, const dr_conv_call *c, runner run, int form, double best)
{
    double least = 1e30;
    for (int i = 0; i <= REPEATS && dr_failed() == DR_OK; i++) {
        const double start = omp_get_wtime();
        run(a, c, (dr_conv_form)form);
        const double taken = omp_get_wtime() - start;
        if (i > 0 && taken < least) least = taken;
        if (i > 0 && taken > 2 * best) break;
    }
    return least;
}

static int measure(const dr_kargs *a, const dr_conv_call *c, runner run)
{
    const int rule = by_rule(c);
    int best = rule;
    const double first = seconds(a, c, run, rule, 1e30);
    double least = first;
    for (int form = 0; form < DR_CONV_FORMS; form++) {
        if (form == rule || !suits(c, form) || estimate(c, form) > 4 * estimate(c, rule)) continue;
        const double taken = seconds(a, c, run, form, least);
        if (taken < 0.9 * first && taken < least) {
            least = taken;
            best = form;
        }
    }
    return best;
}

static int forced(const dr_conv_call *c)
{
    const char *name = getenv("DRIFT_CPU_CONV");
    for (int form = 0; name && form < DR_CONV_FORMS; form++)
        if (strcmp(name, form_names[form]) == 0 && suits(c, form)) return form;
    return -1;
}

static int choose(const dr_kargs *a, const dr_conv_call *c, runner run)
{
    const int wanted = forced(c);
    if (wanted >= 0) return wanted;
    const char *tune = getenv("DRIFT_CPU_TUNE");
    if ((tune && strcmp(tune, "off") == 0) || multiplications(c->shape) < measured_from) return by_rule(c);

    const int64_t threads = omp_get_max_threads();
    open_table(threads);
    choice chosen = choice_for(c, threads);
    const choice *known = find(chosen.key);
    if (known->form >= 0 && suits(c, known->form)) return known->form;
    if (!table.writable || table.used >= MOST / 2) return by_rule(c);
    chosen.form = measure(a, c, run);
    if (c->shape->frozen && chosen.form != DR_CONV_ONEDNN) dr_onednn_forget(((cpu *)a->backend)->onednn, c->weight, 1);
    if (dr_failed() != DR_OK) return chosen.form;
    add(&chosen);
    read_file(); /* what other processes have added meanwhile */
    table.writable = write_file();
    return chosen.form;
}

void dr_conv_run(const dr_kargs *a, const dr_conv_call *call, runner run)
{
    const int form = choose(a, call, run);
    if (dr_failed() == DR_OK) run(a, call, (dr_conv_form)form);
}
