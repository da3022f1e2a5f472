/*
 * Writes through the cache to the database: SET, HSET and DEL of a key as statements of its map.
 */
#ifndef TARN_SOURCE_WRITE_H
#define TARN_SOURCE_WRITE_H

#include "sources.h"

/* The statements of a map's on-set, on-hset, on-del, with the driver's placeholders. 0, -EINVAL with
 * text or -ENOMEM. */
int write_rewrite(struct source_map *m, struct errtext *err) WARN_UNUSED;
/* Hands them to the driver. 0, or negative with text. */
int write_add_statements(struct source_map *m, struct errtext *err) WARN_UNUSED;

/* The request of a flight that writes. */
void write_fill_request(const struct flight *f, struct driver_request *r);

/* A write has come back. */
void write_done(struct flight *f, const struct driver_result *r);

/* A write ends without an answer: is it known not to have happened? Then `code` stands; else what is
 * cached of the key goes, and the code says that the outcome is unknown. */
enum load_error write_failed(struct flight *f, enum load_error code);

/* Something changed the key (in any database): what a write under way returns may not be stored. */
void write_void_key(struct sources *s, struct strview key);

#endif
