/*
 * Values to and from the form of Redis's DUMP, see rdb_value.h.
 *
 * Reading makes the whole value before anybody's key is touched: a string is borrowed or unpacked,
 * a hash built apart. It refuses what Redis could not have written: fields that are there twice, a
 * hash without fields, bytes left over. Fields that are over are left out.
 */
#include "tarn/types/rdb_value.h"

#include "rdb_list.h"
#include "rdb_string.h"
#include "tarn/base/crc64.h"
#include "types_private.h"

enum rdb_type {
    TYPE_STRING = 0,
    TYPE_HASH = 4,
    TYPE_HASH_ZIPLIST = 13,
    TYPE_HASH_LISTPACK = 16,
    TYPE_HASH_2 = 22, /* Valkey's */
    TYPE_HASH_EXPIRIES = 24,
    TYPE_HASH_LISTPACK_EXPIRIES = 25,
};

#define FOOTER_BYTES       10u
#define CRC_BYTES          8u
#define VERSION_PLAIN      10u /* Redis 7.0 */
#define VERSION_EXPIRIES   12u /* Redis 7.4 */
#define VERSION_MAX        80u /* Valkey 9; what is not known is seen by the type */
#define VALKEY_NO_EXPIRY   UINT64_MAX
#define EXPIRY_FAR_WALL_MS (INT64_C(1) << 52) /* far beyond what a field keeps */

/* ---- writing ---- */

static void write_footer(struct buf *out, size_t start, unsigned version)
{
    const unsigned char bytes[2] = {(unsigned char)version, (unsigned char)(version >> 8)};
    (void)buf_append(out, bytes, sizeof(bytes));
    const struct strview all = buf_view(out);
    rdb_write_u64(out, crc64(0, all.data + start, all.len - start));
}

/* How many fields live, which a table does not know while some are over. */
static size_t count_live(const struct types *t, struct strview hash)
{
    struct hashmap_iter it;
    struct hashmap_field field;
    size_t count = 0;
    if (hashmap_due_ms(hash) > t->clock->mono_ms) {
        return hashmap_count(hash);
    }
    for (hashmap_begin(&it, t, hash); hashmap_next(&it, &field);) {
        count++;
    }
    return count;
}

/* The first expiry of a live field; STORE_NO_EXPIRY: none has one. */
static int64_t first_expiry(const struct types *t, struct strview hash)
{
    struct hashmap_iter it;
    struct hashmap_field field;
    int64_t first = STORE_NO_EXPIRY;
    if (hashmap_due_ms(hash) == STORE_NO_EXPIRY) {
        return first;
    }
    for (hashmap_begin(&it, t, hash); hashmap_next(&it, &field);) {
        first = field.expires_at_ms < first ? field.expires_at_ms : first;
    }
    return first;
}

static void write_hash(const struct types *t, struct strview hash, int64_t first, struct buf *out)
{
    struct hashmap_iter it;
    struct hashmap_field field;
    if (first != STORE_NO_EXPIRY) {
        rdb_write_u64(out, (uint64_t)clock_wall_from_mono(t->clock, first));
    }
    rdb_write_len(out, count_live(t, hash));
    hashmap_begin(&it, t, hash);
    while (!out->failed && hashmap_next(&it, &field)) {
        if (first != STORE_NO_EXPIRY) {
            const bool has_none = field.expires_at_ms == STORE_NO_EXPIRY;
            rdb_write_len(out, has_none ? 0 : (uint64_t)(field.expires_at_ms - first) + 1);
        }
        rdb_write_string(out, field.name);
        rdb_write_string(out, field.value);
    }
}

bool rdb_value_write(const struct types *t, enum entry_type type, struct strview value,
                     struct buf *out)
{
    const size_t start = buf_len(out);
    unsigned version = VERSION_PLAIN;
    if (type == ENTRY_STRING) {
        (void)buf_append_char(out, TYPE_STRING);
        rdb_write_string(out, value);
    } else {
        const int64_t first = first_expiry(t, value);
        const bool has_expiries = first != STORE_NO_EXPIRY;
        version = has_expiries ? VERSION_EXPIRIES : VERSION_PLAIN;
        (void)buf_append_char(out, has_expiries ? TYPE_HASH_EXPIRIES : TYPE_HASH);
        write_hash(t, value, first, out);
    }
    write_footer(out, start, version);
    return !out->failed;
}

/* ---- reading ---- */

/* A hash that is being read, and the field at hand. */
struct reading {
    struct types *types;
    struct rdb_reader in;
    struct hashmap_build *hash;
    struct rdb_string name, value;
    uint64_t count; /* fields met, over or not */
};

