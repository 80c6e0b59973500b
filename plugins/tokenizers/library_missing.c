/* library_missing.c: library.h where Drift was built without libsentencepiece: opening says what to install. */
#include "library.h"

#ifndef DRIFT_HAS_SENTENCEPIECE
#include <stdio.h>

static void explain(char *why)
{
    snprintf(why, LIBRARY_WHY,
             "this Drift was built without SentencePiece's library: install libsentencepiece-dev and g++ "
             "(Debian's names), then build again");
}

library_model *library_open(const void *model, size_t bytes, char *why)
{
    (void)model, (void)bytes;
    explain(why);
    return NULL;
}

void library_close(library_model *m) { (void)m; }

void library_info(const library_model *m, int64_t *pieces, int64_t *pad, int64_t *eos, int64_t *unk)
{
    (void)m;
    *pieces = 0;
    *pad = *eos = *unk = -1;
}

bool library_encode(library_model *m, const char *text, size_t bytes, const int32_t **ids, int64_t *n,
                    const char **normal, size_t *length, char *why)
{
    (void)m, (void)text, (void)bytes, (void)ids, (void)n, (void)normal, (void)length;
    explain(why);
    return false;
}

bool library_decode(library_model *m, const int32_t *ids, int64_t n, const char **text, size_t *bytes, char *why)
{
    (void)m, (void)ids, (void)n, (void)text, (void)bytes;
    explain(why);
    return false;
}
#endif
