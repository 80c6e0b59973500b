/* processor.c: what these files were compiled for, and the kernels' shared memory. */
#include "cpu_backend.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Only the features that the compiler was allowed to use are asked for. */
const char *dr_cpu_missing_feature(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
#ifdef __AVX2__
    if (!__builtin_cpu_supports("avx2")) return "AVX2";
#endif
#ifdef __FMA__
    if (!__builtin_cpu_supports("fma")) return "FMA";
#endif
#ifdef __AVX512F__
    if (!__builtin_cpu_supports("avx512f")) return "AVX-512F";
#endif
#ifdef __AVX512BW__
    if (!__builtin_cpu_supports("avx512bw")) return "AVX-512BW";
#endif
#ifdef __AVX512DQ__
    if (!__builtin_cpu_supports("avx512dq")) return "AVX-512DQ";
#endif
#ifdef __AVX512VL__
    if (!__builtin_cpu_supports("avx512vl")) return "AVX-512VL";
#endif
#ifdef __AVX512VBMI2__
    if (!__builtin_cpu_supports("avx512vbmi2")) return "AVX-512VBMI2";
#endif
#ifdef __AVX512BF16__
    if (!__builtin_cpu_supports("avx512bf16")) return "AVX512-BF16";
#endif
#endif
    return NULL;
}

const char *dr_cpu_instruction_set(void)
{
#if defined(__AVX512F__)
    return "AVX-512";
#elif defined(__AVX2__)
    return "AVX2";
#elif defined(__x86_64__)
    return "SSE2";
#else
    return "the compiler's default instructions";
#endif
}

const char *dr_cpu_name(void)
{
    static char name[96];
    char line[256];
    if (*name) return name;
    snprintf(name, sizeof name, "unknown processor");
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f) return name;
    while (fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(name, sizeof name, "%s", colon + 1 + strspn(colon + 1, " "));
        break;
    }
    fclose(f);
    return name;
}

void *dr_cpu_workspace(const dr_kargs *a, size_t bytes)
{
    cpu *self = a->backend;
    if (bytes <= self->workspace_bytes) return self->workspace;
    const size_t huge = (size_t)2 << 20, page = bytes >= huge ? huge : 4096; /* fewer misses of the page table */
    const size_t rounded = (bytes + page - 1) / page * page;
    free(self->workspace);
    self->workspace_bytes = 0;
    self->workspace = aligned_alloc(page, rounded);
    if (!self->workspace) {
        dr_fail(DR_ENOMEM, "%s: no memory for %zu bytes of intermediate results", a->op, bytes);
        return NULL;
    }
    if (page == huge) (void)madvise(self->workspace, rounded, MADV_HUGEPAGE); /* a hint: the result changes nothing */
    self->workspace_bytes = rounded;
    return self->workspace;
}
