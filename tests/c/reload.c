/* Hot reload: the new version of a plugin takes the old one's place in everything that is alive, with its parameters and
 * weights; what fails leaves the old one running, untouched. The plugin is reload_plugin.h, compiled here in versions. */
#include "../host.h"

#include <malloc.h>
#include <math.h>
#include <sys/stat.h>

static const char plugin[] = "./changing.so";

/* Compiles a version into the plugin's file, as a linker does: a new file under the old name. */
static void make(const char *options)
{
    char command[4096];
    const char *home = getenv("DRIFT_HOME"), *cc = getenv("CC");
    snprintf(command, sizeof command, "%s -std=gnu11 -O1 -shared -fPIC -fvisibility=hidden -w %s -I '%s/core/include' -x c "
             "'%s/tests/c/reload_plugin.h' -o changing.new && mv changing.new changing.so", cc && *cc ? cc : "cc", options, home, home);
    assert_int_equal(system(command), 0);
}

static void load(const char *options)
{
    make(options);
    assert_int_equal(dr_plugin_load(plugin), DR_OK);
}

static int64_t number(void)
{
    const int64_t i = dr_plugin_find("changing");
    assert_true(i > 0);
    return i;
}

static dr_reloaded reload(const char *options)
{
    dr_reloaded r;
    make(options);
    if (dr_plugin_reload(number(), &r) != DR_OK) fail_msg("%s", dr_error_message());
    return r;
}

static void refused(const char *options, const char *why)
{
    dr_reloaded r;
    make(options);
    const int64_t components = dr_component_count(), plugins = dr_plugin_count();
    assert_int_not_equal(dr_plugin_reload(number(), &r), DR_OK);
    if (!strstr(dr_error_message(), "the earlier one goes on")) fail_msg("%s", dr_error_message());
    assert_error_has(why);
    assert_int_equal(dr_component_count(), components);
    assert_int_equal(dr_plugin_count(), plugins);
}

/* Each test has a program's life of its own: nothing is left of another's plugin. Of the others there are those that it
 * needs. */
static int begin(void **state)
{
    static const char *const needed[] = { "backend_ref", "blocks", "processes", "schedules", "timesteps" };
    const char *folder = getenv("DRIFT_PLUGIN_DIR"), *home = getenv("DRIFT_HOME");
    (void)state;
    dr_set_home(home ? home : DRIFT_HOME_DIR);
    dr_registry_open();
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s.so", folder ? folder : DRIFT_PLUGIN_DIR, needed[i]);
        dr_plugin_load(path);
    }
    dr_device *d = dr_device_open("ref", DR_NO_ARGS);
    if (d) dr_device_use(d);
    if (dr_failed()) print_error("%s\n", dr_error_message());
    return dr_failed() ? -1 : 0;
}

static double exported(void) { return ((double (*)(void))dr_export_find("changing_number")->fn)(); }

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

typedef struct net {
    dr_module *root, *block, *pair;
} net;

static net network(void)
{
    net n = { .root = dr_module_group(NULL, "unet") };
    n.block = dr_module_create(n.root, "d1", "block", "changing", DR_ARGS(DR_I("features", 3), DR_R("scale", 5.0)));
    n.pair = dr_module_create(n.root, "d2", "block", "changing_pair", DR_ARGS(DR_I("features", 3), DR_C("part", "changing", DR_ARGS(DR_I("features", 3)))));
    if (!n.block || !n.pair) fail_msg("%s", dr_error_message());
    return n;
}

static dr_tensor *weight(const net *n, const char *path)
{
    for (int64_t i = 0; i < dr_module_named_count(n->root); i++) {
        const dr_named *w = dr_module_named_at(n->root, i);
        if (strcmp(w->path, path) == 0) return w->tensor;
    }
    return NULL;
}

/* The sum of its outputs for ones. */
static double of_ones(dr_module *m)
{
    dr_scope_open();
    dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(1, 3), 1.0);
    const double y = dr_tensor_item(dr_sum(dr_module_forward(m, &x, 1), 0, NULL, false));
    dr_scope_close();
    if (dr_failed()) fail_msg("%s", dr_error_message());
    return y;
}

static void set_weight(dr_tensor *t, float a, float b, float c)
{
    assert_int_equal(dr_tensor_write(t, DR_F32, (const float[]){ a, b, c }), DR_OK);
}

