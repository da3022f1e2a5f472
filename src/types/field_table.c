/*
 * The table of a large hash: linear hashing over chains of nodes; see field_table.h.
 *
 * With m the power of two such that m <= buckets < 2m, a hash h belongs to bucket h mod 2m, or when
 * that one is not there yet, to h mod m. Adding bucket b splits the chain of b - m; removing it
 * joins the two again.
 *
 * A lack of memory for more buckets is no failure: chains just stay longer until the next try.
 */
#include "field_table.h"

#include "counted.h"
#include "field_due.h"
#include "field_memory.h"

#define BUCKETS_MIN 4u
/* Buckets are given back when there are so many per field, and then so many at a time. */
#define SPARSE_BUCKETS 4u
/* Buckets freed in one step. */
#define FREE_BUCKETS 512

/* ---- buckets ---- */

static struct field_node **bucket_at(const struct field_table *t, size_t b)
{
    return &t->pages[b / FIELD_PAGE_BUCKETS][b % FIELD_PAGE_BUCKETS];
}

/* The largest power of two that is not above n, which is not 0. */
static size_t half_of(size_t n)
{
    return (size_t)1 << (63 - clz64(n));
}

size_t field_table_bucket_of_hash(const struct field_table *t, uint64_t hash)
{
    const size_t half = half_of(t->buckets);
    const size_t b = hash & (2 * half - 1);
    return b < t->buckets ? b : b - half;
}

static size_t bucket_of_name(const struct field_table *t, struct strview name)
{
    return field_table_bucket_of_hash(t, store_hash(t->store, name));
}

/* The first page grows from BUCKETS_MIN to its full size; then whole pages are added. */
static bool add_room(struct field_table *t)
{
    const size_t page = t->room / FIELD_PAGE_BUCKETS;
    if (page > 0 && page == t->pages_cap) {
        struct field_node ***fresh = counted_resize(&t->bytes, t->pages,
                                                    2 * t->pages_cap * sizeof(*fresh));
        if (fresh == NULL) {
            return false;
        }
        t->pages = fresh;
        t->pages_cap *= 2;
    }
    const bool is_first = t->room < FIELD_PAGE_BUCKETS;
    const size_t wanted = is_first ? size_max(2 * t->room, BUCKETS_MIN) : FIELD_PAGE_BUCKETS;
    struct field_node **buckets = counted_resize(&t->bytes, is_first ? t->pages[0] : NULL,
                                                 wanted * sizeof(struct field_node *));
    if (buckets == NULL) {
        return false;
    }
    t->pages[page] = buckets;
    t->room += is_first ? wanted - t->room : wanted;
    return true;
}

static void add_bucket(struct field_table *t)
{
    if (t->buckets == t->room && !add_room(t)) {
        return;
    }
    const size_t fresh = t->buckets++;
    const size_t from = fresh - half_of(fresh);
    struct field_node **stays = bucket_at(t, from), **goes = bucket_at(t, fresh);
    *goes = NULL;
    for (struct field_node *n = *stays; n != NULL; n = *stays) {
        struct field_node **to = &n->next;
        if (bucket_of_name(t, node_name(n)) == fresh) {
            *stays = n->next;
            n->next = *goes;
            *goes = n;
            to = stays;
        }
        stays = to;
    }
}

static void remove_bucket(struct field_table *t)
{
    const size_t last = t->buckets - 1;
    struct field_node **to = bucket_at(t, last - half_of(last));
    while (*to != NULL) {
        to = &(*to)->next;
    }
    *to = *bucket_at(t, last);
    t->buckets = last;
    if (t->room > FIELD_PAGE_BUCKETS && t->room - t->buckets == FIELD_PAGE_BUCKETS) {
        t->room -= FIELD_PAGE_BUCKETS;
        counted_free(&t->bytes, t->pages[t->room / FIELD_PAGE_BUCKETS]);
    }
}

static void follow_count(struct field_table *t)
{
    if (t->count > t->buckets) {
        add_bucket(t);
    }
    for (unsigned i = 0;
         i < SPARSE_BUCKETS && t->buckets > BUCKETS_MIN && t->buckets / SPARSE_BUCKETS > t->count;
         i++) {
        remove_bucket(t);
    }
}

/* ---- life ---- */

