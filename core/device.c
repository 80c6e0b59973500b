/* device.c: an opened backend, its cache of free memory and its memo of kernels. Memory that a tensor gives back stays
 * with the device and serves the next request of about its size, so that a training step allocates nothing after the
 * first few. */
#include "plan.h"
#include "registry.h"

#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { ALIGNMENT = 64, PAGE = 4096, LARGE = 1 << 20 };

typedef struct dr_block_list { /* free memory, sorted by size */
    struct free_block { void *data; size_t bytes; } *v;
    int64_t n, capacity;
} dr_block_list;

typedef struct dr_kernel_memo {
    const char *op; /* by address: names of registered ops do not move; see dr_device_forget_kernels */
    int32_t dtype;
    dr_kernel kernel;
} dr_kernel_memo;

static dr_device *devices;
static dr_device *current;
static int64_t storages_made;

static dr_backend read_api(const dr_backend *given)
{
    dr_backend api = { 0 };
    memcpy(&api, given, given->size < sizeof api ? given->size : sizeof api);
    return api;
}

/* "cuda" and "cuda:0" are one device, and its memory and work are in one place. */
static bool same_name(const char *a, const char *b)
{
    const size_t n = strcspn(a, ":"), m = strcspn(b, ":");
    const char *index_a = a[n] ? a + n : ":0", *index_b = b[m] ? b + m : ":0";
    return n == m && strncmp(a, b, n) == 0 && strcmp(index_a, index_b) == 0;
}

/* "cuda:1" is backend cuda with index = 1. */
dr_device *dr_device_open(const char *name, dr_args args)
{
    if (dr_failed()) return NULL;
    for (dr_device *d = devices; d; d = d->next) {
        if (same_name(d->name, name)) return d;
    }
    char backend[32];
    snprintf(backend, sizeof backend, "%s", name);
    char *colon = strchr(backend, ':');
    dr_arg with_index[16] = { DR_I("index", 0) };
    if (colon) {
        char *end;
        with_index[0].i = strtoll(colon + 1, &end, 10);
        if (end == colon + 1 || *end || args.n >= 15) {
            dr_fail(DR_EINVAL, "device '%s': expected NAME or NAME:NUMBER", name);
            return NULL;
        }
        for (int64_t i = 0; i < args.n; i++) with_index[i + 1] = args.v[i];
        args = (dr_args){ with_index, args.n + 1 };
        *colon = '\0';
    }
    dr_device *d = calloc(1, sizeof *d);
    if (!d || !(d->cache = calloc(1, sizeof *d->cache))) {
        free(d);
        dr_fail(DR_ENOMEM, "out of memory opening device '%s'", name);
        return NULL;
    }
    snprintf(d->name, sizeof d->name, "%s", name);
    d->instance = dr_instance_new("backend", backend, args);
    if (d->instance) {
        d->component = d->instance->component;
        d->api_read = read_api(d->instance->iface);
        d->api = &d->api_read;
        d->self = d->instance->self;
        if (!d->api->open || d->api->open(d->self) == DR_OK) {
            d->next = devices;
            devices = d;
            if (!current) current = d;
            return d;
        }
    }
    dr_instance_free(d->instance);
    free(d->cache);
    free(d);
    return NULL;
}

static void empty_cache(dr_device *d)
{
    for (int64_t i = 0; i < d->cache->n; i++) {
        d->api->free(d->self, d->cache->v[i].data);
        d->reserved -= d->cache->v[i].bytes;
    }
    d->cache->n = 0;
}

/* glibc keeps freed blocks below 32 MiB for itself, though their pages may lie idle. */
void dr_device_trim(dr_device *d)
{
    empty_cache(d);
#ifdef __GLIBC__
    if (d->api->flags & DR_BACKEND_HOST_MEMORY) malloc_trim(0);
#endif
}

void dr_device_close_all(void)
{
    while (devices) {
        dr_device *d = devices;
        devices = d->next;
        dr_replay_graphs_close(d);
        dr_device_drop_arena(d);
        empty_cache(d);
        if (d->api->close) d->api->close(d->self);
        dr_instance_free(d->instance);
        free(d->cache->v);
        free(d->cache);
        free(d->memo);
        free(d);
    }
    current = NULL;
}

