/* parity.c: walks the folder DRIFT_FIXTURES and checks every *.safetensors in it by the `kind` in its metadata, never
 * by its name. A kind that is not built yet is skipped, and named. The last line reads
 *     N passed, N failed, N skipped
 * counting files. Each is checked on the devices of DRIFT_PARITY_DEVICES (ref,cpu unless set). Exit status 1 if any
 * failed.
 * All lines also go to parity.txt in the current folder, which `./drift test parity` shows. */
#include "parity.h"

#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MAX_DEVICES = 8, MAX_DEPTH = 16 };

static const struct {
    const char *kind;
    void (*check)(parity *p); /* or */
    const char *script;       /* of Lua, below the source tree: networks are wired in Lua */
} kinds[] = {
    { .kind = "op", .check = parity_ops },
    { .kind = "dtypes", .check = parity_dtypes },
    { .kind = "optimizer", .check = parity_optimizer },
    { .kind = "ema_clip", .check = parity_ema_clip },
    { .kind = "cs180_unet", .script = "tests/parity/cs180.lua" },
    { .kind = "schedule", .check = parity_schedule },
    { .kind = "ddpm_train", .check = parity_ddpm_train },
    { .kind = "flow_train", .check = parity_flow_train },
    { .kind = "edm_train", .check = parity_edm_train },
    { .kind = "denoise_pairs", .check = parity_denoise_pairs },
    { .kind = "cfg", .check = parity_cfg },
    { .kind = "flow_sample", .script = "tests/parity/samplers.lua" },
    { .kind = "ddpm_sample", .script = "tests/parity/samplers.lua" },
    { .kind = "ddpm_steps", .script = "tests/parity/samplers.lua" },
    { .kind = "strided_ddpm", .script = "tests/parity/samplers.lua" },
    { .kind = "ddim", .script = "tests/parity/samplers.lua" },
    { .kind = "dpmpp2m", .script = "tests/parity/samplers.lua" },
    { .kind = "edm", .script = "tests/parity/samplers.lua" },
    { .kind = "if_unet_forward", .script = "tests/parity/if_unet.lua" },
    { .kind = "if_anagram_hybrid", .script = "tests/parity/if_anagram.lua" },
    { .kind = "if_ddpm_scheduler", .script = "tests/parity/if_sampling.lua" },
    { .kind = "if_pipeline", .script = "tests/parity/if_sampling.lua" },
    { .kind = "if_strided", .script = "tests/parity/if_sampling.lua" },
    { .kind = "if_e2e", .script = "tests/parity/if_sampling.lua" },
    { .kind = "sentencepiece", .script = "tests/parity/text.lua" },
    { .kind = "if_prompt", .script = "tests/parity/text.lua" },
    { .kind = "t5_encoder", .script = "tests/parity/t5.lua" },
};

static char devices[256];
static dr_device *device[MAX_DEVICES];
static int device_count;
static int count[4]; /* by verdict */

/* The script gets the file and the devices in its environment; exit status 0 passed, 77 skipped. */
static verdict run_script(const char *script, const char *path, const char *shown)
{
    char file[4096];
    snprintf(file, sizeof file, "%s/%s", dr_home_dir(), script);
    const char *program = getenv("DRIFT");
    setenv("DRIFT_PARITY_FILE", path, 1);
    setenv("DRIFT_PARITY_NAME", shown, 1);
    setenv("DRIFT_PARITY_DEVICES", devices, 1);
    char *argv[] = { (char *)(uintptr_t)program, "run", file, NULL };
    pid_t pid;
    int status = 0;
    fflush(NULL);
    const int error = program ? posix_spawn(&pid, program, NULL, NULL, argv, environ) : ENOENT;
    if (error) {
        printf("FAIL %s: the program %s cannot be run: %s\n", shown, program ? program : "(DRIFT is not set)",
               strerror(error));
        return FAILED;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return PASSED;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) return SKIPPED;
    if (WIFSIGNALED(status)) {
        printf("FAIL %s: %s died of signal %d\n", shown, script, WTERMSIG(status));
    } else {
        printf("FAIL %s: %s ended with status %d\n", shown, script, WEXITSTATUS(status));
    }
    return FAILED;
}

static verdict check_on_devices(void (*check)(parity *p), const dr_file *f, const char *shown)
{
    verdict all = PASSED;
    double worst = 0.0;
    char at[256] = "";
    int compared = 0;
    for (int i = 0; i < device_count; i++) {
        parity p;
        dr_device_use(device[i]);
        if (parity_begin(&p, f, shown, dr_device_name(device[i])) != PASSED) return FAILED;
        dr_scope_open();
        check(&p);
        dr_scope_close();
        compared += p.compared;
        if (p.worst > worst) {
            worst = p.worst;
            snprintf(at, sizeof at, ", worst %.2f x tol: %s on %s", worst, p.worst_at, p.device);
        }
        if (parity_end(&p) != PASSED) all = FAILED;
    }
    printf("%s %s: %d values%s\n", all == PASSED ? "pass" : "FAIL", shown, compared, at);
    return all;
}

