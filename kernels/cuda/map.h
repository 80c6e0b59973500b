/* map.h: y = f(a), f(a, b) or f(a, b, c), element by element, with NumPy's broadcasting. F is a struct with a device
 * function `of` of as many floats; its members are the op's parameters. 16 bytes a thread where memory allows it. */
#ifndef DRIFT_CUDA_MAP_H
#define DRIFT_CUDA_MAP_H

#include "walk.h"

template <typename F> __device__ inline float map_value(const F &f, float (&v)[1]) { return f.of(v[0]); }
template <typename F> __device__ inline float map_value(const F &f, float (&v)[2]) { return f.of(v[0], v[1]); }
template <typename F> __device__ inline float map_value(const F &f, float (&v)[3]) { return f.of(v[0], v[1], v[2]); }

template <typename T, int INPUTS, typename F>
static __global__ void __launch_bounds__(WALK_THREADS) map_elements(walk w, F f)
{
    constexpr int N = widest<T>();
    for (int32_t i = blockIdx.x * WALK_THREADS + threadIdx.x; i < w.items; i += gridDim.x * WALK_THREADS) {
        int32_t at[INPUTS + 1];
        walk_place<INPUTS + 1>(w, (uint32_t)i, at);
        if (w.lanes == 1) {
            float v[INPUTS];
            for (int t = 0; t < INPUTS; t++) v[t] = load((const T *)w.data[t + 1], at[t + 1]);
            store((T *)w.data[0], at[0], map_value(f, v));
            continue;
        }
        float in[INPUTS][N], y[N];
        for (int t = 0; t < INPUTS; t++) walk_load<T, N>(w, t + 1, at[t + 1], in[t]);
        for (int k = 0; k < N; k++) {
            float v[INPUTS];
            for (int t = 0; t < INPUTS; t++) v[t] = in[t][k];
            y[k] = map_value(f, v);
        }
        walk_store<T, N>(w, at[0], y);
    }
}

/* in[0], in[1] .. -> out[0] */
template <typename T, int INPUTS, typename F> static void map(const dr_kargs *a, F f)
{
    const dr_view *v[INPUTS + 1] = { &a->out[0] };
    for (int t = 0; t < INPUTS; t++) v[t + 1] = &a->in[t];
    walk_range r = walk_range_of(v, INPUTS + 1, widest<T>());
    for (walk w; walk_next(&r, &w);)
        DR_LAUNCH(a, (map_elements<T, INPUTS, F>), walk_blocks(a, &w), WALK_THREADS, 0, w, f);
}

#endif
