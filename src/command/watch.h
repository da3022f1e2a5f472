/*
 * WATCH: which sessions want to know whether a key changed before their EXEC. Private to the
 * command layer.
 */
#ifndef TARN_COMMAND_WATCH_H
#define TARN_COMMAND_WATCH_H

#include <stdbool.h>

#include "handler.h"
#include "tarn/command/command.h"

/* Watches one key more. False: it is refused, for want of memory or because there are too many. */
bool watch_add(struct cmd_ctx *ctx, const struct store_key *k) WARN_UNUSED;

/* Forgets all keys the session watches, and that one was touched. */
void watch_drop(struct command_env *env, struct session *s);

/* Has a watched key gone by itself, by its expiry or by eviction? */
bool watch_is_broken(struct command_env *env, const struct session *s);

/* The key changed: every session that watches it is SESSION_TOUCHED. */
void watch_touch(struct command_env *env, const struct store_key *k);

/* Before the database (STORE_DATABASES: all) is emptied, or changes places with another: touches
 * the watched keys that are there, or come there. */
void watch_touch_db(struct command_env *env, unsigned db);
void watch_touch_swapped(struct command_env *env, unsigned a, unsigned b);

/* All rows of the map (NULL: of every map) were declared stale. */
struct source_map;
void watch_touch_map(struct command_env *env, const struct source_map *map);

#endif
