/* Reading and writing the bytes of a small hash; the drawing is in packed.h. */
#include "packed.h"

#include "tarn/base/buf.h"

bool packed_find(struct strview hash, struct strview name, struct packed_field *out)
{
    const unsigned char *base = (const unsigned char *)hash.data;
    const bool has_expiries = packed_has_expiries(hash);
    const unsigned char *p = base + packed_head_bytes(has_expiries);
    for (unsigned left = packed_count(hash); left > 0; left--) {
        const unsigned char *end = packed_read(p, has_expiries, &out->field);
        if (strview_eq(out->field.name, name)) {
            out->at = (size_t)(p - base);
            out->size = (size_t)(end - p);
            return true;
        }
        p = end;
    }
    out->at = (size_t)(p - base);
    out->size = 0;
    return false;
}

static char *write_bytes(char *p, struct strview v)
{
    p = (char *)varint_write((unsigned char *)p, v.len);
    if (v.len > 0) {
        memcpy(p, v.data, v.len);
    }
    return p + v.len;
}

char *packed_write(char *p, bool has_expiries, const struct hashmap_field *field)
{
    if (has_expiries) {
        packed_write_expiry(p, field->expires_at_ms);
        p += PACKED_EXPIRY_BYTES;
    }
    return write_bytes(write_bytes(p, field->name), field->value);
}

void hashmap_pack(struct buf *out, const struct strview *pairs, size_t count)
{
    size_t bytes = PACKED_HEAD_BYTES;
    assert(count <= HASHMAP_PACK_MAX);
    for (size_t i = 0; i < count; i++) {
        size_t more = packed_field_bytes(false, pairs[2 * i].len, pairs[2 * i + 1].len);
        bytes += more; /* the pairs lie in memory, so their sum fits */
    }
    if (!buf_reserve(out, bytes)) {
        return;
    }
    char *p = buf_tail(out);
    p[0] = 0;
    packed_write_count(p, (unsigned)count);
    p += PACKED_HEAD_BYTES;
    for (size_t i = 0; i < count; i++) {
        const struct hashmap_field field = {.name = pairs[2 * i], .value = pairs[2 * i + 1]};
        p = packed_write(p, false, &field);
    }
    buf_commit(out, bytes);
}
