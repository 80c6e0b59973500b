/* conv2d_winograd_sides.c: the two sides of a convolution (see the header). For a kernel of k and stride s, in terms of
 * q, the position on the coarse grid, and u, one of the ceil(k / s) taps that are left:
 *   gather   small[q] = sum over u, phases f of large[(q + u) s + f - p] w[u s + f]
 *   spread   large[q s + f - p] = sum over u of small[q - u] w[u s + f] */
#include "conv2d_winograd_sides.h"

static int64_t taps_of(const conv_shape *s) { return (s->k + s->stride - 1) / s->stride; }

/* The form's place in dr_winograd_forms */
static int form_of(const conv_shape *s, int form)
{
    static const int forms[2][DR_WINOGRAD_FORMS] = { { FORM_42, FORM_32 }, { FORM_43, FORM_23 } };
    return forms[taps_of(s) == 3][form];
}

bool dr_winograd_suits(const conv_shape *s, int form)
{
    if (s->bias_dtype != DR_F32) return false;
    if (s->k > 4 || s->stride > 2 || !(taps_of(s) == 3 || (taps_of(s) == 2 && s->stride == 2))) return false;
    return form == 1 || dr_min64(s->Ho, s->Wo) >= dr_winograd_forms[form_of(s, form)].tile;
}

static winograd_conv common(const conv_shape *s, int form)
{
    const int chosen = form_of(s, form);
    const winograd_form *f = &dr_winograd_forms[chosen];
    return (winograd_conv){
        .form = chosen, .type = s->dtype, .weight_type = s->weight_dtype, .points = f->points, .tile = f->tile,
        .taps = f->taps, .B = s->B,
        .stride = s->stride, .k = s->k, .act = s->act, .add_rows = s->add_rows, .add = s->add
    };
}

static winograd_side side(dr_winograd_image image, int64_t H, int64_t W, int64_t C, int64_t step, int64_t before)
{
    return (winograd_side){ .data = image.data,
                            .H = H,
                            .W = W,
                            .C = C,
                            .pitch = image.pitch,
                            .step = step,
                            .before = before,
                            .phases = step * step };
}

static void complete(winograd_conv *w)
{
    w->tiles_h = (w->grid_h + w->tile - 1) / w->tile;
    w->tiles_w = (w->grid_w + w->tile - 1) / w->tile;
    w->tiles = w->B * w->tiles_h * w->tiles_w;
    const int64_t whole = (w->in.C + LANES - 1) / LANES * LANES;
    w->in.padded = w->in.phases > 1 ? whole : w->in.C;
    w->K = w->in.phases * w->in.padded;
    w->pitch_k = w->in.phases * whole;
    w->out.padded = (w->out.C + PANEL - 1) / PANEL * PANEL;
    w->panels = w->out.phases * w->out.padded / PANEL;
}

winograd_conv dr_winograd_gathering(const conv_shape *s, int form, dr_winograd_image large, dr_winograd_image small)
{
    winograd_conv w = common(s, form);
    w.in = side(large, s->H, s->W, s->Ci, s->stride, s->padding);
    w.out = side(small, s->Ho, s->Wo, s->Co, 1, 0);
    w.grid_h = s->Ho;
    w.grid_w = s->Wo;
    w.weight_in = s->k * s->k;
    w.weight_out = s->Ci * s->k * s->k;
    complete(&w);
    return w;
}

winograd_conv dr_winograd_spreading(const conv_shape *s, int form, dr_winograd_image small, dr_winograd_image large)
{
    winograd_conv w = common(s, form);
    const int64_t first = s->padding / s->stride; /* positions before it reach no pixel */
    w.spread = true;
    w.in = side(small, s->Ho, s->Wo, s->Co, 1, w.taps - 1 - first);
    w.out = side(large, s->H, s->W, s->Ci, s->stride, s->padding - first * s->stride);
    w.grid_h = (s->H - 1 + s->padding) / s->stride + 1 - first;
    w.grid_w = (s->W - 1 + s->padding) / s->stride + 1 - first;
    w.weight_in = s->Ci * s->k * s->k;
    w.weight_out = s->k * s->k;
    complete(&w);
    return w;
}

void dr_winograd_taps(const winograd_conv *w, int64_t in_phase, int64_t out_phase, int64_t *place)
{
    const int64_t phase = w->spread ? out_phase : in_phase;
    for (int64_t i = 0; i < w->taps; i++)
        for (int64_t j = 0; j < w->taps; j++) {
            const int64_t ky = w->stride * (w->spread ? w->taps - 1 - i : i) + phase / w->stride;
            const int64_t kx = w->stride * (w->spread ? w->taps - 1 - j : j) + phase % w->stride;
            place[i * w->taps + j] = ky < w->k && kx < w->k ? ky * w->k + kx : -1;
        }
}

void dr_winograd_pixels(const winograd_conv *w, const winograd_side *side, int64_t t, int64_t phase, int64_t n,
                        void *outside, void **pixel)
{
    const int64_t b = t / (w->tiles_h * w->tiles_w), in_image = t % (w->tiles_h * w->tiles_w);
    const int64_t top = in_image / w->tiles_w * w->tile * side->step + phase / side->step - side->before;
    const int64_t left = in_image % w->tiles_w * w->tile * side->step + phase % side->step - side->before;
    const int64_t pitch = side->pitch * (w->type == DR_BF16 ? 2 : 4); /* in bytes */
    char *image = (char *)side->data + b * side->H * side->W * pitch;
    for (int64_t i = 0; i < n; i++) {
        const int64_t y = top + i * side->step;
        const bool row = y >= 0 && y < side->H;
        for (int64_t j = 0; j < n; j++) {
            const int64_t x = left + j * side->step;
            pixel[i * n + j] = row && x >= 0 && x < side->W ? image + (y * side->W + x) * pitch : outside;
        }
    }
}

/* The products, and 24 multiplications' time for each number that is transformed. */
double dr_winograd_cost(const conv_shape *s, int form, bool spread)
{
    const dr_winograd_image none = { NULL, 0 };
    const winograd_conv w =
        spread ? dr_winograd_spreading(s, form, none, none) : dr_winograd_gathering(s, form, none, none);
    const double outputs = (double)(w.panels * PANEL), inputs = (double)w.pitch_k;
    return (double)(w.tiles * w.points * w.points) * (inputs * outputs + 24.0 * (inputs + outputs));
}
