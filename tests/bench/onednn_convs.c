/* onednn_convs.c: the convolutions of one training step of the cs180 UNet: oneDNN's best primitive for each pass (in
 * whatever memory order it likes, nothing reordered) beside the time that Drift's kernel takes for the same pass.
 *   build/tests/bench/onednn_convs [HIDDEN [BATCH [THREADS]]]       (64 128, all cores)
 * The last line holds both sums in ms. A step of training is meant to cost at most 1.2 times the first of them. */
#include "drift.h"

#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FORWARD, DATA, WEIGHT, PASSES, REPEATS = 7 };

typedef struct layer {
    const char *name;
    int64_t times, Ci, Co, side, k, stride, padding; /* side: of the input */
    bool transposed, first;                          /* first: nobody wants the input's gradient */
} layer;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t side_after(const layer *l)
{
    return l->transposed ? (l->side - 1) * l->stride + l->k - 2 * l->padding
                         : (l->side + 2 * l->padding - l->k) / l->stride + 1;
}

/* ---- oneDNN ------------------------------------------------------------------------------------------------------ */

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static dnnl_memory_desc_t desc(int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t d = NULL;
    dnnl_memory_desc_create_with_tag(&d, rank, dims, dnnl_f32, tag);
    return d;
}

/* Seconds of the primitive on memory of its own, which it takes; 1e30 where there is none. */
static double time_of(dnnl_primitive_desc_t pd)
{
    static const int args[] = { DNNL_ARG_SRC,      DNNL_ARG_WEIGHTS,  DNNL_ARG_BIAS,      DNNL_ARG_DST,
                                DNNL_ARG_DIFF_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_BIAS, DNNL_ARG_DIFF_WEIGHTS };
    enum { ARGS = sizeof args / sizeof args[0] };
    dnnl_exec_arg_t given[ARGS];
    dnnl_primitive_t primitive = NULL;
    double best = 1e30;
    int n = 0;
    if (!pd || dnnl_primitive_create(&primitive, pd) != dnnl_success) return best;
    for (int i = 0; i < ARGS; i++) {
        const_dnnl_memory_desc_t md = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, args[i]);
        dnnl_memory_t memory = NULL;
        void *data;
        if (!md || dnnl_memory_desc_get_size(md) == 0) continue;
        if (dnnl_memory_create(&memory, md, engine, DNNL_MEMORY_ALLOCATE) != dnnl_success) continue;
        dnnl_memory_get_data_handle(memory, &data);
        for (size_t k = 0; k < dnnl_memory_desc_get_size(md) / sizeof(float); k++) ((float *)data)[k] = (float)(k % 7);
        given[n++] = (dnnl_exec_arg_t){ args[i], memory };
    }
    for (int i = 0; i <= REPEATS; i++) {
        const double start = now();
        dnnl_primitive_execute(primitive, stream, n, given);
        dnnl_stream_wait(stream);
        if (i > 0 && now() - start < best) best = now() - start;
    }
    for (int i = 0; i < n; i++) dnnl_memory_destroy(given[i].memory);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(pd);
    return best;
}