static void a_block_has_its_new_code_and_its_old_weights(void **state)
{
    (void)state;
    load("-DFACTOR=2.0");
    net n = network();
    dr_tensor *gain = weight(&n, "d1.gain"), *held = weight(&n, "d2.held.gain");
    set_weight(gain, 1, 2, 3);
    assert_true(of_ones(n.block) == 2.0 * 5.0 * 6.0);
    const double pair = of_ones(n.pair);
    const dr_reloaded r = reload("-DFACTOR=3.0");
    assert_int_equal(r.modules, 2);
    assert_ptr_equal(weight(&n, "d1.gain"), gain);
    assert_ptr_equal(weight(&n, "d2.held.gain"), held);
    assert_true(of_ones(n.block) == 3.0 * 5.0 * 6.0);
    assert_true(dr_has_requires_grad(gain) && !dr_has_requires_grad(weight(&n, "d1.count")));
    assert_true(exported() == 3.0);
    reload("-DFACTOR=2.0");
    assert_true(of_ones(n.pair) == pair); /* there and back: the same bits */
    dr_module_free(n.root);
}

static void the_module_of_another_plugin_around_it_stays(void **state)
{
    (void)state;
    load("-DFACTOR=2.0");
    dr_module *root = dr_module_group(NULL, "net");
    dr_module *outer = dr_module_create(root, "t", "block", "linear", DR_ARGS(DR_I("in_features", 3), DR_I("out_features", 3)));
    const double before = of_ones(outer);
    assert_int_equal(reload("-DFACTOR=3.0").modules, 0);
    assert_true(of_ones(outer) == before);
    dr_module_free(root);
}

static void children_may_be_declared_in_another_order(void **state)
{
    (void)state;
    load("");
    net n = network();
    const double before = of_ones(n.pair);
    dr_tensor *w = weight(&n, "d2.second.weight");
    reload("-DCHILDREN_TURNED");
    assert_ptr_equal(weight(&n, "d2.second.weight"), w);
    assert_true(of_ones(n.pair) == before);
    dr_module_free(n.root);
}

static void a_frozen_weight_stays_frozen_and_a_gradient_stays(void **state)
{
    (void)state;
    load("");
    net n = network();
    dr_tensor *gain = weight(&n, "d1.gain");
    dr_scope_open();
    dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(1, 3), 1.0);
    assert_int_equal(dr_backward(dr_sum(dr_module_forward(n.block, &x, 1), 0, NULL, false), NULL), DR_OK);
    dr_scope_close();
    dr_tensor *gradient = dr_grad(gain);
    assert_non_null(gradient);
    dr_requires_grad(weight(&n, "d2.first.gain"), false);
    reload("-DFACTOR=3.0");
    assert_ptr_equal(dr_grad(gain), gradient);
    assert_false(dr_has_requires_grad(weight(&n, "d2.first.gain")));
    dr_module_free(n.root);
}

static void what_create_writes_to_weights_does_not_count(void **state)
{
    (void)state;
    load("");
    net n = network();
    set_weight(weight(&n, "d1.gain"), 1, 2, 3);
    reload("-DWRITES");
    assert_true(of_ones(n.block) == 2.0 * 5.0 * 6.0);
    refused("-DWRITES -DWRITES_AND_FAILS", "unet.d1: block changing: after it wrote");
    assert_true(of_ones(n.block) == 2.0 * 5.0 * 6.0);
    dr_module_free(n.root);
}

static void parameters_that_were_given_stay_and_defaults_are_the_new_ones(void **state)
{
    (void)state;
    load("-DSCALE_DEFAULT=1.0");
    net n = network(); /* d1 was given scale = 5, what is in d2 was not */
    dr_module *first = dr_module_create(n.root, "d3", "block", "changing", DR_ARGS(DR_I("features", 3)));
    reload("-DSCALE_DEFAULT=7.0");
    assert_true(of_ones(n.block) == 2.0 * 5.0 * 3.0);
    assert_true(of_ones(first) == 2.0 * 7.0 * 3.0);
    reload("-DNEW_PARAMETER");
    assert_true(of_ones(n.block) == 3.0 * (2.0 * 5.0 + 10.0));
    dr_module_free(n.root);
}

