/*
 * Keyspace notifications: what happens to keys, published on channels
 * (__keyspace@0__:key event, __keyevent@0__:event key). Private to the command layer.
 */
#ifndef TARN_COMMAND_NOTIFY_H
#define TARN_COMMAND_NOTIFY_H

#include <stdbool.h>

#include "handler.h"
#include "tarn/command/command.h"

enum notify_class {                           /* the letters of notify-keyspace-events */
                    NOTIFY_KEYSPACE = 1 << 0, /* K: on the key's channel */
                    NOTIFY_KEYEVENT = 1 << 1, /* E: on the event's channel */
                    NOTIFY_GENERIC = 1 << 2,  /* g */
                    NOTIFY_STRING = 1 << 3,   /* $ */
                    NOTIFY_LIST = 1 << 4,     /* l */
                    NOTIFY_SET = 1 << 5,      /* s */
                    NOTIFY_HASH = 1 << 6,     /* h */
                    NOTIFY_ZSET = 1 << 7,     /* z */
                    NOTIFY_EXPIRED = 1 << 8,  /* x */
                    NOTIFY_EVICTED = 1 << 9,  /* e */
                    NOTIFY_STREAM = 1 << 10,  /* t */
                    NOTIFY_MODULE = 1 << 11,  /* d */
                    NOTIFY_MISS = 1 << 12,    /* m: not part of A */
                    NOTIFY_NEW = 1 << 13,     /* n: not part of A */
};

/* Reads the letters; false: one of them is none. */
bool notify_parse(struct strview letters, unsigned *classes_out) WARN_UNUSED;

/* The letters in Redis's order, at most NOTIFY_TEXT_MAX bytes with the NUL. */
#define NOTIFY_TEXT_MAX 16
void notify_print(unsigned classes, char out[NOTIFY_TEXT_MAX]);

/* Takes over notify-keyspace-events, and writes its text as CONFIG GET shows it. False: refused. */
bool notify_configure(struct command_env *env);

/* Publishes the event, if its class is wanted. */
void notify_event(struct command_env *env, enum notify_class class, const char *event,
                  const struct store_key *k);

/* The class of events that a command of this group causes. */
enum notify_class notify_class_of(const struct command *c);

#endif