/* One pass of a convolution, or (turned) of the deconvolution with the same arguments, images in order `tag`. */
static double one_pass(const layer *l, int64_t B, int pass, bool turned, dnnl_format_tag_t tag)
{
    const int64_t after = side_after(l), left = turned ? (l->side - 1) * l->stride + l->k - after - l->padding
                                                       : (after - 1) * l->stride + l->k - l->side - l->padding;
    const dnnl_dims_t strides = { l->stride, l->stride }, dilation = { 0, 0 }, p = { l->padding, l->padding };
    const dnnl_dims_t q = { left, left }, bias_dims = { l->Co };
    const dnnl_dims_t in = { B, l->Ci, l->side, l->side }, out = { B, l->Co, after, after };
    const dnnl_dims_t kernel = { l->Co, l->Ci, l->k, l->k };
    dnnl_memory_desc_t x = desc(4, in, tag), w = desc(4, kernel, dnnl_format_tag_any), y = desc(4, out, tag);
    dnnl_memory_desc_t bias = desc(1, bias_dims, dnnl_a);
    dnnl_primitive_desc_t forward = NULL, pd = NULL;
    if (turned)
        dnnl_deconvolution_forward_primitive_desc_create(&forward, engine, dnnl_forward_training,
                                                         dnnl_deconvolution_direct, x, w, bias, y, strides, dilation, p,
                                                         q, NULL);
    else
        dnnl_convolution_forward_primitive_desc_create(&forward, engine, dnnl_forward_training, dnnl_convolution_auto,
                                                       x, w, bias, y, strides, dilation, p, q, NULL);
    if (forward && pass == DATA && turned)
        dnnl_deconvolution_backward_data_primitive_desc_create(&pd, engine, dnnl_deconvolution_direct, x, w, y, strides,
                                                               dilation, p, q, forward, NULL);
    if (forward && pass == DATA && !turned)
        dnnl_convolution_backward_data_primitive_desc_create(&pd, engine, dnnl_convolution_auto, x, w, y, strides,
                                                             dilation, p, q, forward, NULL);
    if (forward && pass == WEIGHT && turned)
        dnnl_deconvolution_backward_weights_primitive_desc_create(&pd, engine, dnnl_deconvolution_direct, x, w, bias, y,
                                                                  strides, dilation, p, q, forward, NULL);
    if (forward && pass == WEIGHT && !turned)
        dnnl_convolution_backward_weights_primitive_desc_create(&pd, engine, dnnl_convolution_auto, x, w, bias, y,
                                                                strides, dilation, p, q, forward, NULL);
    const double taken = time_of(pass == FORWARD ? forward : pd);
    if (forward && pass != FORWARD) dnnl_primitive_desc_destroy(forward);
    dnnl_memory_desc_destroy(x);
    dnnl_memory_desc_destroy(w);
    dnnl_memory_desc_destroy(y);
    dnnl_memory_desc_destroy(bias);
    return taken;
}

/* A transposed convolution is also the gradient of a convolution, and the other way round. */
static double best_primitive(const layer *l, int64_t B, int pass)
{
    static const int mirrored[PASSES] = { DATA, FORWARD, WEIGHT };
    static const dnnl_format_tag_t tags[] = { dnnl_format_tag_any, dnnl_nhwc };
    layer mirror = *l;
    mirror.Ci = l->Co;
    mirror.Co = l->Ci;
    mirror.side = side_after(l);
    double best = 1e30;
    for (int i = 0; i < 2; i++) {
        double taken = one_pass(l, B, pass, l->transposed, tags[i]);
        if (taken < best) best = taken;
        if (!l->transposed) continue;
        mirror.transposed = false;
        taken = one_pass(&mirror, B, mirrored[pass], false, tags[i]);
        if (taken < best) best = taken;
    }
    return best;
}

/* ---- Drift ------------------------------------------------------------------------------------------------------- */

static double in_kernels; /* since it was set to 0 */

static void add_time(void *ctx, const dr_launch *l, double start, double seconds)
{
    (void)ctx, (void)start;
    if (strncmp(l->args.op, "conv", 4) == 0) in_kernels += seconds; /* not what brings x into channels-last order */
}

static void run_pass(const layer *l, int pass, dr_tensor *x, dr_tensor *w, dr_tensor *bias, dr_tensor *dy)
{
    const dr_conv2d_attr conv = { l->stride, l->padding };
    const dr_conv_transpose2d_attr transpose = { .stride = l->stride, .padding = l->padding };
    const dr_conv2d_backward_data_attr data = { l->stride, l->padding, l->side, l->side };
    const dr_conv2d_backward_weight_attr weight = { l->stride, l->padding, l->k, !l->transposed };
    dr_tensor *dw[2];
    if (pass == FORWARD && l->transposed) dr_apply1("conv_transpose2d", (dr_tensor *[]){ x, w, bias }, 3, &transpose);
    else if (pass == FORWARD) dr_apply1("conv2d", (dr_tensor *[]){ x, w, bias }, 3, &conv);
    else if (pass == DATA && l->transposed) dr_apply1("conv2d", (dr_tensor *[]){ dy, w }, 2, &conv);
    else if (pass == DATA) dr_apply1("conv2d_backward_data", (dr_tensor *[]){ dy, w }, 2, &data);
    else if (l->transposed) dr_apply("conv2d_backward_weight", (dr_tensor *[]){ dy, x }, 2, &weight, dw);
    else dr_apply("conv2d_backward_weight", (dr_tensor *[]){ x, dy }, 2, &weight, dw);
}

