/*
 * Name/value fields, as the source layer describes itself, as a reply. Their number precedes them, so
 * they are collected as encoded elements first. Private to the command layer.
 */
#ifndef TARN_COMMAND_FIELDS_H
#define TARN_COMMAND_FIELDS_H

#include <stddef.h>

#include "handler.h"
#include "tarn/base/buf.h"

struct fields {
    struct buf bytes;
    struct resp_writer writer;
    size_t count;
};

void fields_init(struct fields *f, int version);
/* Fits source_field_fn with ctx = struct fields; decimal text becomes an integer. */
void fields_add(void *arg, const char *name, struct strview value);
/* Writes them as a map, and ends them. */
void fields_reply(struct cmd_ctx *ctx, struct fields *f);

#endif
