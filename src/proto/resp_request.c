/*
 * Memory of a request that is reused for every request of a caller: it grows to what was needed and
 * shrinks again, so that one MSET of a million arguments does not hold its 16 MiB for ever.
 */
#include "resp_request.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#define ARGV_MIN 16

bool resp_request_resize(struct resp_request *r, size_t argc)
{
    assert(argc <= INT_MAX);
    size_t old_cap = (size_t)r->argv_cap;
    size_t cap = size_max(argc, ARGV_MIN);
    if (argc > old_cap) {
        cap = size_min(size_max(cap, old_cap * 2), INT_MAX); /* words arrive one by one */
    } else if (argc > RESP_ARGV_KEEP) {
        return true;
    } else {
        cap = RESP_ARGV_KEEP;
    }
    struct strview *argv = realloc(r->argv, cap * sizeof(*argv));
    if (argv == NULL) {
        return argc <= old_cap;
    }
    r->argv = argv;
    r->argv_cap = (int)cap;
    return true;
}

void resp_request_fini(struct resp_request *r)
{
    free(r->argv);
    free(r->scratch);
    *r = (struct resp_request){0};
}
