/* plugin.h: all that a plugin's source includes. A plugin links to nothing: load() receives the host's table, and the
 * inline functions below make dr_add(a, b) read as a direct call. A component's file ends with one line such as
 *   DR_SAMPLER(heun, "Heun's second-order ODE step", params, .step = step, .order = 2)
 * which is found at load time: no list anywhere names the file. One file of the plugin says
 *   DR_PLUGIN("samplers", "1.0", "ODE and SDE samplers") */
#ifndef DRIFT_PLUGIN_H
#define DRIFT_PLUGIN_H

#include <drift/abi.h>
#include <drift/kinds.h>
#include <stdarg.h>

/* How a weight starts. Uniform with bound 1/sqrt(fan_in) is PyTorch's default for convolutions and linear layers. */
typedef struct dr_init {
    int32_t kind; /* DR_INIT_... */
    double value; /* constant; bound of the uniform; standard deviation of the normal */
} dr_init;
enum { DR_INIT_CONSTANT = 0, DR_INIT_UNIFORM, DR_INIT_NORMAL };
#define DR_INIT_ZEROS ((dr_init){ DR_INIT_CONSTANT, 0.0 })
#define DR_INIT_ONES ((dr_init){ DR_INIT_CONSTANT, 1.0 })

#define DR_SHAPE(...) ((int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))), ((int64_t[]){ __VA_ARGS__ })

typedef struct dr_host {
    uint32_t size;
    uint32_t abi_minor;
#define DR_API(result, name, parameters, arguments) result(*name) parameters;
#define DR_API_VOID(name, parameters, arguments) void(*name) parameters;
#include <drift/api.def>
#undef DR_API
#undef DR_API_VOID
} dr_host;

#ifdef DRIFT_CORE /* inside the program: the functions themselves */
#define DR_API(result, name, parameters, arguments) result dr_##name parameters;
#define DR_API_VOID(name, parameters, arguments) void dr_##name parameters;
#include <drift/api.def>
#else /* in a plugin: calls through the table */
extern const dr_host *dr_host_table __attribute__((visibility("hidden")));
#define DR_API(result, name, parameters, arguments) \
    static inline result dr_##name parameters { return dr_host_table->name arguments; }
#define DR_API_VOID(name, parameters, arguments) \
    static inline void dr_##name parameters { dr_host_table->name arguments; }
#include <drift/api.def>
#endif
#undef DR_API
#undef DR_API_VOID

/* Whether the host has that function of api.def: for a plugin whose DR_ABI_MINOR_NEEDED is below its headers' minor. */
#define DR_HOST_HAS(function) (dr_host_table->size >= offsetof(dr_host, function) + sizeof dr_host_table->function)

/* Records an error (the first one counts) and returns its code: return dr_fail(DR_EINVAL, "steps = %d", n); */
__attribute__((format(printf, 2, 3))) static inline dr_status dr_fail(dr_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    dr_vfail(code, format, args);
    va_end(args);
    return code;
}

__attribute__((format(printf, 1, 2))) static inline void dr_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    dr_vnote(format, args);
    va_end(args);
}

#include <drift/ops.h>

/* ---- how components are found: each leaves its address in a section of the shared object ------------------------- */
#define DR_ENTRY_(section_, type, name, object) \
    static const type *const name __attribute__((used, section(section_))) = &object;

/* A file's own text, in its shared object: `drift help heun` shows the opening comment of heun.c, equation and paper, so
 * there is one place for them. Once per file, however many components it has; compilers need the file's path, not a pipe. */
extern const char dr_source_text[] __attribute__((visibility("hidden")));
#define DR_SOURCE_ \
    __asm__(".ifndef dr_source_text\n" \
            ".pushsection .rodata\n" \
            "dr_source_text: .incbin \"" __FILE__ "\"\n" \
            ".byte 0\n" \
            ".popsection\n" \
            ".endif\n");

