/* command_line.c: the options of the program, and its help. */
#include "command_line.h"

#include "drift.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char command_line_usage[] =
    "drift                              a prompt: Lua, with completion and help(x)\n"
    "drift run SCRIPT [key=value ...]   runs an experiment\n"
    "drift sample --model FOLDER ...    pictures from a pretrained model or a run: drift sample --help\n"
    "drift compare RUN|SCRIPT ...       variants side by side: paired differences with intervals, a report\n"
    "drift sweep SCRIPT key=a,b,c ...   the same over a grid of a script's parameters\n"
    "drift watch RUN                    a page of a run or comparison while it is made, on this machine only\n"
    "drift new KIND NAME                a folder with a plugin of your own to start from\n"
    "drift check PLUGIN.so|SCRIPT       all that can be tested of its components, as a report\n"
    "drift headers                      the folder of the headers that plugins include\n"
    "drift bench [train|sample|ops]     measures speed and memory: --set hidden=64 batch=128\n"
    "drift doctor                       what is there and what is missing, and what to do: why does it not\n"
    "                                   work, or why is it slow here?\n"
    "drift devices                      which devices there are, and why others are not\n"
    "drift diff-devices SCRIPT          the first steps on --device (default cuda) and, op by op, on\n"
    "                                   --against (default cpu): which layer differs?\n"
    "drift list [KIND]                  what there is: blocks, samplers, data sets, ...\n"
    "drift help [NAME]                  what NAME does and takes\n"
    "drift test [NAME...]               runs the tests (./drift only)\n"
    "drift version\n"
    "drift COMMAND --help               more about one of them\n"
    "\n"
    "  --set key=value   the same as key=value: a parameter of the script\n"
    "  --device NAME     cpu (default), ref, null, cuda, cuda:1, ...; with options of the backend\n"
    "                    (drift help cuda): cuda:1,deterministic=false\n"
    "  --precision P     what networks compute in: f32 (default), bf16 where the device has it, or\n"
    "                    tf32: f32 whose products round their factors to 10 bits, on cuda\n"
    "  --seed N          of weights, noise and data order (default 0)\n"
    "  --threads N       threads of the device\n"
    "  --out DIR         folder of the run's files\n"
    "  --resume DIR      goes on with the run in DIR\n"
    "  --no-plan         every step runs as written; the numbers are the same\n"
    "  --profile FILE    writes a Chrome trace of the run's kernels and phases\n"
    "  --jobs N          run, compare, sweep: so many trainings of a comparison at once\n"
    "  --watch           run: plugins that change are built and swapped between steps\n"
    "  --json            bench, check: figures, or the report, as JSON\n"
    "  --seconds N       check: that a check may take (default 30)\n"
    "  --peers           bench: against PyTorch, in turn (tests/bench/compare.py --all)\n"
    "  --against NAME    diff-devices: the device to compare with\n"
    "  --steps N         diff-devices: the optimizer's steps to compare (default 2); sample: of sampling\n"
    "  --no-strict       undefined globals are nil, as in plain Lua\n"
    "  --debug           errors with their traceback\n"
    "\n"
    "  DRIFT_DATA        a folder of data sets, asked before the cache and the net\n"
    "  DRIFT_PLUGINS     folders of plugins of your own, FOLDER[:FOLDER...]; those in\n"
    "                    ~/.local/share/drift/plugins and beside the script are found too\n"
    "  DRIFT_DEVICE      the device where --device names none\n";

