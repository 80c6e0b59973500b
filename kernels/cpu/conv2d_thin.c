/* conv2d_thin.c: convolutions with one channel on one side, where the k x k places of the kernel (at most 16) take the
 * part of the missing channels. "Places" below counts ky k + kx.
 *   forward to one channel: t[pixel][place] = x[pixel] . weight[place], then y sums t over the kernel's places
 *   weight gradient: the thin image is unfolded to k k channels, which leaves the gradient of a 1x1 convolution */
#include "conv2d_thin.h"
#include <string.h>

enum { PLACES = 16, PIXELS = 8 }; /* a vector; pixels whose sums are in registers together */

typedef float vec __attribute__((vector_size(64)));
typedef float vec_unaligned __attribute__((vector_size(64), aligned(4)));

/* ---- forward to one channel -------------------------------------------------------------------------------------- */

bool dr_conv2d_thin_forward_suits(const conv_shape *s) { return s->Co == 1 && s->k * s->k <= PLACES && s->Ci >= 8; }

/* x [pixels,Ci] times w [Ci,PLACES] -> t [pixels,PLACES] */
static void products(const float *x, const float *w, float *t, int64_t pixels, int64_t Ci)
{
    int64_t p = 0;
    for (; p + PIXELS <= pixels; p += PIXELS) {
        vec sum[PIXELS] = { { 0 } };
        for (int64_t ci = 0; ci < Ci; ci++) {
            const vec weight = *(const vec_unaligned *)(w + ci * PLACES);
#pragma GCC unroll 8
            for (int j = 0; j < PIXELS; j++) sum[j] += weight * x[(p + j) * Ci + ci];
        }
        for (int j = 0; j < PIXELS; j++) *(vec_unaligned *)(t + (p + j) * PLACES) = sum[j];
    }
    for (; p < pixels; p++) {
        vec sum = { 0 };
        for (int64_t ci = 0; ci < Ci; ci++) sum += *(const vec_unaligned *)(w + ci * PLACES) * x[p * Ci + ci];
        *(vec_unaligned *)(t + p * PLACES) = sum;
    }
}

/* y[oy,ox] = bias + sum of t over the places that lie inside the image */
static void collect(const conv_shape *s, const float *t, float bias, float *y)
{
    for (int64_t i = 0; i < s->Ho * s->Wo; i++) y[i] = bias;
    for (int64_t place = 0; place < s->k * s->k; place++) {
        int64_t top, bottom, left, right;
        dr_conv_inside(s, place / s->k, s->H, s->Ho, &top, &bottom);
        dr_conv_inside(s, place % s->k, s->W, s->Wo, &left, &right);
        for (int64_t oy = top; oy < bottom; oy++) {
            const float *row = t + (oy * s->stride - s->padding + place / s->k) * s->W * PLACES + place;
            const int64_t from = place % s->k - s->padding;
            for (int64_t ox = left; ox < right; ox++) y[oy * s->Wo + ox] += row[(ox * s->stride + from) * PLACES];
        }
    }
}

void dr_conv2d_thin_forward(const dr_kargs *a, const conv_shape *s, const float *x, const float *weight,
                            const float *bias, float *y)
{
    const int64_t pixels = s->H * s->W, kernel = s->k * s->k;
    float *w = dr_cpu_workspace(a, (size_t)(s->Ci + s->B * pixels) * PLACES *
                                       sizeof(float)); /* [Ci,PLACES], then t of all images */
    if (!w) return;
    for (int64_t ci = 0; ci < s->Ci; ci++)
        for (int64_t place = 0; place < PLACES; place++)
            w[ci * PLACES + place] = place < kernel ? weight[ci * kernel + place] : 0.0f;
#pragma omp parallel for schedule(static) if (s->B * pixels * s->Ci > DR_CPU_PARALLEL)
    for (int64_t b = 0; b < s->B; b++) {
        float *t = w + (s->Ci + b * pixels) * PLACES;
        products(x + b * pixels * s->Ci, w, t, pixels, s->Ci);
        collect(s, t, bias ? bias[0] : 0.0f, y + b * s->Ho * s->Wo);
    }
}