#define DR_COMPONENT_(iface_type, kind_, name_, doc_, params_, self_size_, ...) \
    DR_SOURCE_ \
    static const iface_type dr_iface_##name_ = { .size = sizeof(iface_type), __VA_ARGS__ }; \
    static const dr_component dr_component_##name_ = { \
        .size = sizeof(dr_component), .kind = kind_, .name = #name_, .doc = doc_, .params = params_, \
        .param_size = sizeof(dr_param), .self_size = self_size_, .iface = &dr_iface_##name_, \
        .source = dr_source_text }; \
    DR_ENTRY_("dr_components", dr_component, dr_entry_##name_, dr_component_##name_)

/* name is also the component's struct type: DR_BLOCK(conv2d, ...) needs `typedef struct {...} conv2d;` */
#define DR_OP_COMPONENT(name, doc, params, ...) DR_COMPONENT_(dr_op, "op/1", name, doc, params, sizeof(dr_##name##_attr), __VA_ARGS__)
#define DR_BLOCK(name, doc, params, ...) DR_COMPONENT_(dr_block, "block/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_CONDITIONING(name, doc, params, ...) DR_COMPONENT_(dr_conditioning, "conditioning/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_SCHEDULE(name, doc, params, ...) DR_COMPONENT_(dr_schedule, "schedule/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_PROCESS(name, doc, params, ...) DR_COMPONENT_(dr_process, "process/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_TIME_SAMPLING(name, doc, params, ...) DR_COMPONENT_(dr_time_sampling, "time_sampling/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_WEIGHTING(name, doc, params, ...) DR_COMPONENT_(dr_weighting, "weighting/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_COUPLING(name, doc, params, ...) DR_COMPONENT_(dr_coupling, "coupling/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_SAMPLER(name, doc, params, ...) DR_COMPONENT_(dr_sampler, "sampler/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_TIMESTEPS(name, doc, params, ...) DR_COMPONENT_(dr_timesteps, "timesteps/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_GUIDANCE(name, doc, params, ...) DR_COMPONENT_(dr_guidance, "guidance/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_CLIP(name, doc, params, ...) DR_COMPONENT_(dr_clip, "clip/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_VIEW(name, doc, params, ...) DR_COMPONENT_(dr_image_view, "view/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_FILTER(name, doc, params, ...) DR_COMPONENT_(dr_filter, "filter/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_OPTIMIZER(name, doc, params, ...) DR_COMPONENT_(dr_optimizer, "optim/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_DECAY(name, doc, params, ...) DR_COMPONENT_(dr_decay, "decay/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_EMA(name, doc, params, ...) DR_COMPONENT_(dr_ema, "ema/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_DATASET(name, doc, params, ...) DR_COMPONENT_(dr_dataset, "dataset/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_METRIC(name, doc, params, ...) DR_COMPONENT_(dr_metric, "metric/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_TOKENIZER(name, doc, params, ...) DR_COMPONENT_(dr_tokenizer, "tokenizer/1", name, doc, params, sizeof(name), __VA_ARGS__)
#define DR_BACKEND(name, doc, params, ...) DR_COMPONENT_(dr_backend, "backend/1", name, doc, params, sizeof(name), __VA_ARGS__)

/* DR_EXPORT(blend, "tensor(tensor,tensor,real)", "a weighted mean"): Lua may then call drift.export.blend(a, b, 0.5) */
#define DR_EXPORT(function, signature_, doc_) \
    static const dr_export dr_export_##function = { .size = sizeof(dr_export), .name = #function, .signature = signature_, .doc = doc_, .fn = (dr_function)function }; \
    DR_ENTRY_("dr_exports", dr_export, dr_export_entry_##function, dr_export_##function)

/* The linker makes __start_X and __stop_X for a section named X; weak, since a plugin may have no exports. */
extern const dr_component *const __start_dr_components[] __attribute__((weak, visibility("hidden")));
extern const dr_component *const __stop_dr_components[] __attribute__((weak, visibility("hidden")));
extern const dr_export *const __start_dr_exports[] __attribute__((weak, visibility("hidden")));
extern const dr_export *const __stop_dr_exports[] __attribute__((weak, visibility("hidden")));
extern const dr_brought_kernel *const __start_dr_device_kernels[] __attribute__((weak, visibility("hidden")));
extern const dr_brought_kernel *const __stop_dr_device_kernels[] __attribute__((weak, visibility("hidden")));

#define DR_PLUGIN(id_, version_, doc_) DR_PLUGIN_WITH(id_, version_, doc_, NULL, NULL)
/* on_load runs after the host's table is set and may refuse with dr_fail; on_unload undoes it. Either may be NULL. */
#define DR_PLUGIN_WITH(id_, version_, doc_, on_load, on_unload) \
    const dr_host *dr_host_table; \
    static dr_status dr_plugin_load(const dr_host *host) \
    { \
        dr_status (*const then)(void) = on_load; \
        dr_host_table = host; \
        return then ? then() : DR_OK; \
    } \
    __attribute__((visibility("default"))) extern const dr_plugin dr_plugin_entry; \
    const dr_plugin dr_plugin_entry = { \
        .size = sizeof(dr_plugin), .abi_major = DR_ABI_MAJOR, .abi_minor = DR_ABI_MINOR, .abi_minor_needed = DR_ABI_MINOR_NEEDED, \
        .id = id_, .version = version_, .doc = doc_, \
        .components_begin = __start_dr_components, .components_end = __stop_dr_components, \
        .exports_begin = __start_dr_exports, .exports_end = __stop_dr_exports, \
        .load = dr_plugin_load, .unload = on_unload, \
        .kernels_begin = __start_dr_device_kernels, .kernels_end = __stop_dr_device_kernels };

#endif
