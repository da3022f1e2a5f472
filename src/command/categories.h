/*
 * The categories of commands: what COMMAND INFO, COMMAND LIST FILTERBY ACLCAT and ACL CAT call
 * "@read" and the like. Private to the command layer.
 */
#ifndef TARN_COMMAND_CATEGORIES_H
#define TARN_COMMAND_CATEGORIES_H

#include "handler.h"
#include "tarn/base/strview.h"

enum category { /* in the order in which Redis lists them */
                CATEGORY_KEYSPACE = 1 << 0,
                CATEGORY_READ = 1 << 1,
                CATEGORY_WRITE = 1 << 2,
                CATEGORY_SET = 1 << 3,
                CATEGORY_SORTEDSET = 1 << 4,
                CATEGORY_LIST = 1 << 5,
                CATEGORY_HASH = 1 << 6,
                CATEGORY_STRING = 1 << 7,
                CATEGORY_BITMAP = 1 << 8,
                CATEGORY_HYPERLOGLOG = 1 << 9,
                CATEGORY_GEO = 1 << 10,
                CATEGORY_STREAM = 1 << 11,
                CATEGORY_PUBSUB = 1 << 12,
                CATEGORY_ADMIN = 1 << 13,
                CATEGORY_FAST = 1 << 14,
                CATEGORY_SLOW = 1 << 15,
                CATEGORY_BLOCKING = 1 << 16,
                CATEGORY_DANGEROUS = 1 << 17,
                CATEGORY_CONNECTION = 1 << 18,
                CATEGORY_TRANSACTION = 1 << 19,
                CATEGORY_SCRIPTING = 1 << 20,
};
#define CATEGORIES_COUNT 21

/* Bits of enum category. */
unsigned categories_of(const struct command *c);

/* Name of the bit number `i`, without the @. */
const char *category_name(unsigned i);

/* The bit of a name, whatever its case; 0: there is no such category. */
unsigned category_by_name(struct strview name);

#endif
