/* Components written in Lua have the life of their Lua state: they come when the file is run, and go with the state, even
 * where the file fails half way; what was made of them and is left then fails, and calls nothing. They run on the thread of
 * the script alone. */
#include "../host.h"

#include "bind.h"
#include "registry.h"

#include <pthread.h>
#include <string.h>

static const char FILE_TEXT[] =
    "local drift = require 'drift'\n"
    "drift.define.schedule { name = 'lua_flat', doc = 'the same', params = { { 'b', 'real', default = 0.25, min = 0, max = 1 } },\n"
    "  beta = function(self, i, T) self.calls = (self.calls or 0) + 1 return self.b end }\n"
    "drift.define.view { name = 'lua_plain', doc = 'as it is', create = function(self) self.made = true end,\n"
    "  destroy = function(self) assert(self.made) end, apply = function(_, x) return x + 1 end, invert = function(_, x) return x - 1 end }\n"
    "drift.define.block { name = 'lua_scaled', doc = 'scaled', example = '2,3', example_args = { by = 3 },\n"
    "  params = { { 'by', 'real', default = 2, min = -10, max = 10 } },\n"
    "  create = function(self, b) self.w = b:weight('w', { 1 }, self.by); self.c = b:child('c', drift.block.linear { in_features = 3, out_features = 3 }) end,\n"
    "  forward = function(self, x) return self.c(x) * self.w end }\n";

static void write_file(const char *path, const char *text, const char *more)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fputs(more, f);
    fclose(f);
}

static dr_instance *instance(const char *kind, const char *name)
{
    dr_instance *i = dr_instance_new(kind, name, DR_NO_ARGS);
    assert_string_equal(dr_error_message(), "");
    assert_non_null(i);
    return i;
}

static double beta(dr_instance *i) { return dr_schedule_beta(i, 0, 10); }

static void come_and_go_with_their_state(void **state)
{
    (void)state;
    const int64_t components = dr_component_count(), plugins = dr_plugin_count();
    write_file("mine.lua", FILE_TEXT, "");
    assert_int_equal(bind_run_definitions("mine.lua"), DR_OK);
    assert_int_equal(dr_component_count(), components + 3);
    assert_int_equal(dr_plugin_count(), plugins + 1);
    const dr_component *c = dr_component_find("block", "lua_scaled");
    assert_string_equal(dr_component_plugin(c)->id, "mine");
    assert_string_equal(dr_component_plugin(c)->path, "mine.lua");
    const dr_block *api = c->iface;
    assert_string_equal(api->example, "2,3");
    assert_int_equal(api->example_args.n, 1);
    assert_true(api->example_args.v[0].type == DR_PARAM_REAL || api->example_args.v[0].i == 3);

    dr_instance *schedule = instance("schedule", "lua_flat"), *view = instance("view", "lua_plain"), *other = instance("view", "lua_plain");
    assert_true(beta(schedule) == 0.25);
    dr_scope_open();
    dr_module *m = dr_module_create(NULL, "net", "block", "lua_scaled", api->example_args);
    dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(2, 3), 1.0);
    assert_non_null(dr_module_forward(m, &x, 1));
    assert_int_equal(dr_module_named_count(m), 3);
    dr_instance_free(other);

    bind_close_definitions();
    assert_int_equal(dr_component_count(), components);
    assert_int_equal(dr_plugin_count(), plugins);
    assert_null(dr_component_find("block", "lua_scaled"));
    assert_error_has("there is no block 'lua_scaled'");
    assert_true(beta(schedule) == 0.0);
    assert_error_has("schedule lua_flat was defined by a Lua program that has ended");
    assert_null(dr_image_view_apply(view, x));
    assert_error_has("has ended");
    assert_null(dr_module_forward(m, &x, 1));
    assert_error_has("net: block lua_scaled was defined by a Lua program that has ended");
    dr_module_free(m);
    dr_scope_close();
    dr_instance_free(schedule);
    dr_instance_free(view);
    assert_int_equal(dr_failed(), DR_OK);
}