static void what_does_not_fit_is_refused_and_says_where(void **state)
{
    static const char *const version[][2] = {
        { "-DCREATE_FAILS", "unet.d1: block changing: not today" },
        { "-DOTHER_SHAPE", "unet.d1: the new version declares weight 'd1.gain' as f32[3,2], and the running network has a weight f32[3]" },
        { "-DNEW_WEIGHT", "unet.d1: the new version declares a weight 'd1.bias' f32[3], which the running network does not have" },
        { "-DOTHER_NAME", "'d1.amplification'" },
        { "-DNO_WEIGHT", "unet.d1: the new version does not declare 'd1.gain' any more" },
        { "-DBUFFER_IS_WEIGHT", "the new version declares weight 'd1.count' as f32[1], and the running network has a buffer f32[1]" },
        { "-DNO_SCALE", "unet.d1: block changing: no parameter 'scale'" },
        { "-DNO_BLOCK", "unet.d1: there is no block 'changing'" },
        { "-DOTHER_ABI", "built for ABI 2." },
        { "-DREFUSES", "needs another day" },
    };
    (void)state;
    load("-DFACTOR=2.0");
    net n = network();
    set_weight(weight(&n, "d1.gain"), 1, 2, 3);
    const double pair = of_ones(n.pair);
    for (size_t i = 0; i < sizeof version / sizeof *version; i++) {
        char options[128];
        snprintf(options, sizeof options, "-DFACTOR=9.0 %s", version[i][0]);
        refused(options, version[i][1]);
        assert_true(of_ones(n.block) == 2.0 * 5.0 * 6.0);
        assert_true(of_ones(n.pair) == pair);
        assert_true(exported() == 2.0);
        assert_int_equal(dr_module_named_count(n.root), 2 * 3 + 2);
    }
    reload("-DFACTOR=3.0"); /* after all of that it still can be */
    assert_true(of_ones(n.block) == 3.0 * 5.0 * 6.0);
    dr_module_free(n.root);
    reload("-DNO_BLOCK"); /* nothing of it is alive: it may go */
    assert_null(dr_component_find("block", "changing"));
    assert_error_has("there is no block 'changing'");
}

static void a_file_that_is_no_plugin_or_cut_short_is_refused(void **state)
{
    (void)state;
    dr_reloaded r;
    load("");
    struct stat s;
    assert_int_equal(stat(plugin, &s), 0);
    for (int part = 1; part < 8; part++) { /* a linker is still at it */
        make("");
        char command[128];
        snprintf(command, sizeof command, "head -c %lld changing.so >cut && mv cut changing.so", (long long)s.st_size * part / 8);
        assert_int_equal(system(command), 0);
        assert_int_not_equal(dr_plugin_reload(number(), &r), DR_OK);
        assert_error_has("cut short");
    }
    assert_int_equal(system("echo no library >changing.so"), 0);
    assert_int_not_equal(dr_plugin_reload(number(), &r), DR_OK);
    assert_error_has("the earlier one goes on");
    assert_int_equal(system("rm changing.so"), 0);
    assert_int_not_equal(dr_plugin_reload(number(), &r), DR_OK);
    assert_error_has("No such file");
    assert_int_equal(system("ls -a | grep reload$"), 256); /* no copy is left behind */
    assert_true(exported() == 2.0);
}

/* ---- other kinds ------------------------------------------------------------------------------------------------- */

static double real_of(double x) { return x + 0.25; }

static void instances_are_made_anew_where_they_are(void **state)
{
    (void)state;
    load("-DFACTOR=2.0");
    dr_instance *decay = dr_instance_new("decay", "changing_decay", DR_ARGS(DR_R("rate", 0.25)));
    const dr_arg curve = { .name = "curve", .type = DR_PARAM_FUNCTION, .fn = (dr_function)real_of };
    dr_instance *curved = dr_instance_new("decay", "changing_decay", (dr_args){ &curve, 1 });
    dr_instance *process = dr_instance_new("process", "changing_process", DR_ARGS(DR_C("schedule", "changing_schedule", DR_ARGS(DR_R("unit", 0.05)))));
    const dr_instance was = *process;
    dr_coef c;
    dr_process_coef(process, 0.5, &c);
    assert_true(c.c_in == 2.0 && c.weight == 2.0 * 0.05);
    reload("-DFACTOR=3.0");
    assert_ptr_not_equal(process->self, was.self);
    assert_ptr_not_equal(process->iface, was.iface);
    dr_process_coef(process, 0.5, &c);
    assert_true(c.c_in == 3.0 && c.weight == 3.0 * 0.05);
    assert_true(((const dr_decay *)decay->iface)->factor(decay->self, 0, 1) == 3.0 * 0.25);
    assert_true(((const dr_decay *)curved->iface)->factor(curved->self, 1, 1) == 3.0 * 1.25);
    dr_instance_free(decay);
    dr_instance_free(curved);
    dr_instance_free(process);
}

