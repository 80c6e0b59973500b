/* weight_pack.c: the table of what is kept of frozen weights, by address, and numbers made wider and narrower. */
#include "weight_pack.h"
#include "bf16.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { SLOTS = 1024, HUGE_PAGE = 2 << 20 };

struct dr_weight_packs {
    dr_weight_pack *slot[SLOTS];
};

static dr_weight_pack **slot_of(dr_weight_packs *all, const void *weight)
{
    const uint64_t hash = (uint64_t)(uintptr_t)weight * 0x9E3779B97F4A7C15u;
    return &all->slot[hash >> 32 & (SLOTS - 1)];
}

dr_weight_packs *dr_weight_packs_new(void) { return calloc(1, sizeof(dr_weight_packs)); }

static void drop(dr_weight_pack **at)
{
    dr_weight_pack *p = *at;
    *at = p->next;
    if (p->layout) dnnl_memory_desc_destroy(p->layout);
    free(p->data);
    free(p);
}

static void forget_in(dr_weight_pack **at, const char *memory, size_t bytes)
{
    while (*at) {
        const char *weight = (*at)->weight;
        if (weight >= memory && weight < memory + bytes) drop(at);
        else at = &(*at)->next;
    }
}

void dr_weight_packs_forget(dr_weight_packs *all, const void *memory, size_t bytes)
{
    for (int i = 0; i < SLOTS; i++) forget_in(&all->slot[i], memory, bytes);
}

void dr_weight_packs_free(dr_weight_packs *all)
{
    if (!all) return;
    for (int i = 0; i < SLOTS; i++)
        while (all->slot[i]) drop(&all->slot[i]);
    free(all);
}

dr_weight_pack *dr_weight_pack_find(dr_weight_packs *all, const void *weight, const_dnnl_memory_desc_t layout,
                                    bool *make)
{
    dr_weight_pack *p = *slot_of(all, weight);
    while (p && p->weight != weight) p = p->next;
    *make = false;
    if (p && dnnl_memory_desc_equal(p->layout, layout)) {
        p->misses = 0;
        return p;
    }
    *make = !p || ++p->misses > 1;
    return NULL;
}

dr_weight_pack *dr_weight_pack_add(dr_weight_packs *all, const void *weight, const_dnnl_memory_desc_t layout,
                                   int32_t dtype, int64_t count)
{
    dr_weight_pack **slot = slot_of(all, weight);
    forget_in(slot, weight, 1);
    const size_t bytes = (size_t)count * (dtype == DR_F32 ? 4 : 2), align = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : 64;
    dr_weight_pack *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    *p = (dr_weight_pack){ .next = *slot, .weight = weight, .dtype = dtype, .count = count };
    p->data = aligned_alloc(align, (bytes + align - 1) / align * align);
    if (p->data && align == HUGE_PAGE) (void)madvise(p->data, bytes, MADV_HUGEPAGE); /* a hint */
    *slot = p;
    if (!p->data || dnnl_memory_desc_clone(&p->layout, layout) != dnnl_success) {
        drop(slot);
        return NULL;
    }
    return p;
}

/* ---- dtypes -------------------------------------------------------------------------------------------------------- */

void dr_widen(int32_t dtype, const void *from, float *to, int64_t n)
{
    const dr_f16 *half = from;
    const uint16_t *brain = from;
    if (dtype == DR_F16) {
#pragma omp parallel for simd schedule(static) if (n > DR_CPU_PARALLEL)
        for (int64_t i = 0; i < n; i++) to[i] = (float)half[i];
        return;
    }
#pragma omp parallel for simd schedule(static) if (n > DR_CPU_PARALLEL)
    for (int64_t i = 0; i < n; i++) to[i] = dr_bf16_value(brain[i]);
}

void dr_narrow(int32_t dtype, const float *from, void *to, int64_t n)
{
    dr_f16 *half = to;
    uint16_t *brain = to;
    if (dtype == DR_F16) {
#pragma omp parallel for simd schedule(static) if (n > DR_CPU_PARALLEL)
        for (int64_t i = 0; i < n; i++) half[i] = (dr_f16)from[i];
        return;
    }
#pragma omp parallel for simd schedule(static) if (n > DR_CPU_PARALLEL)
    for (int64_t i = 0; i < n; i++) brain[i] = dr_bf16_nearest(from[i]);
}

void dr_f16_to_bf16(const void *from, void *to, int64_t n)
{
    const dr_f16 *half = from;
    uint16_t *brain = to;
#pragma omp parallel for simd schedule(static) if (n > DR_CPU_PARALLEL)
    for (int64_t i = 0; i < n; i++) brain[i] = dr_bf16_nearest((float)half[i]);
}
