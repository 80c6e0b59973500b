/* plugin_check.c: what can be told of a plugin's tables by reading them: nothing of the plugin is called here. The table
 * itself, its exports and kernels; then each component: its kind, the functions that its kind requires, its parameter rows.
 * dr_registry_add asks for the latter, so components defined in Lua are held to the same.
 * Tables come from a file, so pointers are asked whether they point to memory, lists end, and texts are texts. */
#define _GNU_SOURCE /* process_vm_readv */
#include "registry.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROWS_MOST = 256, LIST_MOST = 4096, NAME_MOST = 64, DOC_MOST = 4096 };
static const size_t SOURCE_MOST = (size_t)1 << 22, SELF_MOST = (size_t)1 << 24;

/* ---- memory and text ------------------------------------------------------------------------------------------------- */

static uintptr_t page_size(void) { return (uintptr_t)sysconf(_SC_PAGESIZE); }

/* By a read that the system does: a page may be mapped and still not be readable. Where it may not do that, by mincore. */
static bool is_readable(uintptr_t page)
{
    unsigned char byte;
    const struct iovec to = { &byte, 1 }, from = { (void *)page, 1 };
    if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1) return true;
    return (errno == ENOSYS || errno == EPERM) && mincore((void *)page, 1, &byte) == 0;
}

static bool is_mapped(const void *p, size_t bytes)
{
    static uintptr_t last; /* the page that was asked for last: most tables lie close together. It may have gone since, so
                              dr_plugin_check begins anew */
    const uintptr_t page = page_size(), from = (uintptr_t)p / page * page;
    if (!p) {
        last = 0;
        return false;
    }
    if ((uintptr_t)p > UINTPTR_MAX - bytes) return false;
    for (uintptr_t at = from; at < (uintptr_t)p + bytes; at += page) {
        if (at == last) continue;
        if (!is_readable(at)) return false;
        last = at;
    }
    return true;
}

static bool is_aligned(const void *p) { return (uintptr_t)p % sizeof(void *) == 0; }

/* Its length, or -1: it has no end within `most`, or lies in no memory. */
static int64_t length_of(const char *text, size_t most)
{
    const uintptr_t page = page_size();
    size_t n = 0;
    while (n <= most) {
        if (!is_mapped(text + n, 1)) return -1;
        const size_t here = page - (uintptr_t)(text + n) % page, some = here < most + 1 - n ? here : most + 1 - n;
        const char *end = memchr(text + n, '\0', some);
        if (end) return end - text;
        n += some;
    }
    return -1;
}

/* Of one line, or of several. */
static bool is_utf8(const char *text, bool lines)
{
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        int more = *s < 0x80 ? 0 : *s >= 0xC2 && *s < 0xE0 ? 1 : *s >= 0xE0 && *s < 0xF0 ? 2 : *s >= 0xF0 && *s < 0xF5 ? 3 : -1;
        if (more < 0 || (!lines && (*s < 0x20 || *s == 0x7F))) return false;
        for (; more > 0; more--) {
            if ((*++s & 0xC0) != 0x80) return false;
        }
    }
    return true;
}

static bool is_text(const char *text, size_t most) { return text && length_of(text, most) >= 0 && is_utf8(text, false); }

static bool is_identifier(const char *text)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    if (!text || length_of(text, NAME_MOST) < 1 || !strchr(first, *text)) return false;
    for (const char *s = text; *s; s++) {
        if (!strchr(first, *s) && (*s < '0' || *s > '9')) return false;
    }
    return true;
}

static bool is_id(const char *text) /* ids name files and folders */
{
    if (!text || length_of(text, NAME_MOST) < 1 || *text == '.' || *text == '-') return false;
    for (const char *s = text; *s; s++) {
        const bool fits = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr("_-.+", *s);
        if (!fits) return false;
    }
    return true;
}

/* ---- kinds ------------------------------------------------------------------------------------------------------------ */

enum { REQUIRED_MOST = 5 };
#define UP_TO(type, last) (offsetof(type, last) + sizeof((type *)NULL)->last) /* the table as ABI 1.0 has it */
#define FN(type, name) { #name, offsetof(type, name) }

