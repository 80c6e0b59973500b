/* interposed_malloc.c: the malloc of drift check: glibc's, with every block counted while it is watched, and the nth
 * one that the checked plugin asks for refused. A program's own malloc is everybody's, so libraries and plugins come
 * here too. Blocks are told apart by who asked: the address that malloc returns to. Not where AddressSanitizer has a
 * malloc of its own. */
#include "memory.h"
#include "symbols.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#if defined __GLIBC__ && !defined __SANITIZE_ADDRESS__

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *p);

enum { SLOTS = 1 << 16 };
static struct block {
    void *p;
    const void *from;
    size_t bytes;
} slot[SLOTS]; /* p NULL: free; GONE: was one */
static void *const GONE = (void *)(uintptr_t)1;
static int64_t used, older; /* older: blocks from before the watch that went: what lasts may be exchanged */
static _Bool watching;
static atomic_flag lock = ATOMIC_FLAG_INIT;
static const char *code_from, *code_to;
static int64_t asked, refused;

static void enter(void)
{
    while (atomic_flag_test_and_set(&lock)) continue;
}
static void leave(void) { atomic_flag_clear(&lock); }

static size_t place(const void *p) { return (size_t)(((uintptr_t)p >> 4) * 0x9E3779B97F4A7C15u >> 40) % SLOTS; }

static struct block *find(const void *p)
{
    for (size_t i = place(p), n = 0; n < SLOTS && slot[i].p; i = (i + 1) % SLOTS, n++) {
        if (slot[i].p == p) return &slot[i];
    }
    return NULL;
}

static void made(void *p, size_t bytes, const void *from)
{
    if (!watching || !p) return;
    enter();
    if (watching && used < SLOTS / 2) {
        size_t i = place(p);
        while (slot[i].p && slot[i].p != GONE) i = (i + 1) % SLOTS;
        slot[i] = (struct block){ p, from, bytes };
        used++;
    }
    leave();
}

static _Bool gone(const void *p) /* it was followed */
{
    if (!watching || !p) return 0;
    enter();
    struct block *b = find(p);
    if (b) b->p = GONE; /* stays used: the table is emptied with each watch */
    else __atomic_fetch_add(&older, 1, __ATOMIC_RELAXED);
    leave();
    return b != NULL;
}

static _Bool refuses(const void *from)
{
    const char *at = from;
    if (at < code_from || at >= code_to) return 0;
    const int64_t n = __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED);
    if (n != refused) return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t bytes)
{
    const void *from = __builtin_return_address(0);
    if (refuses(from)) return NULL;
    void *p = __libc_malloc(bytes);
    made(p, bytes, from);
    return p;
}

void *calloc(size_t n, size_t bytes)
{
    const void *from = __builtin_return_address(0);
    if (refuses(from)) return NULL;
    void *p = __libc_calloc(n, bytes);
    made(p, n * bytes, from);
    return p;
}

/* A block from before the watch stays one, however it grows. */
void *realloc(void *old, size_t bytes)
{
    const void *from = __builtin_return_address(0);
    if (refuses(from)) return NULL;
    const _Bool followed = gone(old);
    void *p = __libc_realloc(old, bytes);
    if (!p)
        return NULL; /* a followed one that stays is no longer followed: that tells of too little, not of too much */
    if (followed || !old) made(p, bytes, from);
    else if (watching) __atomic_fetch_sub(&older, 1, __ATOMIC_RELAXED); /* it did not go */
    return p;
}

static void *aligned(size_t alignment, size_t bytes, const void *from)
{
    if (refuses(from)) return NULL;
    void *p = __libc_memalign(alignment, bytes);
    made(p, bytes, from);
    return p;
}

void *memalign(size_t alignment, size_t bytes) { return aligned(alignment, bytes, __builtin_return_address(0)); }
void *aligned_alloc(size_t alignment, size_t bytes) { return aligned(alignment, bytes, __builtin_return_address(0)); }

int posix_memalign(void **p, size_t alignment, size_t bytes)
{
    void *made_here = aligned(alignment, bytes, __builtin_return_address(0));
    if (made_here) *p = made_here;
    return made_here ? 0 : ENOMEM;
}

void free(void *p)
{
    gone(p);
    __libc_free(p);
}

/* ---- what checks ask --------------------------------------------------------------------------------------------- */

static void watch(_Bool on)
{
    enter();
    memset(slot, 0, sizeof slot);
    used = older = 0;
    watching = on;
    leave();
}

static int64_t left(void)
{
    int64_t n = 0;
    watching = 0;
    for (size_t i = 0; i < SLOTS; i++) n += slot[i].p && slot[i].p != GONE;
    return n > older ? n - older : 0;
}

static _Bool is_plugins(const struct block *b)
{
    return (const char *)b->from >= code_from && (const char *)b->from < code_to;
}

/* With the function that asked, the plugin's own first. */
static void describe(char *text, size_t bytes)
{
    int64_t others = 0, named = 0;
    size_t at = 0;
    watching = 0;
    text[0] = '\0';
    for (int own = 1; own >= 0; own--) {
        for (size_t i = 0; i < SLOTS; i++) {
            const struct block *b = &slot[i];
            char name[128];
            if (!b->p || b->p == GONE || is_plugins(b) != own) continue;
            if (named >= 4 || at + 256 > bytes) {
                others++;
                continue;
            }
            symbol_at(b->from, name, sizeof name);
            at += (size_t)snprintf(text + at, bytes - at, "%s%zu bytes that %s asked for%s", named++ ? ", " : "",
                                   b->bytes, name, own ? "" : " (not the plugin itself)");
        }
    }
    if (others) snprintf(text + at, bytes - at, ", and %lld more", (long long)others);
}

static void refuse(int64_t nth)
{
    __atomic_store_n(&asked, 0, __ATOMIC_RELAXED);
    refused = nth;
}

static int64_t asked_so_far(void) { return __atomic_load_n(&asked, __ATOMIC_RELAXED); }

void check_memory_code(const void *from, const void *to)
{
    static const check_memory counted = { watch, left, describe, refuse, asked_so_far };
    code_from = from, code_to = to;
    check_memory_of = &counted;
}

#else
void check_memory_code(const void *from, const void *to) { (void)from, (void)to; }
#endif
