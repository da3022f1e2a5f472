/*
 * Look-ups: one by one, and in batches whose waits for memory overlap.
 *
 * A look-up asks the index of the space for slots whose tag agrees and compares keys in the log. A
 * hit changes the 24 policy bits of the slot, in the line the look-up has already touched, and only
 * when they differ.
 */
#include "tarn/store/store.h"

#include "store_private.h"

uint64_t store_hash(const struct store *s, struct strview key)
{
    return hash_bytes(&s->hash_key, key);
}

uint64_t store_hash_of_ref(void *ctx, uint64_t ref)
{
    struct store *s = ctx;
    return hash_bytes(&s->hash_key, entry_key(entry_at(&s->segs, ref)));
}

void store_prefetch_ref(void *ctx, uint64_t ref)
{
    const struct store *s = ctx;
    PREFETCH(entry_at(&s->segs, ref));
}

static inline bool slot_is_of_key(const struct store *s, const uint64_t *slot,
                                  const struct store_key *k)
{
    return strview_eq(entry_key(entry_at(&s->segs, slot_ref(*slot))), k->key);
}

/* Out of the way of the look-up that knows where to look: 30 instructions less for that one. */
static NO_INLINE uint64_t *probe_for(const struct store *s, const struct space *sp,
                                     const struct store_key *k)
{
    if (UNLIKELY(sp->ix == NULL)) {
        return NULL;
    }
    struct index_probe probe;
    for (uint64_t *slot = index_first(sp->ix, k->hash, &probe); slot != NULL;
         slot = index_next(&probe)) {
        if (LIKELY(slot_is_of_key(s, slot, k))) {
            return slot;
        }
    }
    return NULL;
}

/* Where store_prefetch() saw an entry that may be the key's, NULL: nowhere, or it is gone. */
static inline uint64_t *noted_slot(const struct store *s, const struct store_key *k)
{
    const bool is_good = k->slot != NULL && k->slot_moves == s->slot_moves &&
                         index_slot_holds(k->slot, k->hash);
    return LIKELY(is_good) ? (uint64_t *)(uintptr_t)k->slot : NULL;
}

uint64_t *store_lookup(const struct store *s, const struct space *sp, const struct store_key *k)
{
    uint64_t *slot = noted_slot(s, k);
    return LIKELY(slot != NULL) && LIKELY(slot_is_of_key(s, slot, k)) ? slot : probe_for(s, sp, k);
}

uint64_t *store_slot_of_ref(const struct space *sp, uint64_t hash, uint64_t ref)
{
    if (sp->ix == NULL) {
        return NULL;
    }
    struct index_probe probe;
    for (uint64_t *slot = index_first(sp->ix, hash, &probe); slot != NULL;
         slot = index_next(&probe)) {
        if (slot_ref(*slot) == ref) {
            return slot;
        }
    }
    return NULL;
}

uint64_t *store_lookup_live(struct store *s, const struct store_key *k)
{
    uint64_t *slot = store_lookup(s, space_of_db(s, k->db), k);
    if (slot != NULL &&
        UNLIKELY(entry_expiry(entry_at(&s->segs, slot_ref(*slot))) <= s->clock->mono_ms)) {
        store_expel(s, k->hash, slot, STORE_EVENT_EXPIRED);
        return NULL;
    }
    return slot;
}

/* Most keys are short: a call of memcmp() takes 25 instructions more. */
#define SHORT_KEY 32
static ALWAYS_INLINE bool is_same_key(struct strview a, struct strview b)
{
    if (UNLIKELY(a.len != b.len || a.len < sizeof(uint64_t) || a.len > SHORT_KEY)) {
        return strview_eq(a, b);
    }
    size_t at = 0;
    uint64_t x, y;
    do {
        memcpy(&x, a.data + at, sizeof(x));
        memcpy(&y, b.data + at, sizeof(y));
        at += sizeof(x);
    } while (x == y && at + sizeof(x) < a.len);
    uint64_t x_last, y_last;
    memcpy(&x_last, a.data + a.len - sizeof(x), sizeof(x));
    memcpy(&y_last, b.data + a.len - sizeof(y), sizeof(y));
    return x == y && x_last == y_last;
}

/* store_lookup_live() with the entry's view, which is read from the header once. */
static ALWAYS_INLINE uint64_t *find_live(struct store *s, const struct store_key *k,
                                         struct entry_view *out)
{
    uint64_t *slot = noted_slot(s, k);
    if (LIKELY(slot != NULL)) {
        entry_view_fill(entry_at(&s->segs, slot_ref(*slot)), out);
    }
    if (UNLIKELY(slot == NULL || !is_same_key(out->key, k->key))) {
        slot = probe_for(s, space_of_db(s, k->db), k);
        if (slot == NULL) {
            return NULL;
        }
        entry_view_fill(entry_at(&s->segs, slot_ref(*slot)), out);
    }
    if (UNLIKELY(out->expires_at_ms <= s->clock->mono_ms)) {
        store_expel(s, k->hash, slot, STORE_EVENT_EXPIRED);
        return NULL;
    }
    return slot;
}

