/*
 * Reading listpacks and ziplists, see rdb_list.h. Every length is compared with what is left, and
 * lengths that are there twice must agree, so that what is accepted is what Redis could have made.
 */
#include "rdb_list.h"

#define END_BYTE         0xffu
#define COUNT_UNKNOWN    0xffffu
#define LISTPACK_HEAD    6u
#define ZIPLIST_HEAD     10u
#define ZIPLIST_LONG     0xfeu
#define ZIPLIST_INT_MIN  0xf1u
#define ZIPLIST_INT_MAX  0xfdu
#define ZIPLIST_STR_6    0x00u
#define ZIPLIST_STR_14   0x40u
#define ZIPLIST_STR_32   0x80u
#define LISTPACK_STR_32  0xf0u
#define LISTPACK_BACKLEN 5u

static uint64_t low_first(const unsigned char *p, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t)p[i] << 8 * i;
    }
    return value;
}

bool rdb_list_open(struct rdb_list *l, struct strview bytes, bool is_ziplist)
{
    const unsigned char *p = (const unsigned char *)bytes.data;
    const size_t head = is_ziplist ? ZIPLIST_HEAD : LISTPACK_HEAD;
    if (bytes.len < head + 1 || low_first(p, 4) != bytes.len || p[bytes.len - 1] != END_BYTE) {
        return false;
    }
    *l = (struct rdb_list){
        .rest = {.at = p + head, .end = p + bytes.len - 1},
        .count = (uint32_t)low_first(p + head - 2, 2),
        .is_ziplist = is_ziplist,
    };
    return true;
}

/* ---- what the data of an element is ---- */

/* A string of `len` bytes. */
static bool take_string(struct rdb_reader *r, uint64_t len, struct rdb_element *out)
{
    const unsigned char *p;
    if (len > rdb_left(r) || !rdb_read_bytes(r, len, &p)) {
        return false;
    }
    out->text = strview_of(p, len);
    return true;
}

static bool take_value(int64_t value, struct rdb_element *out)
{
    out->text = strview_of(out->digits, num_format_i64(out->digits, value));
    return true;
}

/* A signed number of n bytes, 1 to 8, low byte first. */
static bool take_number(struct rdb_reader *r, size_t n, struct rdb_element *out)
{
    const unsigned char *p;
    if (!rdb_read_bytes(r, n, &p)) {
        return false;
    }
    const unsigned unused = 64 - 8 * (unsigned)n;
    return take_value((int64_t)(low_first(p, n) << unused) >> unused, out);
}

/* ---- listpack ---- */

static bool listpack_rare(struct rdb_reader *r, unsigned form, struct rdb_element *out)
{
    static const unsigned char bytes[] = {2, 3, 4, 8};
    const unsigned char *p;
    if (form == LISTPACK_STR_32) {
        return rdb_read_bytes(r, 4, &p) && take_string(r, low_first(p, 4), out);
    }
    const unsigned which = form - LISTPACK_STR_32 - 1;
    return which < sizeof(bytes) && take_number(r, bytes[which], out);
}

static bool listpack_data(struct rdb_reader *r, struct rdb_element *out)
{
    const unsigned char *p;
    if (!rdb_read_bytes(r, 1, &p)) {
        return false;
    }
    const unsigned form = *p;
    if (form < 0x80) {
        return take_value(form, out);
    }
    if (form < 0xc0) {
        return take_string(r, form & 0x3f, out);
    }
    if (form >= 0xf0) {
        return listpack_rare(r, form, out);
    }
    if (!rdb_read_bytes(r, 1, &p)) {
        return false;
    }
    if (form >= 0xe0) {
        return take_string(r, (form & 0x0fu) << 8 | *p, out);
    }
    const int64_t value = (int64_t)((form & 0x1fu) << 8 | *p);
    return take_value(value >= 1 << 12 ? value - (1 << 13) : value, out);
}

/* How many bytes Redis takes for the length of an element's form and data: one length more than
 * would fit is already in the next size. */
static size_t backlen_bytes(size_t len)
{
    return len < 128 ? 1 : len < 16383 ? 2 : len < 2097151 ? 3 : len < 268435455 ? 4 : 5;
}

static bool listpack_backlen(struct rdb_reader *r, size_t len)
{
    const size_t n = backlen_bytes(len);
    const unsigned char *p;
    if (!rdb_read_bytes(r, n, &p)) {
        return false;
    }
    size_t told = p[0];
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0x80) == 0) {
            return false;
        }
        told = told << 7 | (p[i] & 0x7f);
    }
    return (p[0] & 0x80) == 0 && told == len;
}

/* ---- ziplist ---- */

static bool ziplist_prevlen(struct rdb_reader *r, size_t before)
{
    const unsigned char *p;
    if (!rdb_read_bytes(r, 1, &p) || *p == END_BYTE) {
        return false;
    }
    if (*p != ZIPLIST_LONG) {
        return *p == before;
    }
    return rdb_read_bytes(r, 4, &p) && low_first(p, 4) == before;
}

static bool ziplist_string(struct rdb_reader *r, unsigned form, struct rdb_element *out)
{
    const unsigned char *p;
    switch (form & 0xc0) {
    case ZIPLIST_STR_6:
        return take_string(r, form & 0x3f, out);
    case ZIPLIST_STR_14:
        return rdb_read_bytes(r, 1, &p) && take_string(r, (form & 0x3fu) << 8 | *p, out);
    default:
        return form == ZIPLIST_STR_32 && rdb_read_bytes(r, 4, &p) &&
               take_string(r, (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | p[2] << 8 | p[3], out);
    }
}

static bool ziplist_data(struct rdb_reader *r, struct rdb_element *out)
{
    const unsigned char *p;
    if (!rdb_read_bytes(r, 1, &p)) {
        return false;
    }
    switch (*p) {
    case 0xc0:
        return take_number(r, 2, out);
    case 0xd0:
        return take_number(r, 4, out);
    case 0xe0:
        return take_number(r, 8, out);
    case 0xf0:
        return take_number(r, 3, out);
    case 0xfe:
        return take_number(r, 1, out);
    default:
        break;
    }
    if (*p >= ZIPLIST_INT_MIN && *p <= ZIPLIST_INT_MAX) {
        return take_value(*p - (int64_t)ZIPLIST_INT_MIN, out);
    }
    return *p < 0xc0 && ziplist_string(r, *p, out);
}

/* ---- both ---- */

bool rdb_list_read(struct rdb_list *l, struct rdb_element *out, bool *is_end_out)
{
    const unsigned char *start = l->rest.at;
    *is_end_out = rdb_left(&l->rest) == 0;
    if (*is_end_out) {
        return l->count == l->read || l->count == COUNT_UNKNOWN;
    }
    l->read++;
    if (!l->is_ziplist) {
        return listpack_data(&l->rest, out) &&
               listpack_backlen(&l->rest, (size_t)(l->rest.at - start));
    }
    if (!ziplist_prevlen(&l->rest, l->before) || !ziplist_data(&l->rest, out)) {
        return false;
    }
    l->before = (size_t)(l->rest.at - start);
    return true;
}