typedef struct kind_rule {
    const char *kind;
    size_t least; /* bytes of its struct */
    struct { const char *name; size_t offset; } required[REQUIRED_MOST];
} kind_rule;

static const kind_rule KINDS[] = {
    { "op/1", UP_TO(dr_op, example), { FN(dr_op, infer) } },
    { "backend/1", UP_TO(dr_backend, forget),
      { FN(dr_backend, alloc), FN(dr_backend, free), FN(dr_backend, copy), FN(dr_backend, kernel) } },
    { "block/1", UP_TO(dr_block, example_args), { FN(dr_block, forward) } },
    { "conditioning/1", UP_TO(dr_conditioning, gate), { FN(dr_conditioning, embed), FN(dr_conditioning, modulate) } },
    { "schedule/1", UP_TO(dr_schedule, beta), { FN(dr_schedule, beta) } },
    { "process/1", UP_TO(dr_process, time), { FN(dr_process, draw_t), FN(dr_process, coef), FN(dr_process, range) } },
    { "time_sampling/1", UP_TO(dr_time_sampling, draw), { FN(dr_time_sampling, draw) } },
    { "weighting/1", UP_TO(dr_weighting, weight), { FN(dr_weighting, weight) } },
    { "coupling/1", UP_TO(dr_coupling, pair), { FN(dr_coupling, pair) } },
    { "timesteps/1", UP_TO(dr_timesteps, lay), { FN(dr_timesteps, lay) } },
    { "sampler/1", UP_TO(dr_sampler, flags), { FN(dr_sampler, step) } },
    { "guidance/1", UP_TO(dr_guidance, eval), { FN(dr_guidance, eval) } },
    { "clip/1", UP_TO(dr_clip, apply), { FN(dr_clip, apply) } },
    { "view/1", UP_TO(dr_image_view, destroy), { FN(dr_image_view, apply), FN(dr_image_view, invert) } },
    { "filter/1", UP_TO(dr_filter, create), { FN(dr_filter, apply) } },
    { "optim/1", UP_TO(dr_optimizer, step), { FN(dr_optimizer, step) } },
    { "decay/1", UP_TO(dr_decay, factor), { FN(dr_decay, factor) } },
    { "ema/1", UP_TO(dr_ema, decay), { FN(dr_ema, decay) } },
    { "dataset/1", UP_TO(dr_dataset, noise), { FN(dr_dataset, info), FN(dr_dataset, read) } },
    { "metric/1", UP_TO(dr_metric, better),
      { FN(dr_metric, reset), FN(dr_metric, update), FN(dr_metric, samples), FN(dr_metric, evaluate) } },
    { "tokenizer/1", UP_TO(dr_tokenizer, normalize),
      { FN(dr_tokenizer, info), FN(dr_tokenizer, encode), FN(dr_tokenizer, decode), FN(dr_tokenizer, normalize) } },
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

bool dr_kind_exists(const char *kind, size_t n)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        if (strncmp(KINDS[i].kind, kind, n) == 0 && KINDS[i].kind[n] == '/') return true;
    }
    return false;
}

/* ---- what is said ------------------------------------------------------------------------------------------------------ */

typedef struct where { /* what is being checked */
    const char *plugin;
    const dr_component *component; /* whose kind and name are known to be texts */
} where;

__attribute__((format(printf, 2, 3))) static dr_status wrong(const where *w, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const dr_component *c = w->component;
    if (!c) return dr_fail(DR_EABI, "plugin %s: %s", w->plugin, text);
    return dr_fail(DR_EABI, "plugin %s: %.*s %s: %s", w->plugin, (int)strcspn(c->kind, "/"), c->kind, c->name, text);
}

/* ---- parameter rows ---------------------------------------------------------------------------------------------------- */

static size_t field_bytes(int32_t type)
{
    static const size_t bytes[] = { 0, sizeof(int64_t), sizeof(double), sizeof(_Bool), sizeof(char *), sizeof(int64_t), sizeof(dr_ints),
                                    sizeof(dr_reals), sizeof(dr_function), sizeof(dr_instance *), sizeof(dr_instances),
                                    sizeof(dr_tensor *) };
    return type > 0 && (size_t)type < sizeof bytes / sizeof *bytes ? bytes[type] : 0;
}

