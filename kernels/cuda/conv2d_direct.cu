/* conv2d_direct.cu: convolutions of any shape as implicit matrix products: rows are pixels, columns channels, and what is
 * summed over is (ky,kx,c). Tiles go through shared memory; each sum has one fixed order. It runs where cuDNN has no
 * engine, or is slower.     Chetlur et al. 2014 */
#include "conv2d_after.h"
#include "conv2d_taps.h"

enum { ROWS = 128, COLUMNS = 64, DEPTH = 16, THREADS = 256 };

/* ---- x -> y, and y -> x --------------------------------------------------------------------------------------------- */

/* V consecutive elements of the sum, (tap,c) from `at` on, of the pixel that `row` is in the written image. */
template <typename T, bool DATA, int V>
__device__ inline void gather(const T *from, const conv_sides &s, int64_t image, int oy, int ox, int at, int depth, float *v)
{
    for (int j = 0; j < 4; j += V) {
        const int e = at + j, tap = e / s.from_C, c = e - tap * s.from_C;
        const int y = joined<DATA>(s, oy, tap / s.k, s.from_H), x = joined<DATA>(s, ox, tap % s.k, s.from_W);
        const bool inside = e < depth && oy >= 0 && y >= 0 && x >= 0;
        if (!inside) {
            for (int i = 0; i < V; i++) v[j + i] = 0.0f;
            continue;
        }
        const pack<T, V> p = load_pack<T, V>(from, (image + (int64_t)y * s.from_W + x) * s.from_C + c);
        for (int i = 0; i < V; i++) v[j + i] = to_float(p.v[i]);
    }
}

/* weight[n,(tap,c)]: rows of [Co,k,k,Ci] forward; DATA: n is ci, c is co. */
template <typename T, bool DATA>
__device__ inline float weight_at(const T *weight, const conv_sides &s, int n, int e, int depth)
{
    if (n >= s.to_C || e >= depth) return 0.0f;
    if (!DATA) return load(weight, (int64_t)n * depth + e);
    const int tap = e / s.from_C, c = e - tap * s.from_C;
    return load(weight, ((int64_t)c * s.k * s.k + tap) * s.to_C + n);
}

template <typename T, bool DATA, int V>
__global__ void conv2d_product(const T *from, const T *weight, after_sums<T> after, T *to, conv_sides s, int64_t rows)
{
    __shared__ float pixels[DEPTH][ROWS + 4], columns[DEPTH][COLUMNS + 4];
    const int t = threadIdx.x, depth = s.k * s.k * s.from_C, first_column = blockIdx.y * COLUMNS;
    const int64_t first_row = blockIdx.x * (int64_t)ROWS;
    int oy[2], ox[2];
    int64_t image[2];
    for (int i = 0; i < 2; i++) { /* the two rows that this thread loads */
        const int64_t row = first_row + t / 4 + i * 64;
        const int pixel = (int)(row % ((int64_t)s.to_H * s.to_W));
        image[i] = row / ((int64_t)s.to_H * s.to_W) * s.from_H * s.from_W;
        oy[i] = row < rows ? pixel / s.to_W : -1;
        ox[i] = pixel % s.to_W;
    }
    float sum[8][4];
    for (int m = 0; m < 8; m++)
        for (int n = 0; n < 4; n++) sum[m][n] = 0.0f;
    const int tx = t % 16, ty = t / 16;

    for (int d = 0; d < depth; d += DEPTH) {
        float v[4];
        for (int i = 0; i < 2; i++) {
            gather<T, DATA, V>(from, s, image[i], oy[i], ox[i], d + t % 4 * 4, depth, v);
            for (int j = 0; j < 4; j++) pixels[t % 4 * 4 + j][t / 4 + i * 64] = v[j];
        }
        for (int j = 0; j < 4; j++) { /* neighbours in memory go to neighbouring threads */
            const int e = DATA ? t / 64 + j * 4 : t % 16, n = DATA ? t % 64 : t / 16 + j * 16;
            columns[e][n] = weight_at<T, DATA>(weight, s, first_column + n, d + e, depth);
        }
        __syncthreads();
        for (int e = 0; e < DEPTH; e++) {
            float p[8], w[4];
            for (int m = 0; m < 8; m++) p[m] = pixels[e][ty * 8 + m];
            for (int n = 0; n < 4; n++) w[n] = columns[e][tx * 4 + n];
            for (int m = 0; m < 8; m++)
                for (int n = 0; n < 4; n++) sum[m][n] += p[m] * w[n];
        }
        __syncthreads();
    }
    for (int m = 0; m < 8; m++) {
        const int64_t row = first_row + ty * 8 + m;
        for (int n = 0; n < 4; n++) {
            const int c = first_column + tx * 4 + n;
            if (row >= rows || c >= s.to_C) continue;
            const int64_t at = row * s.to_C + c;
            store(to, at, finish(after, sum[m][n], at, c));
        }
    }
}

template <typename T, bool DATA>
static void launch_product(const dr_kargs *a, const conv_sides &s, int64_t B, const T *from, const T *weight,
                           const dr_conv_after *f, T *to)
{
    const int64_t rows = B * s.to_H * s.to_W;
    const after_sums<T> after = after_of<T>(f, (int64_t)s.to_H * s.to_W * s.to_C);
    const dim3 grid((unsigned)dr_blocks_for(rows, ROWS), (unsigned)dr_blocks_for(s.to_C, COLUMNS));
    if (s.from_C % 4 == 0 && dr_aligned(from, 4 * sizeof(T)))
        DR_LAUNCH(a, (conv2d_product<T, DATA, 4>), grid, THREADS, 0, from, weight, after, to, s, rows);
    else DR_LAUNCH(a, (conv2d_product<T, DATA, 1>), grid, THREADS, 0, from, weight, after, to, s, rows);
}

