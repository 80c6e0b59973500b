/* conv2d_thin.cu: 3x3 convolutions between one channel and C. Seen from the image with C channels ("wide", the other is
 * "narrow") there are three:
 *   spread   wide[p,c] = sum over taps of narrow[p at tap] w[c,tap]       Ci = 1 forward, Co = 1 back to x
 *   gather   narrow[p] = sum over taps, c of wide[p at tap,c] w[c,tap]    Co = 1 forward, Ci = 1 back to x
 *   weight   dw[c,tap] = sum over p of wide[p,c] narrow[p at tap]         where "at" is forward's if Ci = 1, else back's
 * Each reads and writes the wide image once; weights stay in registers or shared memory. */
#include "conv2d_after.h"
#include "conv2d_taps.h"

enum { TAPS = 9, THREADS = 256, LARGEST = 1024 /* channels */ };

bool dr_conv2d_thin_suits(dr_conv_kind kind, const dr_conv_shape *s)
{
    const int64_t C = s->Ci == 1 ? s->Co : s->Ci;
    return s->k == 3 && (s->Ci == 1 || s->Co == 1) && C <= (kind == DR_CONV_WEIGHT ? THREADS : LARGEST);
}

/* Nine pixels of the narrow image around p of the wide one; 0 outside. */
template <typename T, bool DATA>
__device__ inline void nine(const T *narrow, const conv_sides &s, int64_t p, float v[TAPS])
{
    const int64_t image = p / ((int64_t)s.to_H * s.to_W);
    const int within = (int)(p - image * s.to_H * s.to_W), oy = within / s.to_W, ox = within % s.to_W;
    const T *at = narrow + image * s.from_H * s.from_W;
    for (int tap = 0; tap < TAPS; tap++) {
        const int y = joined<DATA>(s, oy, tap / 3, s.from_H), x = joined<DATA>(s, ox, tap % 3, s.from_W);
        v[tap] = y >= 0 && x >= 0 ? load(at, y * s.from_W + x) : 0.0f;
    }
}

/* ---- spread: a block is [across] packs of V channels by [down] pixels ------------------------------------------------- */