struct field_table *field_table_create(const struct store *store, struct chunks *chunks)
{
    size_t bytes = 0;
    struct field_table *t = counted_resize(&bytes, NULL, sizeof(*t));
    if (t == NULL) {
        return NULL;
    }
    *t = (struct field_table){.store = store, .chunks = chunks, .bytes = bytes, .pages_cap = 1};
    t->pages = counted_resize(&t->bytes, NULL, sizeof(*t->pages));
    if (t->pages != NULL) {
        t->pages[0] = NULL;
    }
    if (t->pages == NULL || !add_room(t)) {
        free(t->pages);
        free(t);
        return NULL;
    }
    t->buckets = BUCKETS_MIN;
    for (size_t b = 0; b < t->buckets; b++) {
        *bucket_at(t, b) = NULL;
    }
    return t;
}

/* Frees a bucket with the nodes that have pages of their own; the others go with their chunks, and
 * need not be visited when there are none of the former. */
static void free_bucket(struct field_table *t)
{
    t->buckets--;
    for (struct field_node *n = *bucket_at(t, t->buckets); n != NULL && t->alone_count > 0;) {
        struct field_node *next = n->next;
        node_give_alone(t, n);
        n = next;
    }
    while (t->buckets % FIELD_PAGE_BUCKETS == 0 && t->room > t->buckets) {
        t->room = (t->room - 1) / FIELD_PAGE_BUCKETS * FIELD_PAGE_BUCKETS;
        counted_free(&t->bytes, t->pages[t->room / FIELD_PAGE_BUCKETS]);
    }
}

bool field_table_free_some(struct field_table *t, size_t *bytes_out)
{
    const size_t before = t->bytes;
    for (size_t i = 0; i < FREE_BUCKETS && t->buckets > 0; i++) {
        free_bucket(t);
    }
    if (t->buckets > 0 || !field_memory_free_some(t)) {
        *bytes_out = before - t->bytes;
        return false;
    }
    counted_free(&t->bytes, t->pages);
    counted_free(&t->bytes, t->due);
    assert(t->bytes == counted_bytes(t));
    free(t);
    *bytes_out = before;
    return true;
}

/* ---- fields ---- */

/* The link that leads to the node of that name; it holds NULL when there is none. */
static struct field_node **find_link(const struct field_table *t, struct strview name)
{
    struct field_node **link = bucket_at(t, bucket_of_name(t, name));
    while (*link != NULL && !strview_eq(node_name(*link), name)) {
        link = &(*link)->next;
    }
    return link;
}

bool field_table_find(const struct field_table *t, struct strview name, struct hashmap_field *out)
{
    const struct field_node *n = *find_link(t, name);
    if (n == NULL) {
        return false;
    }
    (void)field_node_read(t, n, out);
    return true;
}

static bool add_node(struct field_table *t, const struct hashmap_field *field,
                     struct field_node **link)
{
    const bool has_due = field->expires_at_ms != STORE_NO_EXPIRY;
    struct field_node *n = NULL;
    if ((has_due && !due_reserve(t)) ||
        (n = node_take(t, node_bytes(has_due, field->name.len, field->value.len))) == NULL) {
        return false;
    }
    *n = (struct field_node){.next = NULL,
                             .name_len = (uint32_t)field->name.len | (has_due ? NODE_HAS_DUE : 0),
                             .value_len = (uint32_t)field->value.len};
    char *at = n->data + node_head_bytes(n);
    if (field->name.len > 0) {
        memcpy(at, field->name.data, field->name.len);
    }
    if (field->value.len > 0) {
        memcpy(at + field->name.len, field->value.data, field->value.len);
    }
    if (has_due) {
        due_add(t, n, field->expires_at_ms);
    }
    *link = n;
    t->count++;
    follow_count(t);
    return true;
}

/* The node with room for other lengths: itself, or a copy of its head that takes its place. NULL:
 * no memory, and nothing has changed. *old_out is what is to be given back when the rest is copied.
 */
static struct field_node *remake(struct field_table *t, struct field_node **link, size_t bytes,
                                 struct field_node **old_out)
{
    struct field_node *n = *link;
    *old_out = NULL;
    if (node_fits(node_bytes(node_has_due(n), node_name(n).len, n->value_len), bytes)) {
        return n;
    }
    struct field_node *fresh = node_take(t, bytes);
    if (fresh != NULL) {
        memcpy(fresh, n, sizeof(*n));
        *old_out = n;
        *link = fresh;
    }
    return fresh;
}

static bool replace_value(struct field_table *t, struct field_node **link, struct strview value)
{
    const bool has_due = node_has_due(*link);
    const size_t front = node_head_bytes(*link) + node_name(*link).len;
    struct field_node *old;
    struct field_node *n = remake(t, link, node_bytes(has_due, node_name(*link).len, value.len),
                                  &old);
    if (n == NULL) {
        return false;
    }
    if (old != NULL) {
        memcpy(n->data, old->data, front);
        node_give(t, old);
        if (has_due) {
            due_moved(t, n);
        }
    }
    n->value_len = (uint32_t)value.len;
    if (value.len > 0) {
        memcpy(n->data + front, value.data, value.len);
    }
    return true;
}

