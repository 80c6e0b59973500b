/* fake_memory.c: memory on the device and pinned memory, each allocation malloc'd at exactly its size and aligned as CUDA
 * aligns it, so that AddressSanitizer sees what lies outside; new memory is 0xff bytes (NaN). */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

typedef struct allocation {
    char *data;
    size_t bytes;
    int64_t serial;
    fake_kind kind;
} allocation;

static allocation *list;
static int count, room;
static int64_t serials;
static size_t limit = (size_t)80 << 30, in_use;
static const char *const kind_name[] = { [FAKE_DEVICE] = "device", [FAKE_PINNED] = "pinned" };

void fake_memory_limit(size_t bytes) { limit = bytes; }

void fake_memory_info(size_t *left, size_t *all)
{
    *left = in_use < limit ? limit - in_use : 0;
    *all = limit;
}

static bool make_room(void)
{
    if (count < room) return true;
    const int larger = room ? 2 * room : 64;
    allocation *grown = realloc(list, (size_t)larger * sizeof *grown);
    if (!grown) return false;
    list = grown;
    room = larger;
    return true;
}

cudaError_t fake_malloc(void **memory, size_t bytes, fake_kind kind)
{
    void *data = NULL;
    *memory = NULL;
    if (bytes == 0) return cudaSuccess;
    if (kind == FAKE_DEVICE && (bytes > limit || in_use > limit - bytes)) return cudaErrorMemoryAllocation;
    if (!make_room() || posix_memalign(&data, 256, bytes) != 0) return cudaErrorMemoryAllocation;
    memset(data, 0xff, bytes);
    list[count++] = (allocation){ data, bytes, ++serials, kind };
    if (kind == FAKE_DEVICE) in_use += bytes;
    *memory = data;
    return cudaSuccess;
}

cudaError_t fake_free(void *memory, fake_kind kind)
{
    if (!memory) return cudaSuccess;
    for (int i = 0; i < count; i++) {
        if (list[i].data != memory || list[i].kind != kind) continue;
        if (kind == FAKE_DEVICE) in_use -= list[i].bytes;
        list[i] = list[--count];
        free(memory);
        if (count > 0) return cudaSuccess;
        free(list); /* nothing of its own is left behind */
        list = NULL;
        room = 0;
        return cudaSuccess;
    }
    fake_violation("%p is freed, and is no %s memory that lives (freed twice?)", memory, kind_name[kind]);
    return cudaErrorInvalidValue;
}

static const allocation *find(const void *p)
{
    for (int i = 0; i < count; i++) {
        const size_t offset = (size_t)((uintptr_t)p - (uintptr_t)list[i].data);
        if ((uintptr_t)p >= (uintptr_t)list[i].data && offset < list[i].bytes) return &list[i];
    }
    return NULL;
}

bool fake_inside(const void *p, size_t bytes, fake_kind kind)
{
    const allocation *a = find(p);
    return a && a->kind == kind && (size_t)((const char *)p - a->data) + bytes <= a->bytes;
}

bool fake_on_device(const void *p, size_t bytes) { return fake_inside(p, bytes, FAKE_DEVICE); }

bool fake_touches(const void *p, size_t bytes, fake_kind kind)
{
    const uintptr_t from = (uintptr_t)p;
    for (int i = 0; i < count; i++) {
        const uintptr_t begin = (uintptr_t)list[i].data;
        if (list[i].kind == kind && from < begin + list[i].bytes && begin < from + bytes) return true;
    }
    return false;
}

int64_t fake_serial(const void *p)
{
    const allocation *a = find(p);
    return a ? a->serial : 0;
}

bool fake_lives(int64_t serial)
{
    for (int i = 0; i < count; i++) {
        if (list[i].serial == serial) return true;
    }
    return false;
}

void fake_fence(const fake_range *range, int n)
{
    for (int i = 0; i < n; i++) {
        const allocation *a = find(range[i].from);
        if (a) ASAN_POISON_MEMORY_REGION(a->data, a->bytes);
    }
    for (int i = 0; i < n; i++) ASAN_UNPOISON_MEMORY_REGION(range[i].from, (size_t)(range[i].to - range[i].from));
}

void fake_unfence(const fake_range *range, int n)
{
    for (int i = 0; i < n; i++) {
        const allocation *a = find(range[i].from);
        if (a) ASAN_UNPOISON_MEMORY_REGION(a->data, a->bytes);
    }
}

int fake_memory_leaks(void)
{
    for (int i = 0; i < count; i++)
        fprintf(stderr, "fake CUDA: never freed: %zu bytes of %s memory\n", list[i].bytes, kind_name[list[i].kind]);
    return count;
}
