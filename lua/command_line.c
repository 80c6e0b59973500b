/* command_line.c: the options of the program, and its help. */
#include "command_line.h"

#include "drift.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char command_line_usage[] =
    "drift run SCRIPT [key=value ...]   runs an experiment\n"
    "drift sample --model FOLDER ...    pictures from a pretrained model or a run: drift sample --help\n"
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
    "  --json            bench: figures as JSON\n"
    "  --peers           bench: against PyTorch, in turn (tests/bench/compare.py --all)\n"
    "  --against NAME    diff-devices: the device to compare with\n"
    "  --steps N         diff-devices: the optimizer's steps to compare (default 2); sample: of sampling\n"
    "  --no-strict       undefined globals are nil, as in plain Lua\n"
    "  --debug           errors with their traceback\n"
    "\n"
    "  DRIFT_DATA        a folder of data sets, asked before the cache and the net\n"
    "  DRIFT_PLUGINS     folders of plugins of your own, FOLDER[:FOLDER...]\n"
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

static int unknown_option(char **argv, const struct option *known)
{
    const char *given = argv[optind - 1];
    const char *names[32];
    int64_t n = 0;
    for (; known[n].name && n < 32; n++) names[n] = known[n].name;
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

static int add_sample_option(settings *s, const char *name, const char *value)
{
    if (!s->sampling) {
        fprintf(stderr, "drift: --%s is an option of drift sample\n", name);
        return 1;
    }
    for (int i = 0; i < s->n_sample; i++) {
        if (strcmp(s->sample[i].name, name) == 0) {
            fprintf(stderr, "drift: --%s is given twice\n", name);
            return 1;
        }
    }
    s->sample[s->n_sample].name = name; /* of static lifetime; each at most once, so there is room */
    s->sample[s->n_sample++].value = value;
    return 0;
}

static int read_argument(settings *s, const char *text, const char *rest[], int *n_rest)
{
    if ((*n_rest > 0 || s->bench) && strchr(text, '=')) {
        return add_set(s, text) ? 0 : complain("expected key=value, not ", text);
    }
    if (*n_rest >= 2) return complain("one argument too many: ", text);
    rest[(*n_rest)++] = text;
    return 0;
}

static const struct option known[] = {
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
    { "model", required_argument, NULL, 'm' },
    { "stage2", required_argument, NULL, 'm' },
    { "prompt", required_argument, NULL, 'm' },
    { "negative", required_argument, NULL, 'm' },
    { "text", required_argument, NULL, 'm' },
    { "embeddings", required_argument, NULL, 'm' },
    { "class", required_argument, NULL, 'm' },
    { "count", required_argument, NULL, 'm' },
    { "steps2", required_argument, NULL, 'm' },
    { "guidance", required_argument, NULL, 'm' },
    { "guidance2", required_argument, NULL, 'm' },
    { "variant", required_argument, NULL, 'm' },
    { NULL, 0, NULL, 0 },
};

/* Options and key=value may stand in any order after the command. Leaves the other arguments in rest. */
int command_line_read(int argc, char **argv, settings *s, const char *rest[2], int *n_rest)
{
    opterr = 0;
    /* "-": arguments are given in their order, as 1 */
    for (int c, which = 0; (c = getopt_long(argc, argv, "-:", known, &which)) != -1;) {
        switch (c) {
        case 1:
            if (read_argument(s, optarg, rest, n_rest) != 0) return 1;
            break;
        case 's':
            if (!add_set(s, optarg)) return complain("--set takes key=value, not ", optarg);
            break;
        case 'm':
            if (add_sample_option(s, known[which].name, optarg) != 0) return 1;
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
        case 'h': fputs(s->sampling ? command_line_sample_usage : command_line_usage, stdout); return -1;
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
        if (read_argument(s, argv[optind], rest, n_rest) != 0) return 1;
    }
    return 0;
}
