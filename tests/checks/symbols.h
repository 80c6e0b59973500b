/* symbols.h: names of functions in loaded files, and what a shared object exports, read from its ELF file. */
#ifndef DRIFT_CHECK_SYMBOLS_H
#define DRIFT_CHECK_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>

/* "step" where the file has a symbol there, also a static one; "my.so+0x1234" where it was stripped. */
void symbol_at(const void *address, char *text, size_t bytes);
bool code_around(const void *address, const void **from, const void **to); /* of the loaded file that it lies in */
/* Names that a shared object exports beside `expected`, joined by ", ", as many as fit; how many there are. */
int exported_beside(const char *path, const char *expected, char *text, size_t bytes);

#endif