template <typename T, typename W, int V, bool DATA>
__global__ void conv2d_thin_spread(const T *narrow, const W *weight, after_sums<T> after, T *wide, conv_sides s, int64_t P)
{
    const int c = (blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (c >= s.to_C) return;
    float w[TAPS][V];
    for (int tap = 0; tap < TAPS; tap++)
        for (int j = 0; j < V; j++) w[tap][j] = load(weight, (c + j) * TAPS + tap);
    for (int64_t p = blockIdx.x * (int64_t)blockDim.y + threadIdx.y; p < P; p += (int64_t)gridDim.x * blockDim.y) {
        float v[TAPS];
        nine<T, DATA>(narrow, s, p, v);
        pack<T, V> out;
        for (int j = 0; j < V; j++) {
            float sum = 0.0f;
            for (int tap = 0; tap < TAPS; tap++) sum += v[tap] * w[tap][j];
            out.v[j] = from_float<T>(finish(after, sum, p * s.to_C + c + j, c + j));
        }
        store_pack(wide, p * s.to_C + c, out);
    }
}

template <typename T, typename W, bool DATA>
static void spread(const dr_kargs *a, const conv_sides &s, int64_t B, const T *narrow, const W *weight,
                   const dr_conv_after *f, T *wide)
{
    constexpr int V = widest<T>();
    const int64_t P = B * s.to_H * s.to_W;
    const after_sums<T> after = after_of<T>(f, (int64_t)s.to_H * s.to_W * s.to_C);
    const bool packs = s.to_C % V == 0 && dr_aligned(wide, 16);
    const int all = packs ? s.to_C / V : s.to_C, across = all < THREADS ? all : THREADS, down = THREADS / across;
    const dim3 grid((unsigned)dr_min64(dr_blocks_for(P, down), 1056), (unsigned)dr_blocks_for(all, across));
    const dim3 block((unsigned)across, (unsigned)down);
    if (packs) DR_LAUNCH(a, (conv2d_thin_spread<T, W, V, DATA>), grid, block, 0, narrow, weight, after, wide, s, P);
    else DR_LAUNCH(a, (conv2d_thin_spread<T, W, 1, DATA>), grid, block, 0, narrow, weight, after, wide, s, P);
}

/* ---- gather: 8 threads of a warp share a pixel's channels --------------------------------------------------------------- */

enum { SHARE = 8, PIXELS = THREADS / SHARE };

template <typename T, typename W, int V, bool DATA>
__global__ void conv2d_thin_gather(const T *wide, const W *weight, after_sums<T> after, T *narrow, conv_sides s, int64_t P)
{
    DR_SHARED(float, w); /* [tap,c] */
    const int C = s.from_C, share = threadIdx.x % SHARE;
    for (int i = threadIdx.x; i < TAPS * C; i += THREADS) w[i] = load(weight, i % C * TAPS + i / C);
    __syncthreads();
    for (int64_t first = blockIdx.x * (int64_t)PIXELS; first < P; first += (int64_t)gridDim.x * PIXELS) {
        const int64_t p = first + threadIdx.x / SHARE, image = p / ((int64_t)s.to_H * s.to_W);
        const int within = (int)(p - image * s.to_H * s.to_W), oy = within / s.to_W, ox = within % s.to_W;
        const T *at = wide + image * s.from_H * s.from_W * C;
        float sum = 0.0f;
        for (int tap = 0; tap < TAPS && p < P; tap++) {
            const int y = joined<DATA>(s, oy, tap / 3, s.from_H), x = joined<DATA>(s, ox, tap % 3, s.from_W);
            if (y < 0 || x < 0) continue;
            for (int c = share * V; c < C; c += SHARE * V) {
                const pack<T, V> v = load_pack<T, V>(at, (int64_t)(y * s.from_W + x) * C + c);
                for (int j = 0; j < V; j++) sum += to_float(v.v[j]) * w[tap * C + c + j];
            }
        }
        for (int step = SHARE / 2; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
        if (share == 0 && p < P) store(narrow, p, finish(after, sum, p, 0));
    }
}

template <typename T, typename W, bool DATA>
static void gather(const dr_kargs *a, const conv_sides &s, int64_t B, const T *wide, const W *weight,
                   const dr_conv_after *f, T *narrow)
{
    constexpr int V = widest<T>();
    const int64_t P = B * s.to_H * s.to_W;
    const after_sums<T> after = after_of<T>(f, (int64_t)s.to_H * s.to_W);
    const unsigned grid = (unsigned)dr_min64(dr_blocks_for(P, PIXELS), 2112);
    const size_t shared = TAPS * (size_t)s.from_C * sizeof(float);
    if (s.from_C % V == 0 && dr_aligned(wide, 16))
        DR_LAUNCH(a, (conv2d_thin_gather<T, W, V, DATA>), grid, THREADS, shared, wide, weight, after, narrow, s, P);
    else DR_LAUNCH(a, (conv2d_thin_gather<T, W, 1, DATA>), grid, THREADS, shared, wide, weight, after, narrow, s, P);
}

template <typename T, typename W>
static void thin(const dr_kargs *a, bool data, const dr_conv_shape *s, const void *from, const void *weight,
                 const dr_conv_after *f, void *to)
{
    const conv_sides sides = sides_of(data, s);
    const T *in = (const T *)from;
    const W *w = (const W *)weight;
    const bool spreads = sides.from_C == 1;
    if (spreads && !data) spread<T, W, false>(a, sides, s->B, in, w, f, (T *)to);
    else if (spreads) spread<T, W, true>(a, sides, s->B, in, w, f, (T *)to);
    else if (!data) gather<T, W, false>(a, sides, s->B, in, w, f, (T *)to);
    else gather<T, W, true>(a, sides, s->B, in, w, f, (T *)to);
}

void dr_conv2d_thin(const dr_kargs *a, dr_conv_kind kind, const dr_conv_shape *s, int32_t dtype, const void *from,
                    const void *weight, int32_t weight_dtype, const dr_conv_after *after, void *to)
{
    const bool data = kind == DR_CONV_DATA;
    if (dtype == DR_F32) thin<float, float>(a, data, s, from, weight, after, to);
    else if (weight_dtype == DR_F32) thin<bf16, float>(a, data, s, from, weight, after, to);
    else thin<bf16, bf16>(a, data, s, from, weight, after, to);
}

/* ---- weight: a block is [across] packs of V channels by [down] pixels of its part --------------------------------------- */

enum { EACH = 512 /* pixels of a part, at least */, MOST = 256 };

int64_t dr_conv2d_thin_weight_parts(const dr_conv_shape *s)
{
    const int64_t P = s->Ci == 1 ? s->B * s->Ho * s->Wo : s->B * s->H * s->W;
    return dr_min64(dr_blocks_for(P, EACH), MOST);
}

/* parts [part,C,9] where C is Co, [part,9,C] where it is Ci (DATA) */
template <typename T, int V, bool DATA>
__global__ void conv2d_thin_weight(const T *wide, const T *narrow, float *parts, conv_sides s, int64_t P, int64_t per_part)
{
    __shared__ float rows[THREADS * V];
    const int across = blockDim.x, down = blockDim.y, tx = threadIdx.x, ty = threadIdx.y, c = tx * V, C = s.to_C;
    const int64_t begin = blockIdx.x * per_part, end = begin + per_part < P ? begin + per_part : P;
    float sum[TAPS][V];
    for (int tap = 0; tap < TAPS; tap++)
        for (int j = 0; j < V; j++) sum[tap][j] = 0.0f;
    for (int64_t p = begin + ty; p < end; p += down) {
        float v[TAPS];
        nine<T, DATA>(narrow, s, p, v);
        const pack<T, V> w = load_pack<T, V>(wide, p * C + c);
        for (int tap = 0; tap < TAPS; tap++)
            for (int j = 0; j < V; j++) sum[tap][j] += to_float(w.v[j]) * v[tap];
    }
    for (int tap = 0; tap < TAPS; tap++) {
        for (int j = 0; j < V; j++) rows[(ty * across + tx) * V + j] = sum[tap][j];
        __syncthreads();
        for (int i = ty * across + tx; i < C; i += across * down) {
            float total = 0.0f;
            for (int r = 0; r < down; r++) total += rows[r * C + i];
            parts[(int64_t)blockIdx.x * C * TAPS + (DATA ? tap * C + i : i * TAPS + tap)] = total;
        }
        __syncthreads();
    }
}

template <typename T, bool DATA>
static void thin_weight(const dr_kargs *a, const dr_conv_shape *s, const T *wide, const T *narrow, float *parts)
{
    constexpr int V = widest<T>();
    const conv_sides sides = sides_of(DATA, s); /* `to` is the wide image */
    const int64_t P = s->B * sides.to_H * sides.to_W, n = dr_conv2d_thin_weight_parts(s), each = dr_blocks_for(P, n);
    const bool packs = sides.to_C % V == 0 && dr_aligned(wide, 16);
    const int across = packs ? sides.to_C / V : sides.to_C;
    const dim3 block((unsigned)across, (unsigned)(THREADS / across));
    if (packs) DR_LAUNCH(a, (conv2d_thin_weight<T, V, DATA>), (unsigned)n, block, 0, wide, narrow, parts, sides, P, each);
    else DR_LAUNCH(a, (conv2d_thin_weight<T, 1, DATA>), (unsigned)n, block, 0, wide, narrow, parts, sides, P, each);
}

void dr_conv2d_thin_weight(const dr_kargs *a, const dr_conv_shape *s, int32_t dtype, const void *x, const void *dy,
                           float *parts)
{
    if (s->Ci == 1 && dtype == DR_BF16) thin_weight<bf16, false>(a, s, (const bf16 *)dy, (const bf16 *)x, parts);
    else if (s->Ci == 1) thin_weight<float, false>(a, s, (const float *)dy, (const float *)x, parts);
    else if (dtype == DR_BF16) thin_weight<bf16, true>(a, s, (const bf16 *)x, (const bf16 *)dy, parts);
    else thin_weight<float, true>(a, s, (const float *)x, (const float *)dy, parts);
}
