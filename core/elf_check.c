/* elf_check.c: whether a file can be a plugin, before dlopen sees it: a shared object of this machine that is all there.
 * dlopen maps what the program headers say, and the process dies of SIGBUS where the file ends earlier (a copy that was
 * stopped, a linker that is still writing); of other wrong files it says less than can be said.
 *   ELF header -> class, byte order, machine, type -> program headers and their segments -> section headers, which linkers
 *   write last: so a file that was cut anywhere is seen to be */
#include "registry.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#else
enum { MACHINE = EM_NONE }; /* not known here: dlopen says it */
#endif

static const char *machine_name(int machine)
{
    static const struct { int machine; const char *name; } known[] = {
        { EM_X86_64, "x86-64" }, { EM_AARCH64, "aarch64" }, { EM_386, "i386" }, { EM_ARM, "arm" }, { EM_RISCV, "riscv" },
        { EM_PPC64, "ppc64" }, { EM_S390, "s390" }
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].machine == machine) return known[i].name;
    }
    return "another processor";
}

static dr_status cut_short(const char *path)
{
    return dr_fail(DR_EFORMAT, "plugin %s: the file is cut short: it is still being written, or was not written to its end; build or "
                   "copy it again", path);
}

static dr_status check_header(const char *path, const Elf64_Ehdr *h)
{
    const int one = 1, order = *(const char *)&one ? ELFDATA2LSB : ELFDATA2MSB;
    if (h->e_ident[EI_CLASS] != ELFCLASS64) {
        return dr_fail(DR_EFORMAT, "plugin %s: it is built for 32-bit programs, and this is a 64-bit one; build it on this machine", path);
    }
    if (h->e_ident[EI_DATA] != order) {
        return dr_fail(DR_EFORMAT, "plugin %s: it is built for processors of the other byte order; build it on this machine", path);
    }
    if (MACHINE != EM_NONE && h->e_machine != MACHINE) {
        return dr_fail(DR_EFORMAT, "plugin %s: it is built for %s, and this is %s; build it on this machine", path,
                       machine_name(h->e_machine), machine_name(MACHINE));
    }
    if (h->e_type == ET_DYN) return DR_OK;
    return dr_fail(DR_EFORMAT, "plugin %s: it is %s, no shared object; link it with cc -shared -fPIC", path,
                   h->e_type == ET_REL ? "an object file" : h->e_type == ET_EXEC ? "a program" : "an ELF file of another type");
}

static bool holds(size_t bytes, uint64_t offset, uint64_t count, uint64_t each)
{
    return offset <= bytes && count * each <= bytes - offset; /* both are 16 bits wide */
}

static dr_status check_parts(const char *path, const unsigned char *data, size_t bytes, const Elf64_Ehdr *h)
{
    bool dynamic = false;
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0) {
        return dr_fail(DR_EFORMAT, "plugin %s: its ELF header is damaged; build it again", path);
    }
    if (!holds(bytes, h->e_phoff, h->e_phnum, h->e_phentsize) || !holds(bytes, h->e_shoff, h->e_shnum, h->e_shentsize)) {
        return cut_short(path);
    }
    for (int i = 0; i < h->e_phnum; i++) {
        Elf64_Phdr p;
        memcpy(&p, data + h->e_phoff + (size_t)i * sizeof p, sizeof p);
        if (p.p_offset > bytes || p.p_filesz > bytes - p.p_offset) return cut_short(path);
        dynamic |= p.p_type == PT_DYNAMIC;
    }
    if (dynamic) return DR_OK;
    return dr_fail(DR_EFORMAT, "plugin %s: it has no dynamic section; link it with cc -shared -fPIC", path);
}

dr_status dr_elf_check_bytes(const char *path, const unsigned char *data, size_t bytes)
{
    Elf64_Ehdr h;
    if (bytes == 0) return dr_fail(DR_EFORMAT, "plugin %s: the file is empty; build it again", path);
    if (bytes < SELFMAG || memcmp(data, ELFMAG, SELFMAG) != 0) {
        return dr_fail(DR_EFORMAT, "plugin %s: it is no shared object: it does not begin as an ELF file does", path);
    }
    if (bytes < sizeof h) return cut_short(path);
    memcpy(&h, data, sizeof h);
    return check_header(path, &h) == DR_OK ? check_parts(path, data, bytes, &h) : dr_failed();
}

static dr_status fail_to_open(const char *path, int why)
{
    char target[1024];
    const ssize_t n = readlink(path, target, sizeof target);
    if (why != ENOENT || n <= 0) return dr_fail(DR_EIO, "plugin %s: %s", path, strerror(why));
    return dr_fail(DR_EIO, "plugin %s: it is a link to %.*s, which is not there", path, (int)n, target);
}

dr_status dr_elf_check(const char *path)
{
    struct stat s;
    if (dr_failed()) return dr_failed();
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not be waited for */
    if (file < 0 || fstat(file, &s) != 0) {
        const int why = errno;
        if (file >= 0) close(file);
        return fail_to_open(path, why);
    }
    void *map = S_ISREG(s.st_mode) && s.st_size > 0 ? mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
    const int why = errno;
    close(file);
    if (S_ISDIR(s.st_mode)) return dr_fail(DR_EFORMAT, "plugin %s: it is a folder; name the shared object in it", path);
    if (!S_ISREG(s.st_mode)) return dr_fail(DR_EFORMAT, "plugin %s: it is no ordinary file", path);
    if (s.st_size == 0) return dr_elf_check_bytes(path, NULL, 0);
    if (map == MAP_FAILED) return dr_fail(DR_EIO, "plugin %s: %s", path, strerror(why));
    const dr_status status = dr_elf_check_bytes(path, map, (size_t)s.st_size);
    munmap(map, (size_t)s.st_size);
    return status;
}