static dr_status check_bounds(const where *w, const dr_param *p)
{
    if (isnan(p->min) || isnan(p->max) || p->min > p->max) {
        return wrong(w, "parameter %s has the bounds [%g, %g]: the lower one comes first", p->name, p->min, p->max);
    }
    const bool one = p->type == DR_PARAM_INT || p->type == DR_PARAM_REAL;
    if (!one || p->required || (p->def >= p->min && p->def <= p->max)) return DR_OK;
    return wrong(w, "parameter %s has the default %g, outside its bounds [%g, %g]", p->name, p->def, p->min, p->max);
}

static dr_status check_enum(const where *w, const dr_param *p)
{
    int64_t n = 1;
    if (!is_text(p->choices, DOC_MOST) || !*p->choices) {
        return wrong(w, "parameter %s is an enum without choices; give it \"one|another\"", p->name);
    }
    for (const char *s = p->choices; *s; s++) {
        n += *s == '|';
        if ((*s == '|' && (s == p->choices || s[1] == '|' || !s[1]))) return wrong(w, "parameter %s has an empty choice in \"%s\"", p->name, p->choices);
    }
    if (p->required || (p->def >= 0 && p->def < (double)n)) return DR_OK;
    return wrong(w, "parameter %s has the default number %g, and %lld choices, counted from 0", p->name, p->def, (long long)n);
}

static dr_status check_choices(const where *w, const dr_param *p)
{
    dr_signature signature;
    const char *text = is_text(p->choices, DOC_MOST) ? p->choices : "";
    switch (p->type) {
    case DR_PARAM_ENUM: return check_enum(w, p);
    case DR_PARAM_INT:
    case DR_PARAM_REAL:
    case DR_PARAM_INTS:
    case DR_PARAM_REALS: return check_bounds(w, p);
    case DR_PARAM_STRING:
        if (!p->def_text || length_of(p->def_text, DOC_MOST) >= 0) return DR_OK;
        return wrong(w, "the default of parameter %s is no text", p->name);
    case DR_PARAM_FUNCTION:
        if (dr_signature_read(text, &signature)) return DR_OK;
        return wrong(w, "parameter %s has the signature \"%s\"; it is RESULT(ARGUMENT,...) of real, int, bool, string, tensor and void",
                     p->name, text);
    case DR_PARAM_COMPONENT:
    case DR_PARAM_COMPONENTS:
        if (dr_kind_exists(text, strcspn(text, ":"))) return DR_OK;
        return wrong(w, "parameter %s takes a component of kind \"%s\", which there is not", p->name, text);
    case DR_PARAM_TENSOR:
        for (int d = 0; d < DR_DTYPE_COUNT; d++) {
            if (strcmp(dr_dtype_name((dr_dtype)d), text) == 0) return DR_OK;
        }
        return wrong(w, "parameter %s takes a tensor of \"%s\", which is no dtype", p->name, text);
    default: return DR_OK;
    }
}

static dr_status check_row(const where *w, const dr_param *p, int number)
{
    const dr_component *c = w->component;
    const size_t bytes = field_bytes(p->type);
    if (!is_identifier(p->name)) return wrong(w, "parameter number %d has no name that is an identifier", number + 1);
    if (bytes == 0) return wrong(w, "parameter %s has type %d, which this Drift does not know", p->name, (int)p->type);
    if (p->offset > c->self_size || bytes > c->self_size - p->offset) {
        return wrong(w, "parameter %s lies at byte %zu of a struct of %zu: the rows are another struct's", p->name, p->offset, c->self_size);
    }
    if (p->type != DR_PARAM_BOOL && p->offset % sizeof(int64_t) != 0) {
        return wrong(w, "parameter %s lies at byte %zu, where no field of its type can", p->name, p->offset);
    }
    if (!is_text(p->doc, DOC_MOST)) return wrong(w, "the doc of parameter %s is no line of UTF-8", p->name);
    return check_choices(w, p);
}