static ALWAYS_INLINE void prefetch_entry(const struct store *s, uint64_t slot)
{
    const unsigned char *e = entry_at(&s->segs, slot_ref(slot));
    const unsigned char *last = e + s->prefetch_bytes - 1;
    PREFETCH(e);
    PREFETCH(last);
    for (e += CACHE_LINE; e < last; e += CACHE_LINE) {
        PREFETCH(e);
    }
}

static const struct index *index_of_key(const struct store *s, const struct store_key *k)
{
    return s->spaces[s->db_space[k->db]].ix;
}

/* All are worked out before one is asked for: 3 % less CPU per pipelined GET. */
static ALWAYS_INLINE void prefetch_homes(const struct store *s, struct store_key *const *keys,
                                         unsigned count, struct index_bucket **homes)
{
    for (unsigned i = 0; i < count; i++) {
        const struct index *ix = index_of_key(s, keys[i]);
        homes[i] = LIKELY(ix != NULL) ? index_home(ix, keys[i]->hash) : NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        PREFETCH(homes[i]);
    }
}

/* Three phases; in each, all are asked for before one is waited for. Displaced slots are one in ten:
 * without the third phase a look-up in a million keys took 13 % longer (bench-store find-batch). */
void store_prefetch(const struct store *s, struct store_key *const *keys, unsigned count)
{
    struct index_bucket *homes[STORE_PREFETCH_MAX];
    struct store_key *displaced[STORE_PREFETCH_MAX];
    uint64_t slots[STORE_PREFETCH_MAX];
    unsigned slot_count = 0;
    unsigned displaced_count = 0;
    assert(count <= STORE_PREFETCH_MAX);
    prefetch_homes(s, keys, count, homes);
    for (unsigned i = 0; i < count; i++) {
        struct store_key *k = keys[i];
        k->slot = LIKELY(homes[i] != NULL) ? index_prefetched(homes[i], k->hash) : NULL;
        k->slot_moves = s->slot_moves;
        if (LIKELY(k->slot != NULL)) {
            slots[slot_count++] = *k->slot;
            continue;
        }
        ghost_prefetch(&s->adaptive.ghost, k->hash); /* an insert would ask for it */
        if (homes[i] != NULL && index_may_be_displaced(homes[i])) {
            displaced[displaced_count++] = k;
        }
    }
    for (unsigned i = 0; i < slot_count; i++) {
        prefetch_entry(s, slots[i]);
    }
    for (unsigned i = 0; i < displaced_count; i++) {
        struct index_probe probe;
        struct store_key *k = displaced[i];
        k->slot = index_first(index_of_key(s, k), k->hash, &probe);
        if (k->slot != NULL) {
            prefetch_entry(s, *k->slot);
        }
    }
}

bool store_find(struct store *s, const struct store_key *k, struct entry_view *out)
{
    uint64_t *slot = find_live(s, k, out);
    if (UNLIKELY(slot == NULL)) {
        return false;
    }
    store_touch(s, slot);
    return true;
}

bool store_find_short(struct store *s, const struct store_key *k, size_t max,
                      struct strview *value_out)
{
    struct entry_view e;
    uint64_t *slot = find_live(s, k, &e);
    if (UNLIKELY(slot == NULL || e.type != ENTRY_STRING || e.aux != NULL || e.value.len >= max)) {
        return false;
    }
    store_touch(s, slot);
    *value_out = e.value;
    return true;
}

bool store_peek(struct store *s, const struct store_key *k, struct entry_view *out)
{
    return find_live(s, k, out) != NULL;
}

bool store_idle(struct store *s, const struct store_key *k, int64_t *idle_ms_out, int *freq_out)
{
    const uint64_t *slot = store_lookup_live(s, k);
    if (slot == NULL) {
        return false;
    }
    uint32_t bits = slot_policy(*slot);
    uint32_t idle_s = (store_time_s(s) - policy_time(bits)) & POLICY_TIME_MASK;
    *idle_ms_out = s->policy->shows_idle ? (int64_t)idle_s * 1000 : -1;
    *freq_out = s->policy->shows_freq ? (int)policy_freq(bits) : -1;
    return true;
}

void store_set_use(struct store *s, const struct store_key *k, int64_t idle_ms, int freq)
{
    uint64_t *slot = store_lookup_live(s, k);
    if (slot == NULL) {
        return;
    }
    uint32_t bits = slot_policy(*slot);
    if (idle_ms >= 0) {
        const int64_t idle_s = idle_ms / 1000;
        const uint32_t kept_s = idle_s < POLICY_TIME_MASK ? (uint32_t)idle_s : POLICY_TIME_MASK;
        bits = policy_bits_make(store_time_s(s) - kept_s, policy_freq(bits));
    }
    if (freq >= 0) {
        const uint32_t kept = freq < (int)POLICY_FREQ_MASK ? (uint32_t)freq : POLICY_FREQ_MASK;
        bits = policy_bits_make(policy_time(bits), kept);
    }
    *slot = slot_make(slot_ref(*slot), bits);
}
