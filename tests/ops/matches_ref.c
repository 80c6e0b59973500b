/* matches_ref.c: every case on a device in f32, forward and gradients, against ref in f64 on the same numbers. */
#include "matches_ref.h"
#include "../host.h"

#include <math.h>
#include <stdio.h>

static bool is_in_part(const char *label, const char *part) /* "2/8" */
{
    unsigned which, of, hash = 2166136261u;
    if (sscanf(part, "%u/%u", &which, &of) != 2 || of == 0) return false;
    for (; *label; label++) hash = (hash ^ (unsigned char)*label) * 16777619u;
    return hash % of == which % of;
}

bool case_is_picked(const op_case *c)
{
    const char *words = getenv("DRIFT_CASES");
    bool named = false, any_names = false;
    while (words && *words) {
        const size_t length = strcspn(words, ",");
        char word[160];
        snprintf(word, sizeof word, "%.*s", (int)length, words);
        words += length + (words[length] == ',');
        if (strchr(word, '/')) {
            if (!is_in_part(c->label, word)) return false;
        } else if (length > 0) {
            any_names = true;
            named = named || strstr(c->label, word);
        }
    }
    return named || !any_names;
}

/* ---- one case ---------------------------------------------------------------------------------------------------- */

static int compare(const op_case *c, const char *how, const char *what, int i, const double *got, const double *want,
                   int64_t n, bool whole)
{
    if (!got && !want) return 0;
    if (!got || !want) {
        print_error("%s, %s: %s %d is there on one device only\n", c->label, how, what, i + 1);
        return 1;
    }
    const double allowed = whole ? 0.0 : f32_allowance(c, want, n);
    const double off = difference(got, want, n);
    if (off <= allowed) return 0;
    int64_t at = 0;
    for (int64_t k = 0; k < n; k++) {
        if (!(fabs(got[k] - want[k]) <= allowed)) {
            at = k;
            break;
        }
    }
    print_error("%s, %s: %s %d differs by %.3g (allowed %.3g): element %lld is %.9g, should be %.9g\n", c->label, how,
                what, i + 1, off, allowed, (long long)at, got[at], want[at]);
    return 1;
}

case_run f32_on(dr_device *device, dr_layout layout, uint32_t need)
{
    return (case_run){ .device = device, .dtype = DR_F32, .layout = layout, .need = need, .nudged = -1 };
}

int f32_case_differs(const op_case *c, const case_run *run, const case_result *want)
{
    char how[64];
    snprintf(how, sizeof how, "%s %s%s", dr_device_name(run->device),
             run->layout == DR_LAYOUT_CL ? "channels-last" : "row-major",
             run->joined ? ", parts of joined images" : run->holes ? ", views with holes" : "");
    case_result got;
    int failed = 0;
    if (!run_case(c, run, &got)) {
        print_error("%s, %s: %s\n", c->label, how, dr_error_message());
        dr_error_clear();
        free_result(&got);
        return 1;
    }
    for (int j = 0; j < want->n_out && failed == 0; j++) {
        const int32_t dtype = want->view[j].dtype;
        const bool whole = dtype == DR_I32 || dtype == DR_I64 || dtype == DR_U8 || dtype == DR_BOOL ||
                           dtype == DR_BF16 || dtype == DR_F16;
        failed += compare(c, how, "output", j, got.out[j], want->out[j], view_count(&want->view[j]), whole);
    }
    for (int i = 0; i < c->n_in && failed == 0; i++) {
        failed += compare(c, how, "gradient", i, got.grad[i], want->grad[i], input_count(&c->in[i]), false);
    }
    free_result(&got);
    return failed;
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static bool has_images(const op_case *c)
{
    for (int i = 0; i < c->n_in; i++) {
        if (c->in[i].values != ABSENT && c->in[i].rank == 4) return true;
    }
    return false;
}

static bool needs_dense(const op_case *c) /* steps in place; fill and assign take any view */
{
    return op_of(c) && (op_of(c)->flags & DR_OP_MUTATES) && strcmp(c->op, "fill") != 0 && strcmp(c->op, "assign") != 0;
}

void cases_match_in_f32(case_run run)
{
    int failed = 0, checked = 0;
    for (int k = 0; k < op_case_count(); k++) {
        const op_case *c = op_case_at(k);
        if (!case_is_picked(c) || (run.layout == DR_LAYOUT_CL && !has_images(c))) continue;
        if (run.holes && needs_dense(c)) continue;
        checked++;
        const case_run exact = {
            .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_ROW, .need = run.need, .nudged = -1
        };
        case_result want;
        if (!run_case(c, &exact, &want)) {
            print_error("%s, ref: %s\n", c->label, dr_error_message());
            dr_error_clear();
            failed++;
        } else {
            failed += f32_case_differs(c, &run, &want);
        }
        free_result(&want);
    }
    assert_true(checked > 0 || getenv("DRIFT_CASES"));
    assert_int_equal(failed, 0);
}

/* Every other input, then those between, then all. */
void cases_with_holes_match_in_f32(dr_device *device, bool joined)
{
    const uint32_t which[] = { 0x55555555u, 0xaaaaaaaau, ~0u };
    for (int k = 0; k < 6; k++) {
        case_run run = f32_on(device, k % 2 ? DR_LAYOUT_ROW : DR_LAYOUT_CL, ~0u);
        run.holes = which[k / 2];
        run.joined = joined;
        cases_match_in_f32(run);
    }
}

/* A composed form would hide a kernel that is missing. */
void has_kernels_wherever_ref_has(dr_device *device)
{
    int failed = 0;
    const dr_component *component;
    for (int64_t i = 0; (component = next_op(&i));) {
        if (!dr_device_kernel(ref, component->name, DR_F32) || dr_device_kernel(device, component->name, DR_F32)) continue;
        print_error("%s: ref has a kernel for it, %s has none\n", component->name, dr_device_name(device));
        failed++;
    }
    assert_int_equal(failed, 0);
}
