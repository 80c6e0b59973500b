/* Every view of the registry: exactly inverted, linear, orthogonal, the same for every channel and every image of a
 * batch, at odd sizes and in half precision as well; and what each shows of a small image. */
#include "views.h"
#include "walk.h"

#include <math.h>

enum { SHAPES = 5 };
typedef struct view_case {
    const char *name;
    dr_args args;
    int64_t shape[SHAPES][4]; /* 0: no more */
} view_case;

#define ANY_SHAPE \
    { \
        { 2, 3, 8, 8 }, { 1, 1, 5, 7 }, { 3, 6, 7, 7 }, { 1, 2, 1, 1 }, { 1, 3, 1, 4 } \
    }
#define ARG(...) \
    { \
        (const dr_arg[]){ __VA_ARGS__ }, sizeof((const dr_arg[]){ __VA_ARGS__ }) / sizeof(dr_arg) \
    }
#define FN(name_, fn_) \
    { \
        .name = name_, .type = DR_PARAM_FUNCTION, .fn = (dr_function)(fn_) \
    }

static int64_t next_in_row(int64_t row, int64_t column, int64_t H, int64_t W)
{
    (void)H;
    return row * W + (column + 1) % W;
}

static dr_tensor *negative(dr_tensor *x) { return dr_scale(-1.0, x); }

static const view_case cases[] = {
    { "identity", { 0 }, ANY_SHAPE },
    { "flip", ARG(DR_S("axis", "rows")), ANY_SHAPE },
    { "flip", ARG(DR_S("axis", "columns")), ANY_SHAPE },
    { "rotate", ARG(DR_I("degrees", 90)), ANY_SHAPE },
    { "rotate", ARG(DR_I("degrees", 180)), ANY_SHAPE },
    { "rotate", ARG(DR_I("degrees", 270)), ANY_SHAPE },
    { "negate", { 0 }, ANY_SHAPE },
    { "negate", ARG(DR_R("about", 0.5)), ANY_SHAPE },
    { "jigsaw", ARG(DR_I("pieces", 4), DR_I("seed", 3)), { { 2, 3, 8, 8 }, { 1, 1, 12, 20 } } },
    { "jigsaw", ARG(DR_I("pieces", 7)), { { 2, 1, 28, 28 }, { 1, 3, 7, 7 } } },
    { "jigsaw", ARG(DR_I("pieces", 1)), ANY_SHAPE },
    { "permutation", ARG(FN("from", next_in_row)), ANY_SHAPE },
    { "inner_circle", ARG(DR_I("degrees", 180)), ANY_SHAPE },
    { "inner_circle", ARG(DR_I("degrees", 90)), { { 2, 3, 8, 8 }, { 1, 1, 5, 7 }, { 3, 6, 7, 7 }, { 1, 1, 9, 3 } } },
    { "inner_circle", ARG(DR_I("degrees", 270), DR_R("radius", 0.6)), { { 2, 3, 8, 8 }, { 3, 6, 7, 7 } } },
    { "custom", ARG(FN("apply", negative), FN("invert", negative)), ANY_SHAPE },
};

static void views_are_linear_orthogonal_and_exactly_inverted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dr_instance *v = dr_instance_new("view", cases[i].name, cases[i].args);
        if (!v) fail_msg("view %s: %s", cases[i].name, dr_error_message());
        for (int k = 0; k < SHAPES && cases[i].shape[k][0] > 0; k++) {
            print_message("    %s %lld x %lld\n", cases[i].name, (long long)cases[i].shape[k][2],
                          (long long)cases[i].shape[k][3]);
            view_expect_at(v, cases[i].shape[k]);
        }
        dr_instance_free(v);
    }
}

static void views_are_so_with_their_defaults(void **state)
{
    (void)state;
    every("view", 7, "is linear, orthogonal and exactly inverted");
}

static void is_in_the_table(const dr_component *c)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].name, c->name) == 0) return;
    }
    fail_msg("view %s has no case in this test", c->name);
}

