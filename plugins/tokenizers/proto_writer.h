/* proto_writer.h: fields of a protocol buffer, appended to growing bytes. A message is written into bytes of its own
 * and then appended as a field. Running out of memory is remembered in `failed`: it is asked for once, at the end. */
#ifndef DRIFT_TOKENIZERS_PROTO_WRITER_H
#define DRIFT_TOKENIZERS_PROTO_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct proto {
    uint8_t *data; /* to be freed with proto_free */
    size_t n, room;
    bool failed;
} proto;

void proto_number(proto *p, uint32_t field, uint64_t value); /* int, enum, bool */
void proto_float(proto *p, uint32_t field, float value);
void proto_bytes(proto *p, uint32_t field, const void *data, size_t n); /* text, bytes */
void proto_message(proto *p, uint32_t field, const proto *message);
void proto_clear(proto *p); /* empty again; keeps its memory */
void proto_free(proto *p);

#endif
