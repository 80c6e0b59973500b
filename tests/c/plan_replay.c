/* Plans from C: memory shared by lifetime never holds two things at once; what is replayed passes dr_launch_kernel and
 * its hook; the device's numbers count a plan's memory; work of the host is done again with each replay. */
#include "../host.h"
#include "plan.h"

#include <math.h>
#include <stdlib.h>

/* ---- laying the arena ------------------------------------------------------------------------------------------- */

enum { SLOTS = 120, EVENTS = 200 };

static uint32_t random_number(uint32_t *state) { return *state = *state * 1664525u + 1013904223u; }

/* An event that reads slot a and writes slot b. */
static dr_event event_of(int32_t a, int32_t b)
{
    dr_event e = { .kind = EVENT_LAUNCH, .n_in = 1, .n_out = 1 };
    e.view = calloc(3, sizeof *e.view);
    e.where = calloc(3, sizeof *e.where);
    e.where[0].slot = a;
    e.where[1].slot = b;
    return e;
}

static bool together(const dr_slot *a, const dr_slot *b) { return a->first <= b->last && b->first <= a->last; }

static bool overlap(const dr_slot *a, const dr_slot *b)
{
    return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

/* What lasts is there at all times; the rest from its first event to its last one. */
static void check_layout(const dr_recording *r, size_t bytes)
{
    for (int32_t i = 0; i < r->slots; i++) {
        const dr_slot *a = &r->slot[i];
        if (a->kind != SLOT_INNER || a->first < 0) continue;
        assert_true(a->offset % (a->bytes < 1 << 20 ? 64 : 4096) == 0);
        assert_true(a->offset + a->bytes <= bytes);
        for (int32_t k = 0; k < i; k++) {
            const dr_slot *b = &r->slot[k];
            if (b->kind != SLOT_INNER || b->first < 0) continue;
            if (a->lasts || b->lasts || together(a, b)) assert_false(overlap(a, b));
        }
    }
}

static void memory_is_shared_by_what_is_not_there_together(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        uint32_t random = seed;
        dr_recording *r = calloc(1, sizeof *r);
        r->event = calloc(EVENTS, sizeof *r->event);
        r->slot = calloc(SLOTS, sizeof *r->slot);
        r->slots = SLOTS;
        size_t sum = 0;
        for (int32_t i = 0; i < SLOTS; i++) {
            r->slot[i].bytes = 1 + random_number(&random) % (seed % 2 ? 3u << 20 : 5000u);
            r->slot[i].kind = i == 0 ? SLOT_INPUT : i == 1 ? SLOT_OUTER : SLOT_INNER;
            if (i > 1) sum += r->slot[i].bytes;
        }
        for (int64_t i = 0; i < EVENTS; i++) { /* reads what is not long gone, writes the next */
            const int32_t at = 2 + (int32_t)(i * (SLOTS - 2) / EVENTS), back = (int32_t)(random_number(&random) % 9);
            const int32_t from = random_number(&random) % 8 == 0 ? (int32_t)(random_number(&random) % 2) : at - back;
            r->event[r->events++] = event_of(from < 0 ? 1 : from, at);
        }
        const size_t bytes = dr_lay_arena(r, seed % 3 == 0);
        check_layout(r, bytes);
        assert_true(bytes < sum / 2);
        dr_recording_free(r);
    }
}

/* ---- replaying -------------------------------------------------------------------------------------------------- */

typedef struct step {
    dr_tensor *weight; /* [3] */
    int64_t runs, host;
} step;

static dr_status count(void *ctx, const void *data)
{
    (void)data;
    ((step *)ctx)->host++;
    return DR_OK;
}

/* weight += x;  gives 2 exp(weight) + 1 */
static dr_status run(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    step *s = ctx;
    s->runs++;
    dr_assign(s->weight, dr_add(s->weight, in[0]));
    out[0] = dr_retain(dr_affine(2.0, dr_exp(s->weight), 1.0));
    *n_out = 1;
    dr_plan_host(count, s, NULL, 0);
    s->host++;
    return dr_failed();
}

