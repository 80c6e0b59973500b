/* proto_writer.c: see proto_writer.h. A field is a key, number << 3 | wire type, and a value; numbers come in groups of
 * seven bits, the lowest first. */
#include "proto_writer.h"

#include <stdlib.h>
#include <string.h>

static void append(proto *p, const void *data, size_t n)
{
    if (p->failed) return;
    if (n > p->room - p->n) {
        const size_t room = 2 * (p->n + n);
        uint8_t *more = realloc(p->data, room);
        p->failed = !more;
        if (!more) return;
        p->data = more;
        p->room = room;
    }
    if (n > 0) memcpy(p->data + p->n, data, n);
    p->n += n;
}

static void varint(proto *p, uint64_t value)
{
    uint8_t byte[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) byte[n++] = (uint8_t)(value | 0x80);
    byte[n++] = (uint8_t)value;
    append(p, byte, n);
}

void proto_number(proto *p, uint32_t field, uint64_t value)
{
    varint(p, field << 3);
    varint(p, value);
}

void proto_float(proto *p, uint32_t field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    varint(p, field << 3 | 5);
    append(p, (uint8_t[]){ (uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16), (uint8_t)(bits >> 24) }, 4);
}

void proto_bytes(proto *p, uint32_t field, const void *data, size_t n)
{
    varint(p, field << 3 | 2);
    varint(p, n);
    append(p, data, n);
}

void proto_message(proto *p, uint32_t field, const proto *message)
{
    proto_bytes(p, field, message->data, message->n);
    p->failed = p->failed || message->failed;
}

void proto_clear(proto *p) { p->n = 0; }

void proto_free(proto *p)
{
    free(p->data);
    *p = (proto){ 0 };
}