static const dr_param *row_at(const dr_component *c, int i)
{
    return (const dr_param *)(const void *)((const char *)c->params + (size_t)i * c->param_size);
}

static dr_status check_rows(const where *w)
{
    const dr_component *c = w->component;
    if (!c->params) return DR_OK;
    if (c->param_size < sizeof(dr_param) || c->param_size > 4096 || c->param_size % sizeof(void *) != 0) {
        return wrong(w, "its rows of parameters are %u bytes apart, and a row has %zu", c->param_size, sizeof(dr_param));
    }
    for (int i = 0; i <= ROWS_MOST; i++) {
        const dr_param *p = row_at(c, i);
        if (i == ROWS_MOST || !is_aligned(p) || !is_mapped(p, sizeof *p)) break;
        if (p->type == DR_PARAM_END) return DR_OK;
        if (check_row(w, p, i) != DR_OK) return dr_failed();
        for (int k = 0; k < i; k++) {
            if (strcmp(row_at(c, k)->name, p->name) == 0) return wrong(w, "two parameters are called %s", p->name);
        }
    }
    return wrong(w, "its parameters have no end within %d rows; the last one is DR_END", ROWS_MOST);
}

/* ---- numbers beside the functions --------------------------------------------------------------------------------------- */

static dr_status check_metric(const where *w, const dr_metric *m)
{
    if (m->values < 1 || m->values > DR_METRIC_VALUES) return wrong(w, "it has %d values; 1 to %d", (int)m->values, DR_METRIC_VALUES);
    for (int k = 0; k < m->values; k++) {
        if (!is_text(m->value_name[k], NAME_MOST)) return wrong(w, "its value number %d has no name", k + 1);
        if (isnan(m->range[k][0]) || isnan(m->range[k][1]) || m->range[k][0] > m->range[k][1]) {
            return wrong(w, "its value %s has the range [%g, %g]", m->value_name[k], m->range[k][0], m->range[k][1]);
        }
    }
    if (m->space < DR_SPACE_LOGITS || m->space > DR_SPACE_PIXELS) return wrong(w, "it judges space %d, which this Drift does not know", (int)m->space);
    if (m->references == 0 || m->reference) return DR_OK;
    return wrong(w, "it names real images that it needs, and its table lacks reference, which would take them");
}

static dr_status check_optimizer(const where *w, const dr_optimizer *o)
{
    if (o->slots < 0 || o->slots > DR_OPTIM_SLOTS) return wrong(w, "it has %d slots; 0 to %d", (int)o->slots, DR_OPTIM_SLOTS);
    for (int k = 0; k < o->slots; k++) {
        if (!is_identifier(o->slot_name[k])) return wrong(w, "its slot number %d has no name that is an identifier", k + 1);
    }
    return DR_OK;
}

static dr_status check_op(const where *w, const dr_op *op)
{
    const bool in = op->n_in >= 0 && op->n_in <= DR_OP_MAX_IN && op->n_optional >= 0 && op->n_optional <= op->n_in;
    if (in && op->n_out >= 0 && op->n_out <= DR_OP_MAX_OUT) return DR_OK;
    return wrong(w, "it has %d inputs, %d of them optional, and %d outputs; at most %d and %d", (int)op->n_in, (int)op->n_optional,
                 (int)op->n_out, DR_OP_MAX_IN, DR_OP_MAX_OUT);
}

static dr_status check_numbers(const where *w, const char *kind, const void *iface)
{
    if (strcmp(kind, "metric/1") == 0) return check_metric(w, iface);
    if (strcmp(kind, "optim/1") == 0) return check_optimizer(w, iface);
    if (strcmp(kind, "op/1") == 0) return check_op(w, iface);
    return DR_OK;
}

/* ---- a component --------------------------------------------------------------------------------------------------------- */