static void no_view_is_left_out(void **state)
{
    (void)state;
    for_each("view", 8, is_in_the_table);
}

/* ---- what they show --------------------------------------------------------------------------------------------- */

static void shows(const char *name, dr_args args, int64_t H, int64_t W, const float *image, int64_t H2, int64_t W2,
                  const float *seen)
{
    dr_instance *v = dr_instance_new("view", name, args);
    if (!v) fail_msg("view %s: %s", name, dr_error_message());
    dr_tensor *y = dr_image_view_apply(v, dr_tensor_from(DR_F32, DR_SHAPE(1, 1, H, W), image));
    if (max_difference(y, dr_tensor_from(DR_F32, DR_SHAPE(1, 1, H2, W2), seen)) != 0.0)
        fail_msg("view %s shows something else", name);
    dr_instance_free(v);
}

#define PIXELS(...) ((const float[]){ __VA_ARGS__ })

static void views_show_what_they_say(void **state)
{
    (void)state;
    const float *image = PIXELS(1, 2, 3, 4, 5, 6);
    shows("flip", DR_ARGS(DR_S("axis", "rows")), 2, 3, image, 2, 3, PIXELS(4, 5, 6, 1, 2, 3));
    shows("flip", DR_ARGS(DR_S("axis", "columns")), 2, 3, image, 2, 3, PIXELS(3, 2, 1, 6, 5, 4));
    shows("rotate", DR_ARGS(DR_I("degrees", 90)), 2, 3, image, 3, 2, PIXELS(3, 6, 2, 5, 1, 4)); /* as torch.rot90 */
    shows("rotate", DR_ARGS(DR_I("degrees", 180)), 2, 3, image, 2, 3, PIXELS(6, 5, 4, 3, 2, 1));
    shows("rotate", DR_ARGS(DR_I("degrees", 270)), 2, 3, image, 3, 2, PIXELS(4, 1, 5, 2, 6, 3));
    shows("negate", DR_NO_ARGS, 2, 3, image, 2, 3, PIXELS(-1, -2, -3, -4, -5, -6));
    shows("permutation", DR_ARGS(FN("from", next_in_row)), 2, 3, image, 2, 3, PIXELS(2, 3, 1, 5, 6, 4));
    const float *square = PIXELS(1, 2, 3, 4, 5, 6, 7, 8, 9);
    shows("inner_circle", DR_ARGS(DR_I("degrees", 90), DR_R("radius", 0.7)), 3, 3, square, 3, 3,
          PIXELS(1, 6, 3, 2, 5, 8, 7, 4, 9));
    shows("inner_circle", DR_ARGS(DR_I("degrees", 270), DR_R("radius", 0)), 3, 3, square, 3, 3, square);
}

/* An order of 2 x 2 moves the quarters of a larger image; that of a list is of a square. */
static void an_order_of_pixels_moves_blocks_of_larger_images(void **state)
{
    (void)state;
    dr_tensor *order = dr_tensor_from(DR_I32, DR_SHAPE(4), (int32_t[]){ 1, 3, 0, 2 });
    dr_tensor *flat = dr_tensor_from(DR_I32, DR_SHAPE(1, 2), (int32_t[]){ 1, 0 });
    shows("permutation", DR_ARGS(DR_T("order", order)), 2, 2, PIXELS(1, 2, 3, 4), 2, 2, PIXELS(2, 4, 1, 3));
    shows("permutation", DR_ARGS(DR_T("order", order)), 2, 4, PIXELS(1, 2, 3, 4, 5, 6, 7, 8), 2, 4,
          PIXELS(3, 4, 7, 8, 1, 2, 5, 6));
    shows("permutation", DR_ARGS(DR_T("order", flat)), 2, 2, PIXELS(1, 2, 3, 4), 2, 2, PIXELS(2, 1, 4, 3));
}

