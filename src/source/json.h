/*
 * As much JSON as the shapes need: strings and binary written, texts checked.
 */
#ifndef TARN_SOURCE_JSON_H
#define TARN_SOURCE_JSON_H

#include <stdbool.h>

#include "tarn/base/buf.h"
#include "tarn/base/strview.h"

#define JSON_DEPTH_MAX 512 /* arrays and objects within each other */

/* Appends the text in quotes. The text is UTF-8; other bytes are copied as they are. */
void json_write_string(struct buf *out, struct strview text);
/* Appends binary in quotes, as base64 (RFC 4648 with padding) or lower-case hex. */
void json_write_base64(struct buf *out, struct strview bytes);
void json_write_hex(struct buf *out, struct strview bytes);

/* One JSON value with nothing but blanks around it (RFC 8259). Does not look into UTF-8. */
bool json_is_valid(struct strview text);

/* Appends the text with each ill-formed sequence replaced by U+FFFD. */
void utf8_replace_invalid(struct buf *out, struct strview text);

#endif
