/* every_kind.c: what holds for components of every kind, shown by one use of each (use.c): it can be made with its
 * defaults; the same use gives the same bits whatever ran between; 1 and 2 threads agree; and the process is as it was
 * before. Of memory: memory.c. */
#include "kinds.h"

#include <fenv.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <unistd.h>

void use_or_skip(const dr_component *c, use_results *out)
{
    if (!component_has_use(c)) check_skip("there is no use of a %s here", kind_of(c));
    component_use(c, out);
    expect(!out->out_of_room, "out of memory for the results");
    if (!out->status) return;
    use_results_free(out);
    const bool data = is_kind(c, "dataset") || is_kind(c, "tokenizer");
    const char *what = data ? ".path=..." : ".NAME=VALUE";
    check_skip("it cannot be used with its defaults: %s (give it parameters: %s%s)", dr_error_message(), c->name, what);
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static void check_made(const dr_component *c)
{
    static const char *const light[] = { "schedule", "process",   "sampler", "guidance",      "optim",
                                         "decay",    "metric",    "ema",     "time_sampling", "weighting",
                                         "coupling", "timesteps", "view",    "filter",        "clip" };
    for (size_t k = 0; k < sizeof light / sizeof *light; k++) {
        if (!is_kind(c, light[k])) continue;
        dr_instance *i = instance_of(c);
        expect(i->component == c, "another component of its name is found");
        dr_instance_free(i);
        return;
    }
    if (is_kind(c, "dataset") || is_kind(c, "tokenizer") || is_kind(c, "backend"))
        check_skip("its kind's own checks open it");
    use_results out;
    if (is_kind(c, "op")) {
        use_or_skip(c, &out);
    } else {
        component_use(c, &out);
        expect_ok("with its defaults");
    }
    use_results_free(&out);
}

/* ---- the same again ---------------------------------------------------------------------------------------------- */

/* Other work, which moves memory about: blocks with something in them, tensors, another component. */
static void other_work(void)
{
    enum { BLOCKS = 64 };
    void *block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        const size_t bytes = (size_t)1 << (4 + i % 12);
        block[i] = malloc(bytes);
        if (block[i]) memset(block[i], 0x5A + i, bytes);
    }
    for (int i = 0; i < BLOCKS; i++) free(block[i]);
    for (int64_t n = 4; n < 1 << 14; n *= 2) dr_fill(dr_tensor_new(DR_F32, 1, &n, DR_LAYOUT_ROW), NAN);
    dr_instance *p = dr_instance_new("process", "ddpm", DR_NO_ARGS);
    dr_instance_free(p);
}

static void check_same_again(const dr_component *c)
{
    use_results first, again;
    use_or_skip(c, &first);
    for (int k = 0; k < 3; k++) {
        dr_scope_open();
        other_work();
        dr_scope_close();
        use_or_skip(c, &again);
        const int64_t at = use_first_difference(&first, &again, 0.0);
        const double was = at >= 0 && at < first.n ? first.v[at] : NAN,
                     is = at >= 0 && at < again.n ? again.v[at] : NAN;
        use_results_free(&again);
        expect(at < 0, "the same work with the same seed gives other numbers: %.9g, then %.9g", was, is);
    }
    use_results_free(&first);
}

static void on_threads(const dr_component *c, int64_t threads, use_results *out)
{
    dr_device *cpu = expect_made(dr_device_open("cpu", DR_ARGS(DR_I("threads", threads))), "device cpu");
    dr_device_use(cpu);
    use_or_skip(c, out);
    dr_device_close_all();
}

static void check_threads(const dr_component *c)
{
    if (!check_in_own_process) check_skip("devices stay open here");
    if (!dr_component_find("backend", "cpu")) check_skip("there is no device cpu");
    dr_error_clear();
    use_results one, two;
    dr_device_close_all();
    on_threads(c, 1, &one);
    on_threads(c, 2, &two);
    const int64_t at = use_first_difference(&one, &two, 1e-4);
    const double by_one = at >= 0 && at < one.n ? one.v[at] : NAN, by_two = at >= 0 && at < two.n ? two.v[at] : NAN;
    expect(at < 0, "on device cpu 1 thread gives %.9g where 2 give %.9g", by_one, by_two);
    use_results_free(&one);
    use_results_free(&two);
}