static void leave_nothing_where_their_file_fails(void **state)
{
    (void)state;
    const int64_t components = dr_component_count(), plugins = dr_plugin_count();
    static const struct { const char *more, *message; } wrong[] = {
        { "error 'half way'\n", "bad.lua:10: half way" },
        { "drift.define.block {\n", "bad.lua:" },
        { "drift.define.block { name = 'no_forward', doc = 'x' }\n", "bad.lua:10: block no_forward needs the function forward" },
        { "undeclared = 3\n", "'undeclared' is not declared" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_file("bad.lua", FILE_TEXT, wrong[i].more);
        assert_int_not_equal(bind_run_definitions("bad.lua"), DR_OK);
        assert_error_has(wrong[i].message);
        assert_int_equal(dr_component_count(), components);
        assert_int_equal(dr_plugin_count(), plugins);
    }
    write_file("bad.lua", "", "local x = 1\n");
    assert_int_not_equal(bind_run_definitions("bad.lua"), DR_OK);
    assert_error_has("bad.lua defines no component");
    assert_int_not_equal(bind_run_definitions("missing.lua"), DR_OK);
    assert_error_has("missing.lua");
}

static void *call_elsewhere(void *schedule)
{
    beta(schedule);
    static char message[512];
    snprintf(message, sizeof message, "%s", dr_error_message());
    return message;
}

static void run_on_the_threads_script_alone(void **state)
{
    (void)state;
    pthread_t thread;
    void *message;
    write_file("mine.lua", FILE_TEXT, "");
    assert_int_equal(bind_run_definitions("mine.lua"), DR_OK);
    dr_instance *schedule = instance("schedule", "lua_flat");
    assert_true(dr_component_has_one_thread(schedule->component));
    assert_false(dr_component_has_one_thread(dr_component_find("schedule", "linear")));
    assert_true(beta(schedule) == 0.25);
    assert_int_equal(pthread_create(&thread, NULL, call_elsewhere, schedule), 0);
    pthread_join(thread, &message);
    assert_non_null(strstr(message, "called from another thread"));
    assert_true(beta(schedule) == 0.25);
    dr_instance_free(schedule);
    bind_close_definitions();
}

typedef struct levels { dr_instance *level; } levels; /* images of a schedule's numbers */

static dr_status levels_info(void *self, dr_split split, dr_dataset_info *out)
{
    (void)self, (void)split;
    *out = (dr_dataset_info){ .n = 8, .channels = 1, .height = 1, .width = 1 };
    return DR_OK;
}

static dr_status levels_read(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    (void)split, (void)index;
    *label = 0;
    *image = (float)beta(((levels *)self)->level);
    return dr_failed();
}

static void are_parts_of_data_that_is_read_on_the_scripts_thread(void **state)
{
    static const dr_dataset api = { .size = sizeof api, .info = levels_info, .read = levels_read };
    static const dr_param params[] = { { .name = "level", .type = DR_PARAM_COMPONENT, .choices = "schedule:lua_flat",
                                         .doc = "the numbers" }, DR_END };
    static const dr_component component = { .size = sizeof component, .kind = "dataset/1", .name = "levels", .doc = "numbers",
                                            .params = params, .param_size = sizeof(dr_param),
                                            .self_size = sizeof(levels), .iface = &api };
    (void)state;
    write_file("mine.lua", FILE_TEXT, "");
    assert_int_equal(bind_run_definitions("mine.lua"), DR_OK);
    assert_int_equal(dr_registry_add(&component, dr_plugin_at(0)), DR_OK);
    dr_instance *data = instance("dataset", "levels");
    dr_loader *l = dr_loader_new(data, DR_TRAIN, 2, false, false, 1, 0);
    for (int64_t i = 0; i < 4; i++) { /* all but the first would be read ahead */
        dr_batch b;
        float x[2];
        dr_scope_open();
        assert_int_equal(dr_loader_read(l, 0, i, &b), DR_OK);
        assert_int_equal(dr_tensor_read(b.image, DR_F32, x), DR_OK);
        assert_true(x[0] == 0.25f && x[1] == 0.25f);
        dr_scope_close();
    }
    dr_loader_free(l);
    dr_instance_free(data);
    dr_registry_remove(&component);
    bind_close_definitions();
}

static void refuse_a_name_that_another_state_has(void **state)
{
    (void)state;
    write_file("mine.lua", FILE_TEXT, "");
    write_file("second.lua", FILE_TEXT, "");
    assert_int_equal(bind_run_definitions("mine.lua"), DR_OK);
    assert_int_not_equal(bind_run_definitions("second.lua"), DR_OK);
    assert_error_has("second.lua:2: schedule lua_flat: there is a schedule of that name already, of plugin mine");
    bind_close_definitions();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(come_and_go_with_their_state),
        cmocka_unit_test(leave_nothing_where_their_file_fails),
        cmocka_unit_test(run_on_the_threads_script_alone),
        cmocka_unit_test(are_parts_of_data_that_is_read_on_the_scripts_thread),
        cmocka_unit_test(refuse_a_name_that_another_state_has),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