/* ddpm's tables are made of a schedule, which is another plugin's. */
static void what_holds_a_component_of_it_is_made_anew_too(void **state)
{
    (void)state;
    load("-DFACTOR=2.0");
    dr_instance *process = dr_instance_new("process", "ddpm", DR_ARGS(DR_C("schedule", "changing_schedule", DR_NO_ARGS)));
    if (!process) fail_msg("%s", dr_error_message());
    dr_coef two, three;
    dr_process_coef(process, 10, &two);
    reload("-DFACTOR=3.0");
    dr_process_coef(process, 10, &three);
    assert_true(three.alpha < two.alpha);
    dr_instance_free(process);
}

static void an_optimizer_keeps_its_state(void **state)
{
    (void)state;
    load("-DFACTOR=2.0");
    dr_scope_open();
    dr_tensor *w = dr_requires_grad(dr_keep(dr_tensor_full(DR_F32, DR_SHAPE(1), 1.0)), true);
    const char *path = "w";
    dr_instance *instance = dr_instance_new("optim", "changing_optim", DR_ARGS(DR_R("lr", 0.5)));
    dr_optim *o = dr_optim_new(instance, &w, &path, 1);
    double expected = 1.0, velocity = 0.0;
    for (int step = 0; step < 4; step++) {
        const double factor = step < 2 ? 2.0 : 3.0;
        if (step == 2) {
            refused("-DFACTOR=3.0 -DSLOT='\"speed\"'", "optim changing_optim: its state is kept in other slots now (1: speed");
            reload("-DFACTOR=3.0");
        }
        dr_backward(dr_sum(w, 0, NULL, false), NULL);
        assert_int_equal(dr_optim_step(o, 1.0), DR_OK);
        velocity += 1.0;
        expected -= factor * 0.5 * velocity;
        assert_true(dr_tensor_item(w) == expected);
    }
    assert_int_equal(dr_optim_steps(o), 4);
    dr_scope_close();
    dr_optim_free(o);
    dr_instance_free(instance);
    dr_release(w);
}

static float first_pixel(dr_loader *l, int64_t i)
{
    dr_batch b;
    float v[16];
    dr_scope_open();
    if (dr_loader_read(l, 0, i, &b) != DR_OK || dr_tensor_read(b.image, DR_F32, v) != DR_OK) fail_msg("%s", dr_error_message());
    dr_scope_close();
    return v[0];
}

static void a_loader_reads_the_new_data_from_the_next_batch_on(void **state)
{
    (void)state;
    load("-DFACTOR=2.0");
    dr_instance *data = dr_instance_new("dataset", "changing_data", DR_NO_ARGS);
    dr_loader *l = dr_loader_new(data, DR_TRAIN, 2, true, true, 0, 0);
    assert_true(first_pixel(l, 0) == 0.2f); /* its thread reads batch 1 now */
    reload("-DFACTOR=3.0");
    assert_true(first_pixel(l, 1) == 0.3f);
    refused("-DFACTOR=4.0 -DSAMPLES=9", "dataset changing_data: its samples are of another number or shape");
    assert_true(first_pixel(l, 2) == 0.3f);
    dr_loader_free(l);
    dr_instance_free(data);
}

static void a_metrics_samples_are_lost_and_nothing_is_made_of_the_rest(void **state)
{
    (void)state;
    load("-DFACTOR=2.0");
    dr_scope_open();
    dr_instance *m = dr_instance_new("metric", "changing_metric", DR_NO_ARGS);
    dr_tensor *output = dr_tensor_full(DR_F32, DR_SHAPE(4, 2), 0.0);
    const dr_resampling how = { .confidence = 0.95 };
    dr_metric_value v;
    reload("-DFACTOR=3.0"); /* nothing in it yet: nothing is lost */
    assert_int_equal(dr_metric_update(m, output, NULL), DR_OK);
    reload("-DFACTOR=4.0");
    assert_int_not_equal(dr_metric_update(m, output, NULL), DR_OK);
    assert_error_has("metric changing_metric: its plugin was reloaded, and with that its samples are gone");
    assert_int_not_equal(dr_metric_result(m, &how, &v), DR_OK);
    assert_error_has("its samples are gone");
    assert_int_equal(dr_metric_reset(m), DR_OK);
    assert_int_equal(dr_metric_update(m, output, NULL), DR_OK);
    assert_int_equal(dr_metric_result(m, &how, &v), DR_OK);
    assert_true(v.value == 16.0);
    dr_instance_free(m);
    dr_scope_close();
}

