/* symbols.c: see symbols.h. Files are mapped and read within their bounds: a plugin is input from outside. */
#define _GNU_SOURCE
#include "symbols.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct elf_file {
    const unsigned char *data;
    size_t bytes;
} elf_file;
typedef struct elf_symbols {
    const Elf64_Sym *v;
    size_t n;
    const char *names;
    size_t names_bytes;
} elf_symbols;

static elf_file map_file(const char *path)
{
    elf_file f = { NULL, 0 };
    struct stat s;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return f;
    if (fstat(fd, &s) == 0 && s.st_size > (off_t)sizeof(Elf64_Ehdr)) {
        void *p = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p != MAP_FAILED) f = (elf_file){ p, (size_t)s.st_size };
    }
    close(fd);
    return f;
}

static void unmap(elf_file *f)
{
    if (f->data) munmap((void *)(uintptr_t)f->data, f->bytes);
}

static bool within(const elf_file *f, uint64_t offset, uint64_t bytes)
{
    return offset <= f->bytes && bytes <= f->bytes - offset;
}

static bool symbols_of(const elf_file *f, uint32_t type, elf_symbols *out)
{
    Elf64_Ehdr head;
    if (!f->data) return false;
    memcpy(&head, f->data, sizeof head);
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        head.e_shentsize != sizeof(Elf64_Shdr) || head.e_shoff % 8 ||
        !within(f, head.e_shoff, (uint64_t)head.e_shnum * sizeof(Elf64_Shdr)))
        return false;
    const Elf64_Shdr *section = (const void *)(f->data + head.e_shoff);
    for (int i = 0; i < head.e_shnum; i++) {
        const Elf64_Shdr *s = &section[i];
        if (s->sh_type != type || s->sh_link >= head.e_shnum || s->sh_offset % 8 ||
            !within(f, s->sh_offset, s->sh_size))
            continue;
        const Elf64_Shdr *names = &section[s->sh_link];
        if (!within(f, names->sh_offset, names->sh_size) || names->sh_size == 0 ||
            f->data[names->sh_offset + names->sh_size - 1])
            continue;
        *out = (elf_symbols){ (const void *)(f->data + s->sh_offset), s->sh_size / sizeof(Elf64_Sym),
                              (const char *)(f->data + names->sh_offset), names->sh_size };
        return true;
    }
    return false;
}

static const char *name_of(const elf_symbols *s, const Elf64_Sym *sym)
{
    return sym->st_name < s->names_bytes ? s->names + sym->st_name : "";
}

static bool find_name(const elf_file *f, uint32_t type, uint64_t offset, char *text, size_t bytes)
{
    elf_symbols s;
    if (!symbols_of(f, type, &s)) return false;
    for (size_t i = 0; i < s.n; i++) {
        const Elf64_Sym *sym = &s.v[i];
        if (ELF64_ST_TYPE(sym->st_info) != STT_FUNC || offset < sym->st_value || offset >= sym->st_value + sym->st_size)
            continue;
        const char *name = name_of(&s, sym);
        snprintf(text, bytes, "%.*s", (int)strcspn(name, "."), name); /* without .part.0, .constprop.0 */
        return true;
    }
    return false;
}

void symbol_at(const void *address, char *text, size_t bytes)
{
    Dl_info info;
    if (!dladdr(address, &info) || !info.dli_fname) {
        snprintf(text, bytes, "%p", address);
        return;
    }
    const uint64_t offset = (uint64_t)((const char *)address - (const char *)info.dli_fbase);
    elf_file f = map_file(info.dli_fname);
    const char *file = strrchr(info.dli_fname, '/');
    if (!find_name(&f, SHT_SYMTAB, offset, text, bytes) && !find_name(&f, SHT_DYNSYM, offset, text, bytes))
        snprintf(text, bytes, "%s+0x%llx", file ? file + 1 : info.dli_fname, (unsigned long long)offset);
    unmap(&f);
}

typedef struct around {
    const char *address, *from, *to;
} around;

static int look_at(struct dl_phdr_info *info, size_t size, void *ctx)
{
    around *a = ctx;
    const char *from = NULL, *to = NULL;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD) continue;
        const char *start = (const char *)(uintptr_t)(info->dlpi_addr + p->p_vaddr), *end = start + p->p_memsz;
        if (!from || start < from) from = start;
        if (!to || end > to) to = end;
    }
    if (!from || a->address < from || a->address >= to) return 0;
    a->from = from, a->to = to;
    return 1;
}

bool code_around(const void *address, const void **from, const void **to)
{
    around a = { .address = address };
    if (!dl_iterate_phdr(look_at, &a)) return false;
    *from = a.from, *to = a.to;
    return true;
}

int exported_beside(const char *path, const char *expected, char *text, size_t bytes)
{
    static const char *const linkers[] = { "_init", "_fini", "_end", "_edata", "__bss_start" };
    elf_symbols s;
    elf_file f = map_file(path);
    int n = 0;
    text[0] = '\0';
    for (size_t i = 1; symbols_of(&f, SHT_DYNSYM, &s) && i < s.n; i++) {
        const Elf64_Sym *sym = &s.v[i];
        const char *name = name_of(&s, sym);
        bool ours = strcmp(name, expected) == 0 || sym->st_shndx == SHN_UNDEF ||
                    ELF64_ST_BIND(sym->st_info) == STB_LOCAL || !*name;
        ours = ours || strncmp(name, "_ZNSt", 5) == 0 || strncmp(name, "_ZNKSt", 6) == 0 ||
               strncmp(name, "_ZSt", 4) == 0; /* C++'s own */
        ours = ours || strncmp(name, "__odr_asan", 10) == 0 || strncmp(name, "__start_dr_", 11) == 0 ||
               strncmp(name, "__stop_dr_", 10) == 0; /* the linker makes them */
        for (size_t k = 0; k < sizeof linkers / sizeof *linkers; k++) ours = ours || strcmp(name, linkers[k]) == 0;
        if (ours) continue;
        const size_t at = strlen(text);
        if (n < 5 && at + strlen(name) + 3 < bytes) snprintf(text + at, bytes - at, "%s%s", at ? ", " : "", name);
        n++;
    }
    unmap(&f);
    return n;
}
