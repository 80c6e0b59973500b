/* memory.h: the host's memory as drift check sees it: every block of malloc is counted (interposed_malloc.c), and
 * those that the checked plugin asks for can be refused. Programs that do not count have NULL here: the tests in
 * ctest, and what is built with AddressSanitizer, which has a malloc of its own. */
#ifndef DRIFT_CHECK_MEMORY_H
#define DRIFT_CHECK_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct check_memory {
    void (*watch)(bool on);            /* on: forgets what was seen, and follows blocks from now on */
    int64_t (*left)(void);             /* blocks made since then and still there, less those from before that went */
    void (*describe)(char *text, size_t bytes); /* "2 blocks: 40 bytes of make_table in bad.so+0x1234, ..." */
    void (*refuse)(int64_t nth);       /* the plugin's nth block from now on is refused, 1 being the next; 0: none */
    int64_t (*asked)(void);            /* blocks that the plugin asked for since refuse() was called */
} check_memory;
extern const check_memory *check_memory_of; /* NULL: blocks are not counted */

/* Where the checked file's code and the program's lie, for refuse and describe: [from, to) of the addresses. */
void check_memory_code(const void *from, const void *to);

#endif