static dr_tensor *half(void *ctx, dr_tensor *x, const dr_batch_cond *cond)
{
    (void)ctx, (void)cond;
    return dr_scale(0.5, x);
}

static void a_model_samples_with_the_new_sampler_guidance_and_process(void **state)
{
    (void)state;
    double x[2];
    load("-DFACTOR=2.0");
    dr_instance *process = dr_instance_new("process", "changing_process", DR_NO_ARGS);
    dr_instance *guidance = dr_instance_new("guidance", "changing_guidance", DR_NO_ARGS);
    dr_instance *sampler = dr_instance_new("sampler", "changing_sampler", DR_NO_ARGS);
    dr_model *f = dr_model_new(process, half, NULL);
    dr_model_guide(f, guidance);
    for (int i = 0; i < 2; i++) {
        dr_scope_open();
        dr_tensor *start = dr_tensor_full(DR_F32, DR_SHAPE(1, 1, 1, 1), 1.0);
        x[i] = dr_tensor_item(dr_sample(f, sampler, start, (dr_rng){ 0 }, NULL, 0, NULL, NULL));
        dr_scope_close();
        if (i == 0) reload("-DFACTOR=3.0");
    }
    /* dx/dt = F (guidance) 0.5 F (c_in) x, and the step is F of it: x (1 - F^3/4)^2 */
    assert_true(fabs(x[0] - 1.0) < 1e-5 && fabs(x[1] - 33.0625) < 1e-3);
    dr_model_free(f);
    dr_instance_free(process);
    dr_instance_free(guidance);
    dr_instance_free(sampler);
}

/* ---- ops, plans, graphs that are open ---------------------------------------------------------------------------- */

static dr_status call_op(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n)
{
    (void)ctx;
    out[0] = dr_keep(dr_apply1("changing_op", (dr_tensor *[]){ in[0] }, 1, &(dr_none_attr){ 0 }));
    *n = 1;
    return dr_failed();
}

static double run_plan(dr_plan *p)
{
    dr_scope_open();
    dr_tensor *in[1] = { dr_tensor_full(DR_F32, DR_SHAPE(2), 1.0) }, *out[DR_PLAN_OUTPUTS];
    dr_plan_call c = { .fn = call_op, .in = in, .n_in = 1 };
    int n;
    if (dr_plan_run(p, &c, out, &n) != DR_OK) fail_msg("%s", dr_error_message());
    const double y = dr_tensor_item(dr_sum(out[0], 0, NULL, false));
    dr_release(out[0]);
    dr_scope_close();
    return y;
}

static void plans_are_recorded_again(void **state)
{
    (void)state;
    load("-DFACTOR=2.0 -DWITH_OP");
    dr_plan *p = dr_plan_new("a test", 100);
    for (int version = 2; version < 6; version++) { /* with the op composed, and with a kernel for it */
        char options[128];
        snprintf(options, sizeof options, "-DFACTOR=%d.0 -DWITH_OP %s", version, version % 2 ? "-DWITH_KERNEL" : "");
        if (version > 2) assert_false(reload(options).unmapped);
        for (int i = 0; i < 5; i++) assert_true(run_plan(p) == 2.0 * version);
        assert_true(dr_plan_look(p).replays);
    }
    refused("-DFACTOR=9.0 -DWITH_OP -DWITH_KERNEL -DREFUSES", "needs another day");
    for (int i = 0; i < 5; i++) assert_true(run_plan(p) == 10.0);
    dr_plan_free(p);
}

static void a_graph_that_is_open_goes_back_through_the_ops_that_made_it(void **state)
{
    (void)state;
    load("-DFACTOR=2.0 -DWITH_OP");
    dr_scope_open();
    dr_tensor *x = dr_requires_grad(dr_tensor_full(DR_F32, DR_SHAPE(1), 1.0), true);
    dr_tensor *y = dr_apply1("changing_op", &x, 1, &(dr_none_attr){ 0 });
    const dr_reloaded r = reload("-DFACTOR=3.0 -DWITH_OP");
    assert_false(r.unmapped);
    assert_int_equal(dr_backward(y, NULL), DR_OK);
    assert_true(dr_tensor_item(dr_grad(x)) == 2.0);
    dr_scope_close();
}

static dr_status reload_within(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n)
{
    (void)ctx, (void)in, (void)out;
    dr_reloaded r;
    *n = 0;
    return dr_plugin_reload(number(), &r);
}

