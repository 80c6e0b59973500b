/* images.c: clips, filters and views that break a promise. */
#include <drift/plugin.h>
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static dr_tensor *half(dr_tensor *x) { return dr_scale(0.5, x); }

/* ---- crashes, beyond 9 ------------------------------------------------------------------------------------------- */
typedef struct {
    int64_t nothing;
} crashes;

static int *volatile nowhere;

static dr_tensor *crashes_apply(void *self, dr_tensor *x0)
{
    (void)self;
    if (dr_tensor_item(dr_amax(x0, 0, NULL, 0)) > 9.0) *nowhere = 1;
    return dr_clamp(x0, -1.0, 1.0);
}

DR_CLIP(crashes, "writes to nowhere where an image is too bright", NULL, .apply = crashes_apply)

/* ---- says nothing ------------------------------------------------------------------------------------------------ */
typedef struct {
    int64_t nothing;
} fails_silently;

static dr_tensor *silent_apply(void *self, dr_tensor *x)
{
    (void)self;
    return x && dr_tensor_view(x)->shape[2] == 5 ? NULL : x;
}

DR_VIEW(fails_silently, "gives nothing for images of 5 rows, and no error", NULL, .apply = silent_apply,
        .invert = silent_apply)

/* ---- not its own inverse ----------------------------------------------------------------------------------------- */
typedef struct {
    int64_t nothing;
} not_inverted;

static dr_tensor *turn(void *self, dr_tensor *x)
{
    (void)self;
    return dr_scale(-1.0, x);
}

static dr_tensor *stay(void *self, dr_tensor *x)
{
    (void)self;
    return x;
}

DR_VIEW(not_inverted, "-x, and back by x", NULL, .apply = turn, .invert = stay)

/* ---- memory ------------------------------------------------------------------------------------------------------ */
typedef struct {
    int64_t nothing;
} leaks;

static void *keep_a_note(void)
{
    char *note = malloc(77);
    if (note) strcpy(note, "nobody frees this");
    return note;
}

static dr_tensor *leaks_apply(void *self, dr_tensor *x)
{
    (void)self;
    return keep_a_note() ? half(x) : (dr_fail(DR_ENOMEM, "filter leaks: out of memory"), (dr_tensor *)NULL);
}

DR_FILTER(leaks, "half of it, and 77 bytes are lost", NULL, .apply = leaks_apply)

typedef struct {
    int64_t nothing;
} keeps_tensors;

static dr_tensor *keeps_apply(void *self, dr_tensor *x)
{
    (void)self;
    dr_keep(dr_scale(2.0, x));
    return half(x);
}

DR_FILTER(keeps_tensors, "half of it, and a tensor is kept that nobody releases", NULL, .apply = keeps_apply)

typedef struct {
    int64_t nothing;
} ignores_alloc_failure;

static dr_tensor *ignores_apply(void *self, dr_tensor *x)
{
    (void)self;
    double *factor = malloc(sizeof *factor);
    *(volatile double *)factor = 0.5;
    dr_tensor *y = dr_scale(*factor, x);
    free(factor);
    return y;
}

DR_FILTER(ignores_alloc_failure, "half of it, by memory that it takes to be there", NULL, .apply = ignores_apply)

typedef struct {
    int64_t nothing;
} hides_alloc_failure;

static dr_tensor *hides_apply(void *self, dr_tensor *x)
{
    (void)self;
    double *factor = malloc(sizeof *factor);
    if (!factor) return dr_scale(0.25, x);
    free(factor);
    return half(x);
}

DR_FILTER(hides_alloc_failure, "half of it, or a quarter where memory runs out", NULL, .apply = hides_apply)

/* ---- manners ----------------------------------------------------------------------------------------------------- */
typedef struct {
    int64_t nothing;
} prints;

static dr_tensor *prints_apply(void *self, dr_tensor *x)
{
    (void)self;
    printf("a filter is applied\n");
    return half(x);
}

DR_FILTER(prints, "half of it, and a line on stdout", NULL, .apply = prints_apply)

typedef struct {
    int64_t nothing;
} rounds_down;

static dr_tensor *rounds_apply(void *self, dr_tensor *x)
{
    (void)self;
    dr_tensor *y = half(x);
    fesetround(FE_DOWNWARD);
    return y;
}

DR_FILTER(rounds_down, "half of it, and all rounds downwards from then on", NULL, .apply = rounds_apply)

typedef struct {
    int64_t nothing;
} moves_away;

static dr_tensor *moves_apply(void *self, dr_tensor *x)
{
    (void)self;
    return chdir("/") == 0 ? half(x) : NULL;
}

DR_FILTER(moves_away, "half of it, and another working directory", NULL, .apply = moves_apply)

typedef struct {
    int64_t nothing;
} sets_locale;

static dr_tensor *sets_apply(void *self, dr_tensor *x)
{
    (void)self;
    setlocale(LC_ALL, "C.UTF-8");
    return half(x);
}

DR_FILTER(sets_locale, "half of it, and another locale", NULL, .apply = sets_apply)

typedef struct {
    int64_t nothing;
} takes_signals;

static dr_tensor *takes_apply(void *self, dr_tensor *x)
{
    (void)self;
    signal(SIGINT, SIG_IGN);
    return half(x);
}

DR_FILTER(takes_signals, "half of it, and nobody can stop it", NULL, .apply = takes_apply)

typedef struct {
    int64_t nothing;
} leaves_files_open;

static dr_tensor *opens_apply(void *self, dr_tensor *x)
{
    (void)self;
    return open("/dev/null", O_RDONLY) >= 0 ? half(x) : NULL;
}

DR_FILTER(leaves_files_open, "half of it, and one more open file", NULL, .apply = opens_apply)

/* ---- not linear -------------------------------------------------------------------------------------------------- */
typedef struct {
    int64_t nothing;
} not_linear;

static dr_tensor *bend(void *self, dr_tensor *x)
{
    (void)self;
    return dr_tanh(x);
}

DR_FILTER(not_linear, "tanh", NULL, .apply = bend)

/* ---- rows -------------------------------------------------------------------------------------------------------- */
typedef struct {
    double size;
} no_doc;

static const dr_param no_doc_params[] = { DR_REAL(no_doc, size, 1, 0, 10, ""), DR_END };

static dr_tensor *no_doc_apply(void *self, dr_tensor *x)
{
    (void)self;
    return half(x);
}

DR_FILTER(no_doc, "half of it, with a parameter that nobody explains", no_doc_params, .apply = no_doc_apply)