static enum rdb_result add_field(struct reading *r, struct strview name, struct strview value,
                                 int64_t expires_at_ms)
{
    const struct hashmap_field field = {
        .name = name, .value = value, .expires_at_ms = expires_at_ms};
    r->count++;
    switch (hashmap_build_add(r->hash, &field)) {
    case HASHMAP_BUILD_OK:
        return RDB_OK;
    case HASHMAP_BUILD_NO_MEMORY:
        return RDB_NO_MEMORY;
    case HASHMAP_BUILD_DUPLICATE:
        break;
    }
    return RDB_BAD_DATA;
}

/* Unix milliseconds to the monotonic clock; false: no time that a field could have. */
static bool expiry_of(const struct types *t, uint64_t wall_ms, int64_t *out)
{
    if (wall_ms > INT64_MAX) {
        return false;
    }
    *out = wall_ms >= EXPIRY_FAR_WALL_MS ? HASHMAP_EXPIRY_MAX_MS
                                         : clock_mono_from_wall(t->clock, (int64_t)wall_ms);
    return true;
}

static enum rdb_result read_name_and_value(struct reading *r)
{
    const enum rdb_result result = rdb_read_string(&r->in, &r->name);
    return result == RDB_OK ? rdb_read_string(&r->in, &r->value) : result;
}

/* Type 4. */
static enum rdb_result read_plain_field(struct reading *r, uint64_t first)
{
    (void)first;
    const enum rdb_result result = read_name_and_value(r);
    return result == RDB_OK ? add_field(r, r->name.text, r->value.text, STORE_NO_EXPIRY) : result;
}

/* Type 24: the expiry stands in front, less the first one. */
static enum rdb_result read_field_behind_expiry(struct reading *r, uint64_t first)
{
    uint64_t distance, wall_ms;
    int64_t at_ms = STORE_NO_EXPIRY;
    if (!rdb_read_len(&r->in, &distance) ||
        (distance > 0 &&
         (add_overflow(first, distance - 1, &wall_ms) || !expiry_of(r->types, wall_ms, &at_ms)))) {
        return RDB_BAD_DATA;
    }
    const enum rdb_result result = read_name_and_value(r);
    return result == RDB_OK ? add_field(r, r->name.text, r->value.text, at_ms) : result;
}

/* Type 22: the expiry stands behind. */
static enum rdb_result read_field_before_expiry(struct reading *r, uint64_t first)
{
    uint64_t wall_ms;
    int64_t at_ms = STORE_NO_EXPIRY;
    (void)first;
    const enum rdb_result result = read_name_and_value(r);
    if (result != RDB_OK) {
        return result;
    }
    if (!rdb_read_u64(&r->in, &wall_ms) ||
        (wall_ms != VALKEY_NO_EXPIRY && !expiry_of(r->types, wall_ms, &at_ms))) {
        return RDB_BAD_DATA;
    }
    return add_field(r, r->name.text, r->value.text, at_ms);
}

/* A count of fields, and so many of them. */
static enum rdb_result read_fields(struct reading *r, uint64_t first,
                                   enum rdb_result (*read_field)(struct reading *, uint64_t))
{
    uint64_t left;
    if (!rdb_read_len(&r->in, &left)) {
        return RDB_BAD_DATA;
    }
    enum rdb_result result = RDB_OK;
    for (; left > 0 && result == RDB_OK; left--) {
        result = read_field(r, first); /* ends with the bytes, whatever the count was */
    }
    return result;
}

static enum rdb_result read_list_field(struct reading *r, struct rdb_list *list,
                                       const struct rdb_element *name)
{
    struct rdb_element value, expiry;
    bool is_end;
    uint64_t wall_ms = 0;
    int64_t at_ms = STORE_NO_EXPIRY;
    if (!rdb_list_read(list, &value, &is_end) || is_end) {
        return RDB_BAD_DATA;
    }
    if (r->hash->has_expiries && (!rdb_list_read(list, &expiry, &is_end) || is_end ||
                                  !num_parse_u64(expiry.text, &wall_ms) ||
                                  (wall_ms > 0 && !expiry_of(r->types, wall_ms, &at_ms)))) {
        return RDB_BAD_DATA;
    }
    return add_field(r, name->text, value.text, at_ms);
}

/* A string that is a listpack or a ziplist. */
static enum rdb_result read_list(struct reading *r, bool is_ziplist)
{
    struct rdb_list list;
    struct rdb_element name;
    bool is_end;
    enum rdb_result result = rdb_read_string(&r->in, &r->value);
    if (result != RDB_OK) {
        return result;
    }
    if (!rdb_list_open(&list, r->value.text, is_ziplist)) {
        return RDB_BAD_DATA;
    }
    do {
        if (!rdb_list_read(&list, &name, &is_end)) {
            return RDB_BAD_DATA;
        }
        if (!is_end) {
            result = read_list_field(r, &list, &name);
        }
    } while (!is_end && result == RDB_OK);
    return result;
}