static dr_status check_kind(const where *w)
{
    const dr_component *c = w->component;
    const size_t n = strcspn(c->kind, "/");
    for (int i = 0; i < KIND_COUNT; i++) {
        const kind_rule *r = &KINDS[i];
        if (strcmp(r->kind, c->kind) != 0) continue;
        uint32_t size = 0;
        if (!is_mapped(c->iface, sizeof size) || !is_aligned(c->iface)) return wrong(w, "it has no table of functions");
        memcpy(&size, c->iface, sizeof size);
        if (size < r->least || !is_mapped(c->iface, size)) {
            return wrong(w, "its table of functions has %u bytes; a %.*s has %zu at least", size, (int)n, c->kind, r->least);
        }
        for (int k = 0; k < REQUIRED_MOST && r->required[k].name; k++) {
            dr_function f;
            memcpy(&f, (const char *)c->iface + r->required[k].offset, sizeof f);
            if (!f) return wrong(w, "its table lacks the function %s", r->required[k].name);
        }
        return check_numbers(w, c->kind, c->iface);
    }
    for (int i = 0; i < KIND_COUNT; i++) {
        if (strncmp(KINDS[i].kind, c->kind, n) == 0 && KINDS[i].kind[n] == '/') {
            return wrong(w, "it is of kind %s, and this Drift takes %s: rebuild it against these headers", c->kind, KINDS[i].kind);
        }
    }
    return wrong(w, "it is of kind %s, which this Drift does not know (see: drift list)", c->kind);
}

dr_status dr_component_check(const dr_component *c, const dr_plugin_info *plugin)
{
    where w = { .plugin = plugin->path[0] ? plugin->path : plugin->id };
    if (!is_aligned(c) || !is_mapped(c, sizeof c->size) || c->size < UP_TO(dr_component, source) || !is_mapped(c, c->size)) {
        return wrong(&w, "one of its components is no dr_component");
    }
    if (!is_identifier(c->name)) {
        const bool shown = is_text(c->name, NAME_MOST);
        return wrong(&w, "a component's name%s%s%s is no identifier (letters, digits and _, at most %d)", shown ? " '" : "",
                     shown ? c->name : "", shown ? "'" : "", NAME_MOST);
    }
    if (!is_text(c->kind, NAME_MOST) || !strchr(c->kind, '/')) return wrong(&w, "component %s has no kind such as \"sampler/1\"", c->name);
    w.component = c;
    if (check_kind(&w) != DR_OK) return dr_failed();
    if (!is_text(c->doc, DOC_MOST)) return wrong(&w, "its doc is no line of UTF-8");
    if (c->self_size > SELF_MOST) return wrong(&w, "its struct has %zu bytes; at most %zu", c->self_size, SELF_MOST);
    if (c->source && (length_of(c->source, SOURCE_MOST) < 0)) {
        return wrong(&w, "the text of its source has no end within %zu bytes", SOURCE_MOST);
    }
    return check_rows(&w);
}

/* ---- the plugin's table --------------------------------------------------------------------------------------------------- */

/* A list of pointers [begin, end): both NULL where there is none. */
static dr_status check_list(const where *w, const char *what, const void *begin, const void *end)
{
    if (!begin && !end) return DR_OK;
    const bool ordered = begin && (uintptr_t)end >= (uintptr_t)begin && is_aligned(begin) && is_aligned(end);
    if (!ordered) return wrong(w, "its list of %s ends before it begins", what);
    const size_t bytes = (uintptr_t)end - (uintptr_t)begin;
    if (bytes / sizeof(void *) > LIST_MOST) return wrong(w, "its list of %s has %zu entries; at most %d", what, bytes / sizeof(void *), LIST_MOST);
    return bytes == 0 || is_mapped(begin, bytes) ? DR_OK : wrong(w, "its list of %s lies in no memory", what);
}

