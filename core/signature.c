/* signature.c: the text that says how a C function is called: "real(real,int)", of real, int, bool, string, tensor and
 * void. Read when a plugin is loaded and when a function is called. */
#include "drift.h"

#include <string.h>

static char read_type(const char **at)
{
    static const char *const name[] = { "real", "int", "bool", "string", "tensor", "void" };
    while (**at == ' ') (*at)++;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        const size_t n = strlen(name[i]);
        if (strncmp(*at, name[i], n) != 0) continue;
        *at += n;
        while (**at == ' ') (*at)++;
        return name[i][0];
    }
    return '\0';
}

bool dr_signature_read(const char *text, dr_signature *s)
{
    *s = (dr_signature){ 0 };
    if (!text) return false;
    s->result = read_type(&text);
    if (!s->result || *text++ != '(') return false;
    while (*text == ' ') text++;
    while (*text != ')') {
        if (s->n == DR_SIGNATURE_ARGUMENTS) return false;
        const char type = read_type(&text);
        if (type == 'v' && s->n == 0 && *text == ')') break;
        if (!type || type == 'v') return false;
        s->argument[s->n++] = type;
        if (*text == ',') {
            text++;
        } else if (*text != ')') {
            return false;
        }
    }
    return text[1] == '\0';
}
