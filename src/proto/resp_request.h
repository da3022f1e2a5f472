/*
 * Room for the arguments of a request. Private to the proto layer.
 */
#ifndef TARN_PROTO_RESP_REQUEST_H
#define TARN_PROTO_RESP_REQUEST_H

#include "tarn/base/compiler.h"
#include "tarn/proto/resp_parse.h"

/* Grows argv, or shrinks one that a rare large request has left behind. Keeps the arguments. */
bool resp_request_resize(struct resp_request *r, size_t argc) WARN_UNUSED;

/* Makes argv hold `argc` arguments; argc <= INT_MAX. False without memory. */
static inline bool resp_request_reserve(struct resp_request *r, size_t argc)
{
    return LIKELY(argc <= (size_t)r->argv_cap && r->argv_cap <= RESP_ARGV_KEEP) ||
           resp_request_resize(r, argc);
}

#endif