static void within_a_step_it_is_refused(void **state)
{
    (void)state;
    load("");
    dr_plan *p = dr_plan_new("a test", 100);
    dr_plan_call c = { .fn = reload_within };
    dr_tensor *out[DR_PLAN_OUTPUTS];
    int n;
    assert_int_not_equal(dr_plan_run(p, &c, out, &n), DR_OK);
    assert_error_has("plugin changing: it is reloaded between steps, and not within the function of a plan");
    dr_plan_free(p);
    reload("");
}

/* ---- names, and what cannot be reloaded -------------------------------------------------------------------------- */

static void a_plugin_is_found_by_its_file_its_name_and_its_components(void **state)
{
    (void)state;
    load("");
    const int64_t i = number();
    assert_int_equal(dr_plugin_find("./changing.so"), i);
    assert_int_equal(dr_plugin_find(".//changing.so"), i);
    assert_int_equal(dr_plugin_find("changing_sampler"), i);
    assert_int_equal(dr_plugin_find("sampler.changing_sampler"), i);
    assert_int_equal(dr_plugin_find("chnging"), -1);
    assert_error_has("did you mean 'changing'?");
    assert_int_equal(dr_plugin_find("./else.so"), -1);
    assert_error_has("no file of that name was loaded");
}

static void devices_and_the_core_are_not_reloaded(void **state)
{
    (void)state;
    dr_reloaded r;
    assert_int_not_equal(dr_plugin_reload(dr_plugin_find("backend.ref"), &r), DR_OK);
    assert_error_has("is a device");
    assert_int_not_equal(dr_plugin_reload(0, &r), DR_OK);
    assert_error_has("core is part of the program");
    assert_int_not_equal(dr_plugin_reload(10000, &r), DR_OK);
    assert_error_has("no such plugin");
}

/* ---- many reloads ------------------------------------------------------------------------------------------------ */

static int copies_mapped(void)
{
    char line[4096];
    int n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f)) n += strstr(line, ".reload") && strstr(line, "r-xp");
    if (f) fclose(f);
    return n;
}

static size_t heap(void) { return mallinfo2().uordblks; } /* 0 where a sanitizer has the heap: it reports leaks itself */

static void two_hundred_reloads_leave_one_library_and_no_memory(void **state)
{
    (void)state;
    load("-DFACTOR=2.0");
    net n = network();
    dr_instance *process = dr_instance_new("process", "changing_process", DR_NO_ARGS);
    const double before = of_ones(n.pair);
    size_t early = 0, tensors_early = 0, tensors = 0;
    for (int i = 0; i < 200; i++) {
        dr_reloaded r;
        if (dr_plugin_reload(number(), &r) != DR_OK) fail_msg("%s", dr_error_message());
        assert_true(r.unmapped);
        assert_true(of_ones(n.pair) == before);
        dr_device_memory(dr_device_current(), &tensors, NULL, NULL);
        if (i == 99) early = heap(), tensors_early = tensors;
    }
    assert_int_equal(copies_mapped(), 1);
    assert_int_equal(tensors, tensors_early);
    assert_true(heap() < early + 100 * 100); /* what malloc keeps in its caches of sizes grows a little, most at first */
    dr_instance_free(process);
    dr_module_free(n.root);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_block_has_its_new_code_and_its_old_weights),
        TEST(the_module_of_another_plugin_around_it_stays),
        TEST(children_may_be_declared_in_another_order),
        TEST(a_frozen_weight_stays_frozen_and_a_gradient_stays),
        TEST(what_create_writes_to_weights_does_not_count),
        TEST(parameters_that_were_given_stay_and_defaults_are_the_new_ones),
        TEST(what_does_not_fit_is_refused_and_says_where),
        TEST(a_file_that_is_no_plugin_or_cut_short_is_refused),
        TEST(instances_are_made_anew_where_they_are),
        TEST(what_holds_a_component_of_it_is_made_anew_too),
        TEST(an_optimizer_keeps_its_state),
        TEST(a_loader_reads_the_new_data_from_the_next_batch_on),
        TEST(a_metrics_samples_are_lost_and_nothing_is_made_of_the_rest),
        TEST(a_model_samples_with_the_new_sampler_guidance_and_process),
        TEST(plans_are_recorded_again),
        TEST(a_graph_that_is_open_goes_back_through_the_ops_that_made_it),
        TEST(within_a_step_it_is_refused),
        TEST(a_plugin_is_found_by_its_file_its_name_and_its_components),
        TEST(devices_and_the_core_are_not_reloaded),
        TEST(two_hundred_reloads_leave_one_library_and_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