static dr_status check_exports(const where *w, const dr_plugin *p)
{
    dr_signature s;
    for (const dr_export *const *e = p->exports_begin; e < p->exports_end; e++) {
        if (!is_mapped(*e, sizeof **e) || !is_aligned(*e) || (*e)->size < UP_TO(dr_export, fn)) return wrong(w, "one of its exports is no dr_export");
        if (!is_identifier((*e)->name)) return wrong(w, "an exported function has no name that is an identifier");
        if (!(*e)->fn) return wrong(w, "export %s has no function", (*e)->name);
        if (!is_text((*e)->doc, DOC_MOST)) return wrong(w, "the doc of export %s is no line of UTF-8", (*e)->name);
        if (!is_text((*e)->signature, DOC_MOST) || !dr_signature_read((*e)->signature, &s)) {
            return wrong(w, "export %s has the signature \"%s\"; it is RESULT(ARGUMENT,...) of real, int, bool, string, tensor and void, "
                         "with at most %d arguments", (*e)->name, is_text((*e)->signature, NAME_MOST) ? (*e)->signature : "",
                         DR_SIGNATURE_ARGUMENTS);
        }
        for (const dr_export *const *other = p->exports_begin; other < e; other++) {
            if (strcmp((*other)->name, (*e)->name) == 0) return wrong(w, "two exported functions are called %s", (*e)->name);
        }
    }
    return DR_OK;
}

static dr_status check_kernels(const where *w, const dr_plugin *p)
{
    for (const dr_brought_kernel *const *k = p->kernels_begin; k < p->kernels_end; k++) {
        const bool sound = is_mapped(*k, sizeof **k) && is_aligned(*k) && (*k)->size >= UP_TO(dr_brought_kernel, fn) &&
                           is_identifier((*k)->backend) && is_identifier((*k)->op) && (*k)->fn;
        if (!sound) return wrong(w, "one of the kernels that it brings is no dr_brought_kernel");
    }
    return DR_OK;
}

static bool is_older(uint32_t minor, uint32_t oldest) { return minor < oldest; }

dr_status dr_plugin_check(const dr_plugin *p, const char *path)
{
    const where w = { .plugin = path };
    is_mapped(NULL, 0); /* forgets the page of the plugin before */
    if (!is_aligned(p) || !is_mapped(p, sizeof p->size)) return wrong(&w, "its %s lies in no memory", DR_PLUGIN_SYMBOL);
    if (p->size < UP_TO(dr_plugin, abi_minor_needed) || p->size > 4096 || !is_mapped(p, p->size)) {
        return wrong(&w, "its %s has %u bytes, and %zu are expected: it is no table of DR_PLUGIN", DR_PLUGIN_SYMBOL, p->size, sizeof *p);
    }
    if (p->abi_major != DR_ABI_MAJOR || p->abi_minor_needed > DR_ABI_MINOR || is_older(p->abi_minor, DR_ABI_MINOR_OLDEST)) {
        return wrong(&w, "built for ABI %u.%u (needs at least %u.%u), this is %d.%d, which takes those of %d.%d and later: rebuild it against "
                     "these headers", p->abi_major, p->abi_minor, p->abi_major, p->abi_minor_needed, DR_ABI_MAJOR, DR_ABI_MINOR,
                     DR_ABI_MAJOR, DR_ABI_MINOR_OLDEST);
    }
    if (p->size < UP_TO(dr_plugin, kernels_end)) {
        return wrong(&w, "its %s has %u bytes, and %zu are expected: it is no table of DR_PLUGIN", DR_PLUGIN_SYMBOL, p->size, sizeof *p);
    }
    if (!is_id(p->id)) {
        const bool shown = is_text(p->id, NAME_MOST);
        return wrong(&w, "its id%s%s%s is no id (letters, digits and _ - . +, at most %d)", shown ? " '" : "", shown ? p->id : "",
                     shown ? "'" : "", NAME_MOST);
    }
    if (!is_text(p->version, NAME_MOST)) return wrong(&w, "its version is no line of UTF-8; give one, such as \"1.0\"");
    if (p->doc && !is_text(p->doc, DOC_MOST)) return wrong(&w, "its doc is no line of UTF-8");
    if (!p->load) return wrong(&w, "its table lacks the function load");
    if (check_list(&w, "components", p->components_begin, p->components_end) != DR_OK) return dr_failed();
    if (check_list(&w, "exports", p->exports_begin, p->exports_end) != DR_OK) return dr_failed();
    if (check_list(&w, "kernels", p->kernels_begin, p->kernels_end) != DR_OK) return dr_failed();
    return check_exports(&w, p) == DR_OK ? check_kernels(&w, p) : dr_failed();
}
