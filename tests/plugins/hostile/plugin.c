/* A plugin that is wrong in the way that its file's name says: NULL_name.so has a component without a name. The tables are
 * filled in by a constructor, which runs before the host reads them, so one file, copied, is all of them.
 * tests/lua/hostile_plugins_spec.lua has the cases and what is to be said of each. */
#define _GNU_SOURCE /* dladdr */
#include <drift/plugin.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

typedef struct { int64_t count; double rate; const char *text; dr_instance *part; dr_tensor *order; dr_function f; dr_ints list; } hostile;

const dr_host *dr_host_table;

static double factor(void *self, double epoch, int64_t epochs)
{
    (void)self, (void)epoch, (void)epochs;
    return 1.0;
}

static void compute(const dr_kargs *a) { (void)a; }
static dr_status rule(void *self, dr_optim_state *s) { (void)self, (void)s; return DR_OK; }
static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)in, (void)n_in, (void)attr, (void)out, (void)offset;
    return DR_OK;
}

static dr_param rows[400];
static dr_decay decay = { .size = sizeof(dr_decay), .factor = factor };
static union { uint32_t size; dr_metric metric; dr_backend backend; dr_op op; dr_optimizer optim; char bytes[1024]; } other;
static dr_component component = {
    .size = sizeof(dr_component), .kind = "decay/1", .name = "hostile", .doc = "a decay", .params = rows, .param_size = sizeof(dr_param),
    .self_size = sizeof(hostile), .iface = &decay, .source = "/* text */"
}, second;
static const dr_component *components[] = { &component, &second };
static dr_export export = { .size = sizeof(dr_export), .name = "of_hostile", .signature = "real(real)", .doc = "a function", .fn = (dr_function)factor },
                 export2;
static const dr_export *exports[] = { &export, &export2 };
static dr_brought_kernel kernel = { .size = sizeof(dr_brought_kernel), .backend = "cpu", .op = "none", .fn = compute };
static const dr_brought_kernel *kernels[] = { &kernel };

static char name[256];

static bool is(const char *what) { return strcmp(name, what) == 0; }
static bool begins(const char *what) { return strncmp(name, what, strlen(what)) == 0; }

static dr_status load(const dr_host *host)
{
    dr_host_table = host;
    if (is("load_fails")) return dr_fail(DR_EUNSUPPORTED, "needs a quantum processor");
    if (is("load_says_nothing")) return DR_EIO;
    if (is("load_is_no_status")) return (dr_status)4711;
    if (is("load_fails_and_says_ok")) dr_fail(DR_EIO, "the licence is missing");
    return DR_OK;
}

__attribute__((visibility("default"))) extern dr_plugin dr_plugin_entry;
dr_plugin dr_plugin_entry = {
    .size = sizeof(dr_plugin), .abi_major = DR_ABI_MAJOR, .abi_minor = DR_ABI_MINOR, .id = "hostile", .version = "1.0",
    .doc = "wrong in some way", .components_begin = components, .components_end = components + 1,
    .exports_begin = exports, .exports_end = exports + 1, .load = load, .kernels_begin = kernels, .kernels_end = kernels + 1
};

static void spoil_table(dr_plugin *p)
{
    static char many[100];
    if (is("small_table")) p->size = 8;
    if (is("huge_table")) p->size = UINT32_MAX;
    if (is("short_table")) p->size = (uint32_t)offsetof(dr_plugin, exports_end);
    if (is("other_major")) p->abi_major++;
    if (is("needs_newer_minor")) p->abi_minor = p->abi_minor_needed = DR_ABI_MINOR + 1;
    if (is("NULL_id")) p->id = NULL;
    if (is("odd_id")) p->id = "my plugin/../";
    if (is("empty_id")) p->id = "";
    if (is("long_id")) p->id = memset(many, 'a', sizeof many - 1);
    if (is("wild_id")) p->id = (const char *)16;
    if (is("NULL_version")) p->version = NULL;
    if (is("NULL_load")) p->load = NULL;
    if (is("latin1_doc")) p->doc = "caf\xE9";
    if (is("id_of_the_core")) p->id = "core";
    if (is("id_of_another")) p->id = "decay";
    if (is("components_end_first")) p->components_begin = components + 1, p->components_end = components;
    if (is("components_without_begin")) p->components_begin = NULL;
    if (is("wild_components")) p->components_begin = (void *)4096, p->components_end = (void *)4104;
    if (is("endless_components")) p->components_end = (void *)((uintptr_t)components + 100000 * sizeof(void *));
}

static void spoil_exports(void)
{
    if (begins("export_")) export2 = export;
    if (is("export_twice")) dr_plugin_entry.exports_end = exports + 2;
    if (is("export_bad_signature")) export.signature = "complex(real)";
    if (is("export_many_arguments")) export.signature = "real(int,int,int,int,int,int,int,int,int)";
    if (is("export_NULL_function")) export.fn = NULL;
    if (is("export_NULL_name")) export.name = NULL;
    if (is("export_small")) export.size = 4;
    if (is("NULL_kernel")) kernels[0] = NULL;
    if (is("kernel_without_op")) kernel.op = NULL;
}

