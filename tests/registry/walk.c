/* walk.c: loops over the registry, see walk.h. */
#include "walk.h"

const char *every_but;

static void print(const char *line) { print_message("%s\n", line); }

static bool is_of(const dr_component *c, const char *kind) { return !kind || is_kind(c, kind); }

void every(const char *kind, int64_t least, const char *promise)
{
    static char text[CHECK_TEXT];
    int64_t kept = 0;
    const check *what = check_find(kind, promise);
    if (!what) fail_msg("there is no check '%s' of kind %s", promise, kind ? kind : "any");
    check_note_sink = print;
    for (int64_t i = 0; i < dr_component_count(); i++) {
        const dr_component *c = dr_component_at(i);
        if (!is_of(c, kind) || (every_but && strcmp(c->name, every_but) == 0)) continue;
        print_message("    %s %s\n", c->kind, c->name);
        const check_outcome outcome = check_run(what, c, text);
        if (outcome == CHECK_FAILED) fail_msg("%s %s: %s: %s", c->kind, c->name, promise, text);
        if (outcome == CHECK_SKIPPED) print_message("        skipped: %s\n", text);
        kept += outcome == CHECK_OK;
    }
    check_note_sink = NULL;
    if (kept < least) fail_msg("only %lld components of kind %s keep it, of at least %lld", (long long)kept, kind ? kind : "any", (long long)least);
}

void for_each(const char *kind, int64_t least, void (*test)(const dr_component *c))
{
    int64_t tested = 0;
    for (int64_t i = 0; i < dr_component_count(); i++) {
        const dr_component *c = dr_component_at(i);
        if (!is_of(c, kind)) continue;
        print_message("    %s %s\n", c->kind, c->name);
        dr_scope_open();
        test(c);
        dr_scope_close();
        if (dr_failed()) fail_msg("%s %s: %s", c->kind, c->name, dr_error_message());
        tested++;
    }
    if (tested < least) fail_msg("only %lld components of kind %s", (long long)tested, kind ? kind : "any");
}