const char command_line_sample_usage[] =
    "drift sample --model FOLDER --prompt TEXT [options]    pictures from DeepFloyd IF, as diffusers has its folders\n"
    "drift sample --model RUN --class N [options]           images of a class, from a run of this program\n"
    "\n"
    "  --model FOLDER       stage I, or the folder of a run (runs/mnist_flow)\n"
    "  --stage2 FOLDER      stage II, which enlarges what stage I made\n"
    "  --prompt TEXT        in UTF-8; what is beyond 77 tokens is left out, and a note says so\n"
    "  --negative TEXT      what guidance leads away from (default: the empty prompt)\n"
    "  --text FOLDER        a T5 encoder with its tokenizer, where the model's folder has none\n"
    "  --embeddings FILE    saved embeddings in place of a T5 encoder (docs/editing.md)\n"
    "  --class N            for a run: the class, or several, 3,1,4, of which the images are in turn; none\n"
    "                       for a run without classes\n"
    "  --count N            pictures (default 1)\n"
    "  --steps N            of sampling (default: the model's own: 100 of stage I, 50 of a run)\n"
    "  --steps2 N           of stage II (default 50)\n"
    "  --guidance G         scale of classifier-free guidance (default 7 of stage I, none of a run)\n"
    "  --guidance2 G        of stage II (default 4)\n"
    "  --variant NAME       which weights of the folder: fp16\n"
    "  --seed N --precision f32|bf16 --device NAME --threads N --debug     as with drift run\n"
    "  --out DIR|FILE.png   (default: samples) DIR: 1.png, 2.png, ..., all of them in grid.png, and sample.json, which\n"
    "                       says how they were made; FILE.png: the picture, or all of them side by side\n";

int complain(const char *text, const char *detail)
{
    fprintf(stderr, "drift: %s%s\n", text, detail ? detail : "");
    return 1;
}

static bool read_whole(const char *text, int64_t least, int64_t *value)
{
    char *end;
    *value = strtoll(text, &end, 10);
    return *text && !*end && *value >= least;
}

static bool add_set(settings *s, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || s->n_set == (int)(sizeof s->set / sizeof *s->set)) return false;
    s->set[s->n_set++] = text;
    return true;
}

/* Options that belong to some commands alone; Lua reads them in drift.options.COMMAND. */
static const struct own_option { const char *name; int has_arg; const char *commands; } own_options[] = {
    { "model", required_argument, "sample" },
    { "stage2", required_argument, "sample" },
    { "prompt", required_argument, "sample" },
    { "negative", required_argument, "sample" },
    { "text", required_argument, "sample" },
    { "embeddings", required_argument, "sample" },
    { "class", required_argument, "sample" },
    { "count", required_argument, "sample" },
    { "steps2", required_argument, "sample" },
    { "guidance", required_argument, "sample" },
    { "guidance2", required_argument, "sample" },
    { "variant", required_argument, "sample" },
    { "jobs", required_argument, "run compare sweep" },
    { "baseline", required_argument, "compare sweep" },
    { "match", required_argument, "compare sweep" },
    { "port", required_argument, "watch" },
    { "watch", no_argument, "run" },
    { "seconds", required_argument, "check" },
    { "lua", no_argument, "new" },
};
enum { OWN_OPTIONS = sizeof own_options / sizeof *own_options };

static bool is_of(const char *commands, const char *command)
{
    const size_t n = strlen(command);
    for (const char *at = commands; *at; at += strcspn(at, " "), at += *at == ' ') {
        if (strcspn(at, " ") == n && strncmp(at, command, n) == 0) return true;
    }
    return false;
}

static int add_own_option(settings *s, const struct own_option *o, const char *value)
{
    if (!is_of(o->commands, s->command)) {
        fprintf(stderr, "drift: --%s is an option of drift %s\n", o->name, o->commands);
        return 1;
    }
    for (int i = 0; i < s->n_own; i++) {
        if (strcmp(s->own[i].name, o->name) == 0) {
            fprintf(stderr, "drift: --%s is given twice\n", o->name);
            return 1;
        }
    }
    s->own[s->n_own].name = o->name; /* of static lifetime; each at most once, so there is room */
    s->own[s->n_own++].value = value ? value : "true";
    return 0;
}

static int read_argument(settings *s, const char *text)
{
    if ((s->n_rest > 0 || strcmp(s->command, "bench") == 0) && strchr(text, '=')) {
        return add_set(s, text) ? 0 : complain("expected key=value, not ", text);
    }
    if (s->n_rest == (int)(sizeof s->rest / sizeof *s->rest)) return complain("one argument too many: ", text);
    s->rest[s->n_rest++] = text;
    return 0;
}

