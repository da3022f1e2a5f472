/*
 * Writing and reading the bytes of an entry; the drawing is in entry.h. Knows nothing of segments
 * or indexes.
 */
#include "entry.h"

unsigned char *entry_write_head(unsigned char *e, const struct entry_shape *shape)
{
    unsigned flags = (unsigned)shape->type;
    flags |= shape->aux != NULL ? ENTRY_HAS_AUX : 0;
    flags |= shape->is_large ? ENTRY_IS_LARGE : 0;
    flags |= shape->is_reloadable ? ENTRY_IS_RELOADABLE : 0;
    flags |= shape->expires_at_ms != STORE_NO_EXPIRY ? ENTRY_HAS_EXPIRY : 0;
    e[0] = (unsigned char)flags;
    e[1] = (unsigned char)(shape->space | (shape->is_key_large ? ENTRY_KEY_IS_LARGE : 0) |
                           (shape->owns_object ? ENTRY_OWNS_OBJECT : 0));
    unsigned char *p = e + 2;
    if (shape->expires_at_ms != STORE_NO_EXPIRY) {
        entry_write_expiry(e, shape->expires_at_ms);
        p += ENTRY_EXPIRY_BYTES;
    }
    p = varint_write(p, shape->key_len);
    p = varint_write(p, shape->value_len);
    if (shape->aux != NULL) {
        memcpy(p, shape->aux, STORE_AUX_BYTES);
        p += STORE_AUX_BYTES;
    }
    return p;
}

static unsigned char *after_key_len(unsigned char *e)
{
    size_t key_len;
    const unsigned char *p = e + 2 + ((e[0] & ENTRY_HAS_EXPIRY) != 0 ? ENTRY_EXPIRY_BYTES : 0);
    return e + (varint_read(p, &key_len) - e);
}

void entry_write_value_len(unsigned char *e, size_t value_len)
{
    (void)varint_write(after_key_len(e), value_len);
}

void entry_write_large(unsigned char *e, struct large *large)
{
    struct entry_parts parts;
    entry_parse(e, &parts);
    size_t key_len = (e[1] & ENTRY_KEY_IS_LARGE) != 0 ? 0 : parts.key_len;
    unsigned char *p = after_key_len(e) + varint_bytes(parts.value_len);
    p += (parts.aux != NULL ? STORE_AUX_BYTES : 0) + key_len;
    memcpy(p, &large, sizeof(large));
}

void entry_parse(unsigned char *e, struct entry_parts *out)
{
    unsigned char flags = e[0];
    size_t key_len, value_len;
    const unsigned char *q = e + 2 + ((flags & ENTRY_HAS_EXPIRY) != 0 ? ENTRY_EXPIRY_BYTES : 0);
    q = varint_read(q, &key_len);
    q = varint_read(q, &value_len);
    unsigned char *p = e + (q - e);
    *out = (struct entry_parts){
        .head = e,
        .key_len = key_len,
        .value_len = value_len,
        .expires_at_ms = entry_expiry(e),
        .flags = flags,
        .space = e[1] & ENTRY_SPACE_MASK,
    };
    if ((flags & ENTRY_HAS_AUX) != 0) {
        out->aux = p;
        p += STORE_AUX_BYTES;
    }
    bool is_key_large = (e[1] & ENTRY_KEY_IS_LARGE) != 0;
    if (!is_key_large) {
        out->key = (char *)p;
        p += key_len;
    }
    if ((flags & ENTRY_IS_LARGE) == 0) {
        out->value = (char *)p;
        p += value_len;
    } else {
        memcpy(&out->large, p, sizeof(out->large));
        out->key = is_key_large ? out->large->data : out->key;
        out->value = is_key_large ? out->large->data + key_len : out->large->data;
        p += sizeof(out->large);
    }
    if (UNLIKELY((e[1] & ENTRY_OWNS_OBJECT) != 0) && (flags & ENTRY_IS_DEAD) == 0) {
        assert(value_len >= sizeof(out->object));
        memcpy(&out->object, out->value + value_len - sizeof(out->object), sizeof(out->object));
    }
    out->size = ((uint32_t)(p - e) + ENTRY_ALIGN - 1) & ~(ENTRY_ALIGN - 1);
}

uint32_t entry_size(const unsigned char *e)
{
    if (entry_is_filler(e)) {
        return filler_size(e);
    }
    size_t key_len, value_len;
    const unsigned char *p = e + 2 + ((e[0] & ENTRY_HAS_EXPIRY) != 0 ? ENTRY_EXPIRY_BYTES : 0);
    p = varint_read(p, &key_len);
    p = varint_read(p, &value_len);
    p += (e[0] & ENTRY_HAS_AUX) != 0 ? STORE_AUX_BYTES : 0;
    p += (e[1] & ENTRY_KEY_IS_LARGE) != 0 ? 0 : key_len;
    p += (e[0] & ENTRY_IS_LARGE) != 0 ? sizeof(struct large *) : value_len;
    return ((uint32_t)(p - e) + ENTRY_ALIGN - 1) & ~(ENTRY_ALIGN - 1);
}

void entry_view_fill_any(unsigned char *e, struct entry_view *out)
{
    struct entry_parts parts;
    entry_parse(e, &parts);
    *out = (struct entry_view){
        .key = strview_of(parts.key, parts.key_len),
        .value = strview_of(parts.value, parts.value_len),
        .expires_at_ms = parts.expires_at_ms,
        .type = (enum entry_type)(parts.flags & ENTRY_TYPE_MASK),
        .aux = parts.aux,
    };
}