static void count_launch(void *ctx, const dr_launch *l, double start, double seconds)
{
    assert_true(start > 0.0);
    assert_non_null(l->args.op);
    assert_true(seconds >= 0.0);
    ++*(int64_t *)ctx;
}

static float call(dr_plan *p, step *s, float value)
{
    float x[3] = { value, value, value }, y[3];
    dr_tensor *in[1], *out[DR_PLAN_OUTPUTS];
    int n;
    dr_scope_open();
    in[0] = dr_tensor_from(DR_F32, DR_SHAPE(3), x);
    dr_plan_call c = { .fn = run, .ctx = s, .in = in, .n_in = 1 };
    assert_int_equal(dr_plan_run(p, &c, out, &n), DR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(dr_tensor_read(out[0], DR_F32, y), DR_OK);
    dr_release(out[0]);
    dr_scope_close();
    return y[1];
}

static void a_replay_is_the_function_again(void **state)
{
    (void)state;
    const float zero[3] = { 0 };
    step s = { .weight = dr_keep(dr_tensor_from(DR_F32, DR_SHAPE(3), zero)) };
    dr_plan *p = dr_plan_new("a step", 6);
    int64_t launches = 0;
    double weight = 0.0;
    size_t before, with;
    dr_device_memory(dr_device_current(), &before, NULL, NULL);
    for (int i = 1; i <= 20; i++) {
        launches = 0;
        dr_set_launch_hook(count_launch, &launches);
        const float y = call(p, &s, 0.01f * (float)i), expected = (float)(2.0 * exp(weight += 0.01 * i) + 1.0);
        dr_set_launch_hook(NULL, NULL);
        assert_true(fabsf(y - expected) < 1e-4f * expected);
        assert_int_equal(launches, 4);
        assert_int_equal(s.host, i);
    }
    assert_int_equal(s.runs, 4); /* once, two recordings, one check */
    const dr_plan_state now = dr_plan_look(p);
    assert_true(now.replays);
    assert_int_equal(now.replayed, 16);
    assert_int_equal(now.checked, 1);
    assert_int_equal(now.launches, 4);
    assert_int_equal(now.once, 0);
    dr_device_memory(dr_device_current(), &with, NULL, NULL);
    assert_true(with >= before + now.arena);
    dr_plan_check(p); /* gives the arena back */
    dr_device_memory(dr_device_current(), &with, NULL, NULL);
    assert_true(with < before + now.arena + 256);
    dr_plan_free(p);
    dr_release(s.weight);
    dr_device_memory(dr_device_current(), &with, NULL, NULL);
    assert_true(with < before); /* all is given back, the weight too */
}

static dr_status refuse(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    (void)in, (void)out, (void)n_out;
    return ++*(int *)ctx == 2 ? dr_fail(DR_EINVAL, "no") : DR_OK;
}

static void a_failure_is_told_and_forgotten(void **state)
{
    (void)state;
    dr_plan *p = dr_plan_new("a step", 6);
    dr_tensor *out[DR_PLAN_OUTPUTS];
    int calls = 0, n;
    dr_plan_call c = { .fn = refuse, .ctx = &calls };
    assert_int_equal(dr_plan_run(p, &c, out, &n), DR_OK);
    assert_int_equal(dr_plan_run(p, &c, out, &n), DR_EINVAL);
    assert_error_has("no");
    assert_false(dr_plan_recording());
    for (int i = 0; i < 4; i++) assert_int_equal(dr_plan_run(p, &c, out, &n), DR_OK);
    assert_int_equal(calls, 6); /* there is nothing in it to replay */
    assert_false(dr_plan_look(p).replays);
    dr_plan_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_shared_by_what_is_not_there_together),
        cmocka_unit_test(a_replay_is_the_function_again),
        cmocka_unit_test(a_failure_is_told_and_forgotten),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