/* Options of every command. */
static const struct option options_everywhere[] = {
    { "set", required_argument, NULL, 's' },
    { "device", required_argument, NULL, 'd' },
    { "against", required_argument, NULL, 'a' },
    { "steps", required_argument, NULL, 'N' },
    { "precision", required_argument, NULL, 'p' },
    { "seed", required_argument, NULL, 'n' },
    { "threads", required_argument, NULL, 't' },
    { "out", required_argument, NULL, 'o' },
    { "resume", required_argument, NULL, 'r' },
    { "profile", required_argument, NULL, 'F' },
    { "json", no_argument, NULL, 'J' },
    { "peers", no_argument, NULL, 'V' },
    { "debug", no_argument, NULL, 'D' },
    { "no-strict", no_argument, NULL, 'S' },
    { "no-plan", no_argument, NULL, 'P' },
    { "help", no_argument, NULL, 'h' },
};
enum { EVERYWHERE = sizeof options_everywhere / sizeof *options_everywhere, OWN = 1000 };

/* Both lists as getopt takes them; number i of the commands' own has the value OWN + i. */
static void list_options(struct option known[EVERYWHERE + OWN_OPTIONS + 1])
{
    memcpy(known, options_everywhere, sizeof options_everywhere);
    for (int i = 0; i < OWN_OPTIONS; i++) {
        known[EVERYWHERE + i] = (struct option){ own_options[i].name, own_options[i].has_arg, NULL, OWN + i };
    }
    known[EVERYWHERE + OWN_OPTIONS] = (struct option){ 0 };
}

static int unknown_option(char **argv, const struct option *known)
{
    const char *given = argv[optind - 1];
    const char *names[EVERYWHERE + OWN_OPTIONS];
    int64_t n = 0;
    for (; known[n].name; n++) names[n] = known[n].name;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(given + (strncmp(given, "--", 2) == 0 ? 2 : 0), "="),
             given + (strncmp(given, "--", 2) == 0 ? 2 : 0));
    for (int64_t i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0) {
            fprintf(stderr, "drift: option --%s %s\n", name, known[i].has_arg ? "needs a value" : "takes no value");
            return 1;
        }
    }
    const char *near = dr_nearest(name, names, n);
    fprintf(stderr, "drift: unknown option %s%s%s (see: drift help)\n", given, near ? "; did you mean --" : "",
            near ? near : "");
    return 1;
}

/* Options and key=value may stand in any order after the command. */
int command_line_read(int argc, char **argv, settings *s)
{
    struct option known[EVERYWHERE + OWN_OPTIONS + 1];
    list_options(known);
    opterr = 0;
    /* "-": arguments are given in their order, as 1 */
    for (int c; (c = getopt_long(argc, argv, "-:", known, NULL)) != -1;) {
        if (c >= OWN) {
            if (add_own_option(s, &own_options[c - OWN], optarg) != 0) return 1;
            continue;
        }
        switch (c) {
        case 1:
            if (read_argument(s, optarg) != 0) return 1;
            break;
        case 's':
            if (!add_set(s, optarg)) return complain("--set takes key=value, not ", optarg);
            break;
        case 'd': s->device = optarg; break;
        case 'a': s->against = optarg; break;
        case 'N':
            if (!read_whole(optarg, 1, &s->steps))
                return complain("--steps takes a whole number above 0, not ", optarg);
            break;
        case 'p': s->precision = optarg; break;
        case 'o': s->out = optarg; break;
        case 'r': s->resume = optarg; break;
        case 'F': s->profile = optarg; break;
        case 'J': s->json = true; break;
        case 'V': s->peers = true; break;
        case 'D': s->debug = true; break;
        case 'S': s->strict = false; break;
        case 'P': s->no_plan = true; break;
        case 'h': return -1;
        case 'n':
            if (!read_whole(optarg, INT64_MIN, &s->seed)) return complain("--seed takes a whole number, not ", optarg);
            s->seeded = true;
            break;
        case 't':
            if (!read_whole(optarg, 1, &s->threads))
                return complain("--threads takes a whole number above 0, not ", optarg);
            break;
        default: return unknown_option(argv, known);
        }
    }
    for (; optind < argc; optind++) { /* behind "--" */
        if (read_argument(s, argv[optind]) != 0) return 1;
    }
    return 0;
}