/* Each piece is somewhere, whole; other seeds are other puzzles, the same seed the same at any size. */
static void a_jigsaw_is_a_permutation_of_its_pieces(void **state)
{
    (void)state;
    dr_tensor *seen[3];
    float piece[16], found[16];
    for (int i = 0; i < 16; i++) piece[i] = (float)i;
    for (int i = 0; i < 3; i++) {
        dr_instance *v = dr_instance_new("view", "jigsaw", DR_ARGS(DR_I("pieces", 4), DR_I("seed", i == 2)));
        dr_tensor *x = dr_tensor_from(DR_F32, DR_SHAPE(1, 1, 4, 4), piece);
        if (i == 1) x = dr_resize(x, 0, 12, 12, 0); /* nearest: pieces of 3 x 3 */
        seen[i] = dr_image_view_apply(v, x);
        dr_instance_free(v);
    }
    assert_true(max_difference(dr_resize(seen[0], 0, 12, 12, 0), seen[1]) == 0.0);
    assert_true(max_difference(seen[0], seen[2]) > 0.0);
    assert_int_equal(dr_tensor_read(seen[0], DR_F32, found), DR_OK);
    int moved = 0, times[16] = { 0 };
    for (int i = 0; i < 16; i++) times[(int)found[i]]++, moved += found[i] != piece[i];
    for (int i = 0; i < 16; i++) assert_int_equal(times[i], 1);
    assert_true(moved > 8);
}

static void what_is_no_view_is_refused(void **state)
{
    (void)state;
    assert_null(dr_instance_new("view", "rotate", DR_ARGS(DR_I("degrees", 91))));
    assert_error_has("view rotate: degrees = 91");
    assert_null(dr_instance_new("view", "custom", DR_ARGS(FN("apply", negative))));
    assert_error_has("view custom: invert is required");
    assert_null(dr_instance_new("view", "permutation", DR_NO_ARGS));
    assert_error_has("needs order or from");
    static const int32_t wrong[][4] = { { 0, 1, 1, 2 }, { 0, 1, 2, 4 }, { -1, 0, 1, 2 } };
    static const char *const why[] = { "pixel 1 is taken twice", "outside [0, 3]", "outside [0, 3]" };
    for (int i = 0; i < 3; i++) {
        assert_null(dr_instance_new("view", "permutation",
                                    DR_ARGS(DR_T("order", dr_tensor_from(DR_I32, DR_SHAPE(4), wrong[i])))));
        assert_error_has(why[i]);
    }
    assert_null(
        dr_instance_new("view", "permutation", DR_ARGS(DR_T("order", dr_tensor_from(DR_I32, DR_SHAPE(3), wrong[0])))));
    assert_error_has("of a square image");
    dr_instance *v = dr_instance_new("view", "jigsaw", DR_ARGS(DR_I("pieces", 4)));
    assert_null(dr_image_view_apply(v, noise(DR_F32, DR_SHAPE(1, 1, 8, 6), 1)));
    assert_error_has("view jigsaw: 8 x 6 pixels cannot be cut into 4 x 4 equal pieces");
    assert_null(dr_image_view_apply(v, noise(DR_F32, DR_SHAPE(8, 8), 1)));
    assert_error_has("takes images [B,C,H,W]");
    dr_instance_free(v);
    v = dr_instance_new("view", "inner_circle", DR_ARGS(DR_I("degrees", 90)));
    assert_null(dr_image_view_apply(v, noise(DR_F32, DR_SHAPE(1, 1, 8, 5), 1)));
    assert_error_has("view inner_circle: the middle of 8 x 5 pixels");
    dr_instance_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_linear_orthogonal_and_exactly_inverted),
        cmocka_unit_test(views_are_so_with_their_defaults),
        cmocka_unit_test(no_view_is_left_out),
        cmocka_unit_test(views_show_what_they_say),
        cmocka_unit_test(an_order_of_pixels_moves_blocks_of_larger_images),
        cmocka_unit_test(a_jigsaw_is_a_permutation_of_its_pieces),
        cmocka_unit_test(what_is_no_view_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