/* ---- weight gradient --------------------------------------------------------------------------------------------- */

/* The 1x1 convolution that is left: its input is the thick image, its output has a channel for each place. One more
 * place, always 1, makes the sums of dy, the bias's gradient, where dy is the thick one. */
static conv_shape unfolded(const conv_shape *s)
{
    const bool from_one = s->Ci == 1;
    const int64_t channels = from_one ? s->Co : s->Ci, pixels = from_one ? s->Ho * s->Wo : s->H * s->W;
    const int64_t places = s->k * s->k + (from_one && s->bias);
    return (conv_shape){
        .B = s->B, .Ci = channels, .H = 1, .W = pixels, .Co = places, .Ho = 1, .Wo = pixels, .k = 1, .stride = 1
    };
}

bool dr_conv2d_thin_weight_suits(const conv_shape *s)
{
    const conv_shape u = unfolded(s);
    return (s->Ci == 1) != (s->Co == 1) && dr_conv2d_weight_suits(&u);
}

/* u[pixel of the thick image][place]: the thin image's pixel that meets it there, 0 outside. For Ci = 1 the thick image
 * is dy and the thin one x; for Co = 1 the other way round. */
static void unfold(const conv_shape *s, const float *thin, float *u, int64_t places)
{
    const bool from_one = s->Ci == 1;
    const int64_t pixels = from_one ? s->Ho * s->Wo : s->H * s->W;
    memset(u, 0, (size_t)(pixels * places) * sizeof(float));
    for (int64_t place = 0; place < s->k * s->k; place++) {
        const int64_t ky = place / s->k, kx = place % s->k;
        int64_t top, bottom, left, right;
        dr_conv_inside(s, ky, s->H, s->Ho, &top, &bottom);
        dr_conv_inside(s, kx, s->W, s->Wo, &left, &right);
        for (int64_t oy = top; oy < bottom; oy++)
            for (int64_t ox = left; ox < right; ox++) {
                const int64_t in_x = (oy * s->stride - s->padding + ky) * s->W + ox * s->stride - s->padding + kx;
                const int64_t in_y = oy * s->Wo + ox;
                u[(from_one ? in_y : in_x) * places + place] = thin[from_one ? in_x : in_y];
            }
    }
    for (int64_t i = 0; places > s->k * s->k && i < pixels; i++) u[i * places + places - 1] = 1.0f;
}

static float sum_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    return (float)sum;
}

void dr_conv2d_thin_weight(const dr_kargs *a, const conv_shape *s, const float *x, const float *dy, float *dw,
                           float *db)
{
    const conv_shape left = unfolded(s);
    const bool from_one = s->Ci == 1;
    const float *thick = from_one ? dy : x, *thin = from_one ? x : dy;
    const int64_t kernel = s->k * s->k, channels = left.Ci, places = left.Co, pixels = left.W;
    const int64_t thin_pixels = from_one ? s->H * s->W : s->Ho * s->Wo;
    const size_t sums = dr_conv2d_weight_bytes(&left) / sizeof(float), u_size = (size_t)(s->B * pixels * places);
    float *u = dr_cpu_workspace(a, (u_size + sums + (size_t)(places * channels)) * sizeof(float));
    if (!u) return;
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < s->B; b++) unfold(s, thin + b * thin_pixels, u + b * pixels * places, places);

    float *by_place = u + u_size + sums; /* [places, channels] */
    dr_conv2d_weight(&left, thick, u, by_place, NULL, u + u_size);
    for (int64_t place = 0; place < kernel; place++)
        for (int64_t c = 0; c < channels; c++) dw[c * kernel + place] = by_place[place * channels + c];
    if (!s->bias) return;
    if (from_one) memcpy(db, by_place + kernel * channels, (size_t)channels * sizeof(float));
    else db[0] = sum_of(dy, s->B * thin_pixels);
}
