/* report.c: see report.h. */
#include "report.h"

#include <jansson.h>

void report_open(report *r, bool json) { *r = (report){ .json = json, .lines = json ? json_array() : NULL }; }

static void indented(const char *text)
{
    while (*text) {
        const size_t n = strcspn(text, "\n");
        printf("             %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

void report_line(report *r, check_outcome outcome, const char *what, const char *promise, const char *text)
{
    static const char *const word[] = { "ok", "FAILED", "skipped" };
    const bool note = outcome == CHECK_OK && text && text[0];
    if (outcome == CHECK_FAILED) r->failed++;
    else if (outcome == CHECK_SKIPPED) r->skipped++;
    else if (note) r->notes++;
    else r->ok++;
    if (r->json) {
        json_array_append_new(r->lines, json_pack("{s:s, s:s, s:s, s:s}", "outcome",
                                                  note                      ? "note"
                                                  : outcome == CHECK_FAILED ? "failed"
                                                                            : word[outcome],
                                                  "component", what, "check", promise, "message", text ? text : ""));
        return;
    }
    printf("%-8s %s: %s", note ? "note" : word[outcome], what, promise);
    if (outcome == CHECK_SKIPPED) printf(" (%s)", text);
    printf("\n");
    if (outcome == CHECK_FAILED || note) indented(text);
    fflush(stdout);
}

int report_close(report *r)
{
    if (r->json) {
        json_t *all = json_pack("{s:I, s:I, s:I, s:o}", "ok", (json_int_t)r->ok, "failed", (json_int_t)r->failed,
                                "skipped", (json_int_t)r->skipped, "checks", r->lines);
        json_dumpf(all, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(all);
    } else {
        printf("%lld ok, %lld failed, %lld skipped\n", (long long)r->ok, (long long)r->failed, (long long)r->skipped);
    }
    return r->failed > 0;
}