/* ---- the process as it was --------------------------------------------------------------------------------------- */

typedef struct surroundings {
    char locale[512], folder[4096];
    int rounding;
    fenv_t floats;
    struct sigaction action[32];
} surroundings;

static void look_around(surroundings *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->locale, sizeof s->locale, "%s", setlocale(LC_ALL, NULL));
    if (!getcwd(s->folder, sizeof s->folder)) s->folder[0] = '\0';
    s->rounding = fegetround();
    fegetenv(&s->floats);
    for (int k = 1; k < 32; k++) sigaction(k, NULL, &s->action[k]);
}

/* Flush to zero, denormals are zero, masks of exceptions; not which exceptions were seen. */
static uint32_t control_bits(const fenv_t *f)
{
#ifdef __x86_64__
    return f->__mxcsr & ~0x3Fu;
#else
    (void)f;
    return 0;
#endif
}

static void compare(const surroundings *before, const surroundings *after)
{
    expect(strcmp(before->locale, after->locale) == 0, "it changes the locale from %s to %s", before->locale,
           after->locale);
    expect(strcmp(before->folder, after->folder) == 0, "it changes the working directory from %s to %s", before->folder,
           after->folder);
    expect(before->rounding == after->rounding, "it changes how floating-point numbers are rounded");
    expect(control_bits(&before->floats) == control_bits(&after->floats),
           "it changes the floating-point environment (denormals or traps)");
    for (int k = 1; k < 32; k++)
        expect(before->action[k].sa_handler == after->action[k].sa_handler, "it changes the handler of signal %d (%s)",
               k, strsignal(k));
}

static void swallow(void *ctx, const char *line) { (void)ctx, (void)line; }

/* What is written to stdout and stderr meanwhile; notes of dr_note are what a plugin should say things with. */
static void printed_by_use(const dr_component *c, char *text, size_t bytes)
{
    FILE *caught = tmpfile();
    expect(caught != NULL, "no temporary file can be made");
    fflush(NULL);
    const int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    dup2(fileno(caught), STDOUT_FILENO);
    dup2(fileno(caught), STDERR_FILENO);
    dr_set_note_sink(swallow, NULL);
    use_results r;
    component_use(c, &r);
    use_results_free(&r);
    fflush(stdout);
    fflush(stderr);
    dr_set_note_sink(NULL, NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    rewind(caught);
    text[fread(text, 1, bytes - 1, caught)] = '\0';
    fclose(caught);
    text[strcspn(text, "\n")] = '\0';
}

static void check_manners(const dr_component *c)
{
    static surroundings before, after;
    if (!component_has_use(c)) check_skip("there is no use of a %s here", kind_of(c));
    char printed[200];
    look_around(&before);
    printed_by_use(c, printed, sizeof printed);
    look_around(&after);
    if (dr_failed()) check_skip("it cannot be used with its defaults: %s", dr_error_message());
    expect(!printed[0], "it prints: \"%s\"; dr_note is for lines to the user", printed);
    compare(&before, &after);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static void check_finite(const dr_component *c)
{
    if (is_kind(c, "metric") || is_kind(c, "process"))
        check_skip("its numbers are held to their ranges by its kind's own checks");
    use_results r;
    use_or_skip(c, &r);
    int64_t bad = 0;
    while (bad < r.n && isfinite(r.v[bad])) bad++;
    const double value = bad < r.n ? r.v[bad] : 0.0;
    const int64_t n = r.n;
    use_results_free(&r);
    expect(n > 0, "nothing comes of using it, and no error");
    expect(bad >= n, "one of the numbers that come of it is %s", isnan(value) ? "nan, not a number" : "infinite");
}

const check common_checks[] = {
    { "can be made with its defaults", check_made },
    { "its numbers are finite", check_finite },
    { "the same work gives the same bits, whatever ran between", check_same_again },
    { "1 and 2 threads agree", check_threads },
    { "nothing is left behind", check_nothing_left },
    { "running out of memory is an error", check_out_of_memory },
    { "leaves the process as it was", check_manners },
    { NULL, NULL },
};