/* The weights of a model in a folder of its own: what they give is checked by the files that name it. */
static bool is_of_a_model(const char *path)
{
    char config[4096];
    struct stat st;
    const char *slash = strrchr(path, '/');
    snprintf(config, sizeof config, "%.*sconfig.json", slash ? (int)(slash + 1 - path) : 0, path);
    return stat(config, &st) == 0;
}

static verdict check_file(const char *path, const char *shown)
{
    dr_file *f = dr_file_open(path);
    if (!f) {
        printf("FAIL %s\n", dr_error_message());
        dr_error_clear();
        return FAILED;
    }
    const char *kind = dr_file_metadata(f, "kind");
    verdict v = SKIPPED;
    size_t i = 0;
    while (kind && i < sizeof kinds / sizeof *kinds && strcmp(kinds[i].kind, kind) != 0) i++;
    if (!kind && is_of_a_model(path)) {
        v = NOT_TO_CHECK;
    } else if (!kind || i == sizeof kinds / sizeof *kinds) {
        printf("skip %s: %s%s\n", shown, kind ? "no check is built yet for kind " : "holds no kind", kind ? kind : "");
    } else if (kinds[i].check) {
        v = check_on_devices(kinds[i].check, f, shown);
    } else {
        v = run_script(kinds[i].script, path, shown);
    }
    dr_file_close(f);
    return v;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* shown: the path below the folder where the walk began, "" there. */
static void walk(const char *folder, const char *shown, int depth)
{
    struct dirent **entry;
    char path[4096], name[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/manifest.tsv", folder);
    if (stat(path, &st) == 0) {
        parity_bad_files(folder, shown, count);
        return;
    }
    const int n = depth < MAX_DEPTH ? scandir(folder, &entry, NULL, alphasort) : -1;
    if (n < 0) {
        printf("FAIL %s: cannot be listed\n", folder);
        count[FAILED]++;
        return;
    }
    for (int i = 0; i < n; i++) {
        const char *e = entry[i]->d_name;
        snprintf(path, sizeof path, "%s/%s", folder, e);
        snprintf(name, sizeof name, "%s%s%s", shown, *shown ? "/" : "", e);
        if (e[0] != '.' && stat(path, &st) == 0) {
            if (S_ISDIR(st.st_mode)) {
                walk(path, name, depth + 1);
            } else if (ends_with(e, ".safetensors")) {
                count[check_file(path, name)]++;
            }
        }
        free(entry[i]);
    }
    free(entry);
}

static bool open_devices(void)
{
    const char *given = getenv("DRIFT_PARITY_DEVICES"), *plugins = getenv("DRIFT_PLUGIN_DIR");
    snprintf(devices, sizeof devices, "%s", given && *given ? given : "ref,cpu");
    if (dr_registry_open() != DR_OK || dr_plugins_load(plugins && *plugins ? plugins : DRIFT_PLUGIN_DIR) != DR_OK)
        return false;
    char list[256], *rest = list;
    snprintf(list, sizeof list, "%s", devices);
    for (char *name; (name = strsep(&rest, ",")) && device_count < MAX_DEVICES; device_count++) {
        device[device_count] = dr_device_open(name, DR_NO_ARGS);
        if (!device[device_count]) return false;
    }
    return true;
}

/* What is printed, by us and by the scripts, goes to parity.txt as well: through tee, whose end we wait for. */
static pid_t tee;
static void copy_output(void)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0 || posix_spawn_file_actions_init(&actions) != 0) return;
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    char *argv[] = { "tee", "parity.txt", NULL };
    if (posix_spawnp(&tee, "tee", &actions, NULL, argv, environ) == 0) dup2(ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    close(ends[1]);
}

static void end_output(void)
{
    fflush(stdout);
    close(STDOUT_FILENO);
    if (tee > 0) waitpid(tee, NULL, 0);
}

int main(void)
{
    const char *folder = getenv("DRIFT_FIXTURES");
    char fallback[4096];
    snprintf(fallback, sizeof fallback, "%s/tests/fixtures", DRIFT_HOME_DIR);
    if (!folder || !*folder) folder = fallback;
    copy_output();
    setvbuf(stdout, NULL, _IOLBF, 0); /* a crash must not take what was found with it */
    int status = 1;
    if (!open_devices()) {
        printf("FAIL %s\n", dr_error_message());
    } else {
        walk(folder, "", 0);
        if (count[PASSED] + count[FAILED] + count[SKIPPED] == 0) {
            printf("FAIL %s holds no *.safetensors\n", folder);
            count[FAILED]++;
        }
        printf("%d passed, %d failed, %d skipped\n", count[PASSED], count[FAILED], count[SKIPPED]);
        status = count[FAILED] > 0;
    }
    dr_device_close_all();
    dr_registry_close();
    end_output();
    return status;
}