static bool give_due(struct field_table *t, struct field_node **link, int64_t at_ms)
{
    const size_t body = node_name(*link).len + (*link)->value_len;
    struct field_node *n = NULL, *old;
    if (!due_reserve(t) ||
        (n = remake(t, link, sizeof(*n) + NODE_DUE_BYTES + body, &old)) == NULL) {
        return false;
    }
    memmove(n->data + NODE_DUE_BYTES, (old != NULL ? old : n)->data, body);
    if (old != NULL) {
        node_give(t, old);
    }
    n->name_len |= NODE_HAS_DUE;
    due_add(t, n, at_ms);
    return true;
}

/* What the place in the heap took becomes part of a gap; for lack of memory, the field keeps an
 * expiry that never comes. */
static void take_due(struct field_table *t, struct field_node **link)
{
    const uint32_t place = node_due_place(*link);
    const size_t body = node_name(*link).len + (*link)->value_len;
    struct field_node *old;
    struct field_node *n = remake(t, link, sizeof(*n) + body, &old);
    if (n == NULL) {
        due_change(t, place, STORE_NO_EXPIRY);
        return;
    }
    memmove(n->data, (old != NULL ? old : n)->data + NODE_DUE_BYTES, body);
    if (old != NULL) {
        node_give(t, old);
    }
    n->name_len &= ~NODE_HAS_DUE;
    due_remove(t, place);
}

static bool set_due(struct field_table *t, struct field_node **link, int64_t at_ms)
{
    struct field_node *n = *link;
    if (!node_has_due(n)) {
        return at_ms == STORE_NO_EXPIRY || give_due(t, link, at_ms);
    }
    if (at_ms == STORE_NO_EXPIRY) {
        take_due(t, link);
    } else {
        due_change(t, node_due_place(n), at_ms);
    }
    return true;
}

static bool set_field(struct field_table *t, const struct hashmap_field *field, bool *is_new_out)
{
    struct field_node **link = find_link(t, field->name);
    if (is_new_out != NULL) {
        *is_new_out = *link == NULL;
    }
    if (*link == NULL) {
        return add_node(t, field, link);
    }
    /* An expiry that cannot be given leaves the old value; one that is taken away cannot fail. */
    const bool gives = field->expires_at_ms != STORE_NO_EXPIRY;
    if ((gives && !set_due(t, link, field->expires_at_ms)) ||
        !replace_value(t, link, field->value)) {
        return false;
    }
    return gives || set_due(t, link, STORE_NO_EXPIRY);
}

bool field_table_set(struct field_table *t, const struct hashmap_field *field, bool *is_new_out)
{
    const bool is_set = set_field(t, field, is_new_out);
    field_memory_tidy(t);
    return is_set;
}

static void remove_link(struct field_table *t, struct field_node **link)
{
    struct field_node *n = *link;
    if (node_has_due(n)) {
        due_remove(t, node_due_place(n));
    }
    *link = n->next;
    node_give(t, n);
    t->count--;
    follow_count(t);
}

void field_table_node_moved(struct field_table *t, const struct field_node *from,
                            struct field_node *to)
{
    struct field_node **link = bucket_at(t, bucket_of_name(t, node_name(to)));
    while (*link != from) {
        link = &(*link)->next;
    }
    *link = to;
    if (node_has_due(to)) {
        due_moved(t, to);
    }
}

bool field_table_remove(struct field_table *t, struct strview name)
{
    struct field_node **link = find_link(t, name);
    if (*link == NULL) {
        return false;
    }
    remove_link(t, link);
    field_memory_tidy(t);
    return true;
}

bool field_table_set_expiry(struct field_table *t, struct strview name, int64_t expires_at_ms)
{
    struct field_node **link = find_link(t, name);
    assert(*link != NULL);
    const bool is_set = set_due(t, link, expires_at_ms);
    field_memory_tidy(t);
    return is_set;
}

int64_t field_table_due_ms(const struct field_table *t)
{
    return t->due_count > 0 ? t->due[0].at_ms : STORE_NO_EXPIRY;
}

size_t field_table_purge(struct field_table *t, int64_t now_ms, size_t max)
{
    size_t removed = 0;
    while (removed < max && field_table_due_ms(t) <= now_ms) {
        remove_link(t, find_link(t, node_name(t->due[0].node)));
        field_memory_tidy(t);
        removed++;
    }
    return removed;
}