static double kernel_time(const layer *l, int64_t B, int pass)
{
    const int64_t after = side_after(l), Co = l->Co, Ci = l->Ci;
    double best = 1e30;
    dr_scope_open();
    dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(B, Ci, l->side, l->side), 0.5);
    dr_tensor *dy = dr_tensor_full(DR_F32, DR_SHAPE(B, Co, after, after), 0.5),
              *bias = dr_tensor_full(DR_F32, DR_SHAPE(Co), 0.5);
    dr_tensor *w = dr_tensor_full(DR_F32, DR_SHAPE(l->transposed ? Ci : Co, l->transposed ? Co : Ci, l->k, l->k), 0.5);
    for (int i = 0; i <= REPEATS && !dr_failed(); i++) {
        dr_scope_open();
        in_kernels = 0;
        run_pass(l, pass, x, w, bias, dy);
        if (i > 0 && in_kernels < best) best = in_kernels;
        dr_scope_close();
    }
    dr_scope_close();
    return best;
}

static void report(const layer *l, int64_t B, double *sum)
{
    static const char *const names[PASSES] = { "forward", "data", "weight" };
    printf("%-12s %lldx %4lld -> %-4lld %2lldx%-2lld k%lld s%lld ", l->name, (long long)l->times, (long long)l->Ci,
           (long long)l->Co, (long long)l->side, (long long)l->side, (long long)l->k, (long long)l->stride);
    for (int pass = 0; pass < PASSES; pass++) {
        if (pass == DATA && l->first) continue;
        const double theirs = best_primitive(l, B, pass), ours = kernel_time(l, B, pass);
        sum[0] += theirs * (double)l->times;
        sum[1] += ours * (double)l->times;
        printf("  %s %.2f %.2f", names[pass], theirs * 1e3, ours * 1e3);
    }
    puts("");
}

static int stop(void)
{
    fprintf(stderr, "onednn_convs: %s\n", dr_error_message());
    return 1;
}

int main(int argc, char **argv)
{
    const int64_t D = argc > 1 ? atoll(argv[1]) : 64, B = argc > 2 ? atoll(argv[2]) : 128;
    const layer layers[] = {
        { "init.c1", 1, 1, D, 28, 3, 1, 1, false, true },
        { "D,28", 4, D, D, 28, 3, 1, 1, false, false }, /* init.c2, u2.c, f.c2 */
        { "d1.d", 1, D, D, 28, 3, 2, 1, false, false },
        { "D,14", 4, D, D, 14, 3, 1, 1, false, false }, /* d1.c, u1.c */
        { "d2.d", 1, D, 2 * D, 14, 3, 2, 1, false, false },
        { "2D,7", 2, 2 * D, 2 * D, 7, 3, 1, 1, false, false }, /* d2.c */
        { "un", 1, 2 * D, 2 * D, 1, 7, 7, 0, true, false },
        { "u1.u", 1, 4 * D, D, 7, 4, 2, 1, true, false },
        { "u2.u", 1, 2 * D, D, 14, 4, 2, 1, true, false },
        { "f.c1", 1, 2 * D, D, 28, 3, 1, 1, false, false },
        { "out", 1, D, 1, 28, 3, 1, 1, false, false },
    };
    double sum[2] = { 0 };
    const char *folder = getenv("DRIFT_PLUGIN_DIR"), *home = getenv("DRIFT_HOME");
    dr_set_home(home ? home : DRIFT_HOME_DIR);
    dr_registry_open();
    dr_plugins_load(folder ? folder : DRIFT_PLUGIN_DIR);
    dr_device *cpu = dr_device_open("cpu", DR_ARGS(DR_I("threads", argc > 3 ? atoll(argv[3]) : 0)));
    if (!cpu) return stop();
    dr_device_use(cpu);
    dr_set_launch_hook(add_time, NULL);
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) != dnnl_success)
        return 1;

    printf("%s; ms of oneDNN's best primitive, of Drift's kernel\n", dr_device_describe(cpu));
    for (size_t i = 0; i < sizeof layers / sizeof layers[0] && !dr_failed(); i++) report(&layers[i], B, sum);
    if (dr_failed()) return stop();
    printf("sum %.1f %.1f\n", sum[0] * 1e3, sum[1] * 1e3);
    dnnl_stream_destroy(stream);
    dnnl_engine_destroy(engine);
    dr_device_close_all();
    dr_registry_close();
    return 0;
}