dr_device *dr_device_current(void) { return current; }
void dr_device_use(dr_device *d) { current = d; }
const char *dr_device_name(const dr_device *d) { return d->name; }
const char *dr_device_describe(dr_device *d) { return d->api->describe ? d->api->describe(d->self) : d->name; }
dr_status dr_device_list(const dr_component *backend, int64_t index, char *text, size_t bytes)
{
    const dr_backend api = read_api(backend->iface);
    return api.list ? api.list(index, text, bytes) : DR_ENOTFOUND;
}

bool dr_device_option(const dr_device *d, const char *name, double *value)
{
    const dr_param *p;
    for (int i = 0; (p = dr_param_at(d->component, i)); i++) {
        if (strcmp(p->name, name) == 0) return dr_param_read(d->component, d->self, name, value) == DR_OK;
    }
    return false;
}

bool dr_device_computes(dr_device *d, dr_dtype dtype) { return dr_device_kernel(d, "conv2d", dtype) != NULL; }
dr_status dr_device_sync(dr_device *d) { return d->api->sync ? d->api->sync(d->self) : DR_OK; }

void dr_device_memory(const dr_device *d, size_t *in_use, size_t *peak, size_t *reserved)
{
    if (in_use) *in_use = d->in_use;
    if (peak) *peak = d->peak;
    if (reserved) *reserved = d->reserved;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static int64_t first_of_size(const dr_block_list *c, size_t bytes) /* index of the first block with at least bytes */
{
    int64_t low = 0, high = c->n;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (c->v[middle].bytes < bytes) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Free blocks that do not fit are kept only as far as tensors have once needed that much memory together. */
static void make_room(dr_device *d, size_t bytes)
{
    dr_block_list *c = d->cache;
    const size_t needed = d->in_use + bytes > d->peak ? d->in_use + bytes : d->peak;
    while (c->n > 0 && c->v[c->n - 1].bytes >= LARGE && d->reserved + bytes > needed) {
        c->n--; /* the largest */
        d->api->free(d->self, c->v[c->n].data);
        d->reserved -= c->v[c->n].bytes;
    }
}

static void *take(dr_device *d, size_t *bytes)
{
    dr_block_list *c = d->cache;
    const int64_t i = first_of_size(c, *bytes);
    const size_t slack = *bytes < LARGE ? *bytes : *bytes / 8; /* a much larger block is worth more to a larger tensor */
    if (i < c->n && c->v[i].bytes <= *bytes + slack) {
        void *data = c->v[i].data;
        *bytes = c->v[i].bytes;
        memmove(c->v + i, c->v + i + 1, (size_t)(c->n - i - 1) * sizeof *c->v);
        c->n--;
        return data;
    }
    if (*bytes >= LARGE) make_room(d, *bytes);
    void *data = d->api->alloc(d->self, *bytes);
    if (!data && (c->n > 0 || d->arena)) { /* full of blocks of other sizes: give those back and try again */
        if (!d->arena_in_use) dr_device_drop_arena(d);
        empty_cache(d);
        data = d->api->alloc(d->self, *bytes);
    }
    if (data) d->reserved += *bytes;
    return data;
}

static void give(dr_device *d, void *data, size_t bytes)
{
    dr_block_list *c = d->cache;
    if (c->n == c->capacity) {
        const int64_t capacity = c->capacity ? 2 * c->capacity : 64;
        struct free_block *v = realloc(c->v, (size_t)capacity * sizeof *v);
        if (!v) {
            d->api->free(d->self, data);
            d->reserved -= bytes;
            return;
        }
        c->v = v;
        c->capacity = capacity;
    }
    const int64_t i = first_of_size(c, bytes);
    memmove(c->v + i + 1, c->v + i, (size_t)(c->n - i) * sizeof *c->v);
    c->v[i].data = data;
    c->v[i].bytes = bytes;
    c->n++;
}

dr_storage *dr_storage_new(dr_device *d, size_t bytes)
{
    const size_t unit = bytes < LARGE ? ALIGNMENT : PAGE;
    size_t rounded = bytes == 0 ? unit : (bytes + unit - 1) / unit * unit;
    dr_storage *s = calloc(1, sizeof *s);
    void *data = s ? take(d, &rounded) : NULL;
    if (!data) {
        free(s);
        dr_fail(DR_ENOMEM, "device %s: out of memory: %.1f MiB asked for, %.1f MiB in use", d->name, (double)bytes / 1048576.0,
                (double)d->in_use / 1048576.0);
        return NULL;
    }
    *s = (dr_storage){ .refs = 1, .device = d, .data = data, .bytes = rounded, .id = storages_made++ };
    d->in_use += rounded;
    if (d->in_use > d->peak) d->peak = d->in_use;
    return s;
}

dr_storage *dr_storage_around(dr_device *d, void *data, size_t bytes)
{
    dr_storage *s = calloc(1, sizeof *s);
    if (s) *s = (dr_storage){ .refs = 1, .device = d, .data = data, .bytes = bytes, .id = storages_made++ };
    else dr_fail(DR_ENOMEM, "out of memory for a tensor");
    return s;
}

int64_t dr_storage_next_id(void) { return storages_made; }

void dr_storage_release(dr_storage *s)
{
    if (!s || --s->refs > 0) return;
    dr_record_freed(s);
    if (s->frozen && s->device->api->forget) s->device->api->forget(s->device->self, s->data, s->bytes);
    if (s->in_place) {
        dr_in_place_gone(s);
    } else {
        s->device->in_use -= s->bytes;
        give(s->device, s->data, s->bytes);
    }
    free(s);
}

/* The memory that plans run in. What it held is lost when it grows or goes; so is what was in it of another user. */
dr_storage *dr_device_arena(dr_device *d, size_t bytes, const void *user)
{
    if (!d->arena || d->arena->bytes < bytes) {
        dr_device_drop_arena(d);
        dr_device_trim(d); /* else the process would hold both */
        d->arena = dr_storage_new(d, bytes);
    }
    d->arena_user = user;
    return d->arena;
}

void dr_device_drop_arena(dr_device *d)
{
    if (!d->arena) return;
    dr_storage_release(d->arena);
    d->arena = NULL;
    d->arena_user = NULL;
    dr_device_trim(d);
}

/* A function will run as written, and need memory of its own. Graphs are bound to the arena, so there it stays as long as
 * there is memory beside it: see take(). */
void dr_device_spare_arena(dr_device *d)
{
    if (!d->api->graph_begin) dr_device_drop_arena(d);
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

static dr_kernel_memo *memo_slot(dr_kernel_memo *memo, int64_t capacity, const char *op, int32_t dtype)
{
    const uint64_t hash = ((uint64_t)(uintptr_t)op >> 3) * 0x9E3779B97F4A7C15u + (uint64_t)dtype * 0xD1B54A32D192ED03u;
    int64_t i = (int64_t)(hash >> 20) & (capacity - 1);
    while (memo[i].op && !(memo[i].op == op && memo[i].dtype == dtype)) i = (i + 1) & (capacity - 1);
    return &memo[i];
}

/* A library with ops in it may go, and another's names may come to lie where its own did. */
void dr_device_forget_kernels(void)
{
    for (dr_device *d = devices; d; d = d->next) {
        if (d->api->sync) d->api->sync(d->self); /* a kernel of it may be at work */
        free(d->memo);
        d->memo = NULL;
        d->memo_count = d->memo_capacity = 0;
    }
}

static dr_kernel find_kernel(dr_device *d, const char *op, dr_dtype dtype)
{
    dr_kernel own = d->api->kernel(d->self, op, dtype);
    return own ? own : dr_plugin_kernel(d->component->name, op, dtype);
}

dr_kernel dr_device_kernel(dr_device *d, const char *op, dr_dtype dtype)
{
    if (2 * d->memo_count >= d->memo_capacity) {
        const int64_t capacity = d->memo_capacity ? 2 * d->memo_capacity : 256;
        dr_kernel_memo *memo = calloc((size_t)capacity, sizeof *memo);
        if (!memo) return find_kernel(d, op, dtype);
        for (int64_t i = 0; i < d->memo_capacity; i++) {
            if (d->memo[i].op) *memo_slot(memo, capacity, d->memo[i].op, d->memo[i].dtype) = d->memo[i];
        }
        free(d->memo);
        d->memo = memo;
        d->memo_capacity = capacity;
    }
    dr_kernel_memo *m = memo_slot(d->memo, d->memo_capacity, op, (int32_t)dtype);
    if (!m->op) {
        *m = (dr_kernel_memo){ .op = op, .dtype = (int32_t)dtype, .kernel = find_kernel(d, op, dtype) };
        d->memo_count++;
    }
    return m->kernel;
}