static enum rdb_result read_hash_of(struct reading *r, enum rdb_type type)
{
    uint64_t first;
    switch (type) {
    case TYPE_HASH:
        return read_fields(r, 0, read_plain_field);
    case TYPE_HASH_2:
        return read_fields(r, 0, read_field_before_expiry);
    case TYPE_HASH_EXPIRIES:
        return rdb_read_u64(&r->in, &first) ? read_fields(r, first, read_field_behind_expiry)
                                            : RDB_BAD_DATA;
    case TYPE_HASH_LISTPACK_EXPIRIES:
        return rdb_read_u64(&r->in, &first) ? read_list(r, false) : RDB_BAD_DATA;
    case TYPE_HASH_LISTPACK:
        return read_list(r, false);
    case TYPE_HASH_ZIPLIST:
        return read_list(r, true);
    case TYPE_STRING:
        break;
    }
    return RDB_BAD_DATA;
}

static enum rdb_result read_hash(struct types *t, enum rdb_type type, struct rdb_reader *in,
                                 struct rdb_value *out)
{
    const bool has_expiries = type == TYPE_HASH_2 || type == TYPE_HASH_EXPIRIES ||
                              type == TYPE_HASH_LISTPACK_EXPIRIES;
    struct reading r = {.types = t, .in = *in, .hash = &out->hash};
    hashmap_build_init(&out->hash, t, has_expiries);
    enum rdb_result result = read_hash_of(&r, type);
    if (result == RDB_OK && r.count == 0) {
        result = RDB_BAD_DATA;
    }
    out->type = ENTRY_HASH;
    out->is_over = hashmap_build_count(&out->hash) == 0;
    *in = r.in;
    rdb_string_fini(&r.name);
    rdb_string_fini(&r.value);
    return result;
}

static enum rdb_result read_string(struct rdb_reader *in, struct rdb_value *out)
{
    struct rdb_string s = {0};
    const enum rdb_result result = rdb_read_string(in, &s);
    out->type = ENTRY_STRING;
    out->string = s.text;
    out->unpacked = s.own;
    return result;
}

enum rdb_result rdb_value_read_body(struct types *t, struct strview body, struct rdb_value *out)
{
    const unsigned char *type;
    struct rdb_reader in = {.at = (const unsigned char *)body.data};
    struct rdb_value v = {0};
    in.end = in.at + body.len;
    if (!rdb_read_bytes(&in, 1, &type)) {
        return RDB_BAD_DATA;
    }
    enum rdb_result result = *type == TYPE_STRING ? read_string(&in, &v)
                                                  : read_hash(t, *type, &in, &v);
    if (result == RDB_OK && rdb_left(&in) > 0) {
        result = RDB_BAD_DATA;
    }
    if (result == RDB_OK) {
        *out = v;
    } else {
        rdb_value_fini(&v);
    }
    return result;
}

enum rdb_result rdb_value_read(struct types *t, struct strview payload, struct rdb_value *out)
{
    struct rdb_reader footer;
    uint64_t crc;
    if (payload.len < FOOTER_BYTES) {
        return RDB_BAD_FOOTER;
    }
    const size_t body_len = payload.len - FOOTER_BYTES;
    footer.end = (const unsigned char *)payload.data + payload.len;
    footer.at = footer.end - FOOTER_BYTES;
    const unsigned version = footer.at[0] | (unsigned)footer.at[1] << 8;
    footer.at = footer.end - CRC_BYTES;
    if (!rdb_read_u64(&footer, &crc) || version > VERSION_MAX ||
        crc != crc64(0, payload.data, payload.len - CRC_BYTES)) {
        return RDB_BAD_FOOTER;
    }
    return rdb_value_read_body(t, strview_of(payload.data, body_len), out);
}

void rdb_value_fini(struct rdb_value *v)
{
    buf_fini(&v->unpacked);
    hashmap_build_fini(&v->hash);
}

/* ---- under a key ---- */

enum store_result rdb_value_put(struct types *t, struct rdb_value *v, const struct store_key *key,
                                int64_t expires_at_ms)
{
    const struct store_write w = {.expires_at_ms = expires_at_ms};
    return v->type == ENTRY_HASH ? hashmap_build_put(&v->hash, key, expires_at_ms)
                                 : store_set(t->store, key, v->string, &w);
}