static void spoil_component(dr_component *c)
{
    static char huge[1 << 23];
    if (is("NULL_component")) components[0] = NULL;
    if (is("wild_component")) components[0] = (void *)(uintptr_t)0xDEAD0000;
    if (is("unreadable_component")) components[0] = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (is("small_component")) c->size = 16;
    if (is("NULL_name")) c->name = NULL;
    if (is("odd_name")) c->name = "my decay!";
    if (is("NULL_kind")) c->kind = NULL;
    if (is("NULL_iface")) c->iface = NULL;
    if (is("unknown_kind")) c->kind = "smell/1";
    if (is("newer_kind")) c->kind = "decay/2";
    if (is("small_iface")) decay.size = 8;
    if (is("huge_iface")) decay.size = 1U << 30;
    if (is("no_function")) decay.factor = NULL;
    if (is("name_of_another")) c->name = "constant";
    if (is("name_twice")) second = *c, dr_plugin_entry.components_end = components + 2;
    if (is("NULL_doc")) c->doc = NULL;
    if (is("latin1_component_doc")) c->doc = "caf\xE9";
    if (is("huge_self")) c->self_size = (size_t)1 << 40;
    if (is("endless_source")) c->source = memset(huge, 'a', sizeof huge);
    if (is("wild_source")) c->source = (const char *)64;
    if (is("NULL_source")) c->source = NULL; /* is right */
}

static void spoil_rows(void)
{
    if (!begins("row_")) return;
    rows[0] = (dr_param)DR_INT(hostile, count, 3, 1, 10, "how often");
    rows[1] = (dr_param)DR_REAL(hostile, rate, 0.5, 0.0, 1.0, "how fast");
    if (is("row_without_end")) for (int i = 0; i < 400; i++) rows[i] = rows[0];
    if (is("row_without_end")) {
        static char names[400][8];
        for (int i = 0; i < 400; i++) names[i][0] = 'a', names[i][1] = (char)('a' + i / 26), names[i][2] = (char)('a' + i % 26), rows[i].name = names[i];
    }
    if (is("row_outside_self")) rows[0].offset = sizeof(hostile);
    if (is("row_far_outside_self")) rows[0].offset = SIZE_MAX - 3;
    if (is("row_between_fields")) rows[0].offset = 3;
    if (is("row_size")) component.param_size = 8;
    if (is("row_default_outside")) rows[0].def = 11.0;
    if (is("row_default_nan")) rows[1].def = __builtin_nan("");
    if (is("row_bounds_crossed")) rows[0].min = 11.0;
    if (is("row_NULL_name")) rows[1].name = NULL;
    if (is("row_odd_name")) rows[1].name = "learning rate";
    if (is("row_twice")) rows[1].name = rows[0].name;
    if (is("row_unknown_type")) rows[1].type = 77;
    if (is("row_NULL_doc")) rows[1].doc = NULL;
    if (is("row_latin1_doc")) rows[1].doc = "caf\xE9";
    if (is("row_enum_without_choices")) rows[0].type = DR_PARAM_ENUM;
    if (is("row_enum_empty_choice")) rows[0].type = DR_PARAM_ENUM, rows[0].choices = "one||two";
    if (is("row_enum_default")) rows[0].type = DR_PARAM_ENUM, rows[0].choices = "one|two";
    if (is("row_function_signature")) rows[1] = (dr_param)DR_FUNCTION(hostile, f, "real(", "a function");
    if (is("row_component_kind")) rows[1] = (dr_param)DR_COMPONENT_PARAM(hostile, part, "smell:sweet", "a part");
    if (is("row_tensor_dtype")) rows[1] = (dr_param)DR_TENSOR(hostile, order, "i31", "a tensor");
}

static void spoil_numbers(void)
{
    static const char *const kinds[] = { "op", "backend", "block", "conditioning", "schedule", "process", "time_sampling", "weighting",
                                         "coupling", "timesteps", "sampler", "guidance", "clip", "view", "filter", "optim", "decay",
                                         "ema", "dataset", "metric", "tokenizer" };
    static char kind[64];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && begins("empty_"); i++) { /* all that a kind has is NULL and 0 */
        if (strcmp(name + 6, kinds[i]) != 0) continue;
        strcat(strcat(kind, kinds[i]), "/1");
        other.size = sizeof other;
        component.kind = kind;
        component.iface = &other;
    }
    if (is("optim_slots")) {
        other.optim = (dr_optimizer){ .size = sizeof(dr_optimizer), .slots = 5, .step = rule };
        component.kind = "optim/1", component.iface = &other;
    }
    if (is("op_inputs")) {
        other.op = (dr_op){ .size = sizeof(dr_op), .n_in = 99, .infer = infer };
        component.kind = "op/1", component.iface = &other;
    }
}

__attribute__((constructor)) static void spoil(void)
{
    Dl_info me;
    if (!dladdr(&dr_plugin_entry, &me) || !me.dli_fname) return;
    const char *slash = strrchr(me.dli_fname, '/'), *base = slash ? slash + 1 : me.dli_fname;
    strncat(name, base, strcspn(base, "."));
    spoil_table(&dr_plugin_entry);
    spoil_exports();
    spoil_component(&component);
    spoil_rows();
    spoil_numbers();
}