template <typename T>
static void direct(const dr_kargs *a, bool data, const dr_conv_shape *s, const void *from, const void *weight,
                   const dr_conv_after *after, void *to)
{
    const conv_sides sides = sides_of(data, s);
    if (data) launch_product<T, true>(a, sides, s->B, (const T *)from, (const T *)weight, after, (T *)to);
    else launch_product<T, false>(a, sides, s->B, (const T *)from, (const T *)weight, after, (T *)to);
}

void dr_conv2d_direct(const dr_kargs *a, dr_conv_kind kind, const dr_conv_shape *s, int32_t dtype, const void *from,
                      const void *weight, const dr_conv_after *after, void *to)
{
    if (dtype == DR_BF16) direct<bf16>(a, kind == DR_CONV_DATA, s, from, weight, after, to);
    else direct<float>(a, kind == DR_CONV_DATA, s, from, weight, after, to);
}

/* ---- the gradient in weight: dw[co,(tap,ci)] = sum over pixels of dy[pixel,co] x[pixel at tap,ci] ------------------- */

enum { TILE = 64, AIM = 512 /* blocks */ };

static int64_t tiles_of(const dr_conv_shape *s)
{
    return dr_blocks_for(s->Co, TILE) * dr_blocks_for(s->k * s->k * s->Ci, TILE);
}

/* Pixels are divided among blocks by the shape alone, so that sums keep their order on every device. */
int64_t dr_conv2d_direct_weight_parts(const dr_conv_shape *s)
{
    const int64_t P = s->B * s->Ho * s->Wo, memory = (int64_t)64 << 20, size = s->Co * s->k * s->k * s->Ci * 4;
    int64_t parts = dr_blocks_for(AIM, tiles_of(s));
    parts = dr_min64(parts, dr_blocks_for(P, 256));
    return parts * size <= memory ? parts : memory / size + 1;
}

template <typename T>
__global__ void conv2d_weight_product(const T *x, const T *dy, float *parts, conv_sides s, int64_t P, int64_t per_part)
{
    __shared__ float left[DEPTH][TILE + 4], right[DEPTH][TILE + 4];
    const int t = threadIdx.x, N = s.k * s.k * s.from_C, row = t / 16, four = t % 16 * 4;
    const int first_co = blockIdx.x * TILE, first_n = blockIdx.y * TILE;
    int ky[4], kx[4], ci[4];
    for (int j = 0; j < 4; j++) {
        const int n = first_n + four + j, tap = n / s.from_C;
        ky[j] = n < N ? tap / s.k : -1;
        kx[j] = tap % s.k;
        ci[j] = n % s.from_C;
    }
    float sum[4][4];
    for (int m = 0; m < 4; m++)
        for (int n = 0; n < 4; n++) sum[m][n] = 0.0f;
    const int64_t begin = blockIdx.z * per_part, end = begin + per_part < P ? begin + per_part : P;

    for (int64_t p = begin; p < end; p += DEPTH) {
        const int64_t pixel = p + row, image = pixel / ((int64_t)s.to_H * s.to_W);
        const int within = (int)(pixel - image * s.to_H * s.to_W), oy = within / s.to_W, ox = within % s.to_W;
        for (int j = 0; j < 4; j++) {
            const int co = first_co + four + j;
            left[row][four + j] = pixel < end && co < s.to_C ? load(dy, pixel * s.to_C + co) : 0.0f;
            const int iy = joined<false>(s, oy, ky[j], s.from_H), ix = joined<false>(s, ox, kx[j], s.from_W);
            const bool inside = pixel < end && ky[j] >= 0 && iy >= 0 && ix >= 0;
            const int64_t at = ((image * s.from_H + iy) * s.from_W + ix) * s.from_C + ci[j];
            right[row][four + j] = inside ? load(x, at) : 0.0f;
        }
        __syncthreads();
        for (int e = 0; e < DEPTH; e++) {
            float l[4], r[4];
            for (int m = 0; m < 4; m++) l[m] = left[e][t / 16 * 4 + m];
            for (int n = 0; n < 4; n++) r[n] = right[e][t % 16 * 4 + n];
            for (int m = 0; m < 4; m++)
                for (int n = 0; n < 4; n++) sum[m][n] += l[m] * r[n];
        }
        __syncthreads();
    }
    for (int m = 0; m < 4; m++) {
        for (int n = 0; n < 4; n++) {
            const int co = first_co + t / 16 * 4 + m, e = first_n + t % 16 * 4 + n;
            if (co < s.to_C && e < N) parts[((int64_t)blockIdx.z * s.to_C + co) * N + e] = sum[m][n];
        }
    }
}

template <typename T>
static void direct_weight(const dr_kargs *a, const dr_conv_shape *s, const void *x, const void *dy, float *parts)
{
    const conv_sides sides = sides_of(false, s);
    const int64_t P = s->B * s->Ho * s->Wo, n = dr_conv2d_direct_weight_parts(s);
    const dim3 grid((unsigned)dr_blocks_for(s->Co, TILE), (unsigned)dr_blocks_for(s->k * s->k * s->Ci, TILE), (unsigned)n);
    DR_LAUNCH(a, conv2d_weight_product<T>, grid, THREADS, 0, (const T *)x, (const T *)dy, parts, sides, P,
              dr_blocks_for(P, n));
}

void dr_conv2d_direct_weight(const dr_kargs *a, const dr_conv_shape *s, int32_t dtype, const void *x, const void *dy,
                             float *parts)
{
    if (dtype == DR_BF16) direct_weight<bf16>(a, s, x, dy, parts);
    else direct_weight<float>(a, s, x, dy, parts);
}
