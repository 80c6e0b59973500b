/* conv2d_tile.cu: the host's part of conv2d_tile_kernel.h: which pixels and taps belong together, how the work is cut,
 * and where that suits. */
#include "conv2d_tile.h"
#include "conv2d_tile_kernel.h"

/* A way of cutting the work: tiles of M pixels by N channels, at most so many blocks on a multiprocessor; resident: the
 * weights stay in shared memory. */
typedef struct tile_way {
    int M, N, blocks;
    bool resident;
} tile_way;

static const tile_way ways[WAYS] = {
    { 128, 64, 3, false },  { 256, 64, 2, false }, { 256, 64, 1, true },
    { 128, 128, 2, false }, { 192, 64, 2, false }, { 64, 64, 4, false },
};
static tile_kernel *const without_act[WAYS][KINDS] = DR_TILE_WAYS(DR_ACT_NONE);

int dr_conv2d_tile_ways(void) { return WAYS; }

static size_t shared_bytes(const tile_way *w, const tile_conv *c)
{
    const int slots = w->resident ? c->planes * c->taps[0].n : STAGES;
    return ROW - 1 + ROW * (1 + 2 * (size_t)c->halo + (size_t)slots * (size_t)w->N);
}

/* The taps that write pixels of parity (py,px), in the order of the kernel. */
static tile_taps taps_of(bool data, const dr_conv_shape *s, int py, int px, int from_W)
{
    tile_taps t = {};
    const int k = (int)s->k, padding = (int)s->padding, stride = data ? (int)s->stride : 1;
    for (int i = 0; i < k * k; i++) {
        const int y = data ? py + padding - i / k : i / k - padding, x = data ? px + padding - i % k : i % k - padding;
        if (y % stride != 0 || x % stride != 0) continue;
        t.dy[t.n] = (short)(y / stride);
        t.dx[t.n] = (short)(x / stride);
        t.weight[t.n] = (short)i;
        t.offset[t.n] = t.dy[t.n] * from_W + t.dx[t.n];
        t.n++;
    }
    for (int i = 0; i < t.n; i++) t.first = i == 0 || t.offset[i] < t.first ? t.offset[i] : t.first;
    for (int i = 0; i < t.n; i++) t.offset[i] -= t.first;
    t.out_y = py;
    t.out_x = px;
    return t;
}

/* M pixels with stride s: the last is at most s s (M - 1) + s (s - 1) (W - 1) after the first. */
static int halo_of(const tile_conv *c, int parities, int M, int stride, int W)
{
    int offset = 0;
    for (int p = 0; p < parities; p++)
        for (int i = 0; i < c->taps[p].n; i++) offset = c->taps[p].offset[i] > offset ? c->taps[p].offset[i] : offset;
    return stride * stride * (M - 1) + stride * (stride - 1) * (W - 1) + 1 + offset;
}

static int parities_of(bool data, const dr_conv_shape *s) { return data && s->stride == 2 ? 4 : 1; }

static tile_conv conv_of(const tile_way *w, bool data, const dr_conv_shape *s)
{
    tile_conv c = {};
    const int parities = parities_of(data, s), step = data ? (int)s->stride : 1;
    c.from_H = (int)(data ? s->Ho : s->H), c.from_W = (int)(data ? s->Wo : s->W),
    c.from_C = (int)(data ? s->Co : s->Ci);
    c.to_H = (int)(data ? s->H : s->Ho), c.to_W = (int)(data ? s->W : s->Wo), c.to_C = (int)(data ? s->Ci : s->Co);
    c.out_step = step;
    c.all_taps = (int)(s->k * s->k);
    c.image = divisor_of((int64_t)(c.to_H / step) * (c.to_W / step));
    c.line = divisor_of(c.to_W / step);
    c.rows = (int)(s->B * (int64_t)c.image.by);
    c.from_rows = (int)(s->B * c.from_H * c.from_W);
    c.planes = (c.from_C + DEPTH - 1) / DEPTH;
    c.tiles = (c.rows + w->M - 1) / w->M;
    for (int p = 0; p < parities; p++) c.taps[p] = taps_of(data, s, p / 2, p % 2, c.from_W);
    c.halo = halo_of(&c, parities, w->M, data ? 1 : (int)s->stride, c.to_W / step);
    return c;
}

static int kind_of(bool data, const dr_conv_shape *s) { return data ? 1 : s->stride == 2 ? 2 : 0; }

bool dr_conv2d_tile_suits(const cuda *device, int way, dr_conv_kind kind, const dr_conv_shape *s, int32_t dtype)
{
    const tile_way *w = &ways[way];
    const bool data = kind == DR_CONV_DATA, same = s->stride == 1 && s->Ho == s->H && s->Wo == s->W;
    const bool halved = s->stride == 2 && s->H == 2 * s->Ho && s->W == 2 * s->Wo;
    if (s->B * s->H * s->W >= 1 << 30 || s->B * s->Ho * s->Wo >= 1 << 30)
        return false; /* pixels are counted in 32 bits */
    if (device->major < 8 || kind == DR_CONV_WEIGHT || dtype != DR_BF16 || !(same || halved)) return false;
    if (s->Ci % 8 != 0 || s->Co % 8 != 0 || s->Ci < 16 || s->Co < 16 || s->k < 3 || s->k > 4) return false;
    if (!without_act[way][kind_of(data, s)] || (w->resident && halved)) return false;
    if (w->N > 64 && (data ? s->Ci : s->Co) <= 64) return false;
    const tile_conv c = conv_of(w, data, s);
    for (int p = 0; p < parities_of(data, s); p++)
        if (c.taps[p].n < STAGES) return false; /* a plane's pixels come while the taps before its last are summed */
    return shared_bytes(w, &c) <= device->shared_per_block;
}

void dr_conv2d_tile(const dr_kargs *a, int way, dr_conv_kind kind, const dr_conv_shape *s, const void *from,
                    const void *weight, const dr_conv_after *after, void *to)
{
    const bool data = kind == DR_CONV_DATA;
    const tile_way *w = &ways[way];
    const tile_conv c = conv_of(w, data, s);
    const cuda *device = dr_cuda_of(a);
    const size_t shared = shared_bytes(w, &c), reserved = 1024; /* of each block */
    const int64_t columns = dr_blocks_for(c.to_C, w->N), parities = parities_of(data, s);
    const int64_t together =
        dr_min64(w->blocks, (int64_t)((device->shared_per_block + reserved) / (shared + reserved)));
    const int64_t most = device->multiprocessors * together / (columns * parities);
    const dim3 grid((unsigned)dr_min64(c.tiles, most > 1 ? most : 1), (unsigned)columns, (unsigned)parities);
    const after_sums<bf16> sums = after_of<bf16>(after, (int64_t)c.to_H * c.to_W * c.to_C);
    tile_kernel *const launch =
        (after->act != DR_ACT_NONE ? dr_conv2d_tile_with_act : without_act)[way][kind_of(data, s)];
    launch(a, grid, shared, (const bf16 *)from, (const bf16 *)weight, sums, (bf16 *)to, c);
}
