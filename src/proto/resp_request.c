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
    size_t cap = RESP_ARGV_KEEP;
    if (argc > old_cap) { /* at least doubled: words arrive one by one */
        cap = size_min(size_max(size_max(argc, old_cap * 2), ARGV_MIN), INT_MAX);
    } else if (argc > RESP_ARGV_KEEP) {
        return true;
    }
    struct strview *argv = realloc(r->argv, cap * sizeof(*argv));
    if (argv == NULL) {
        return argc <= old_cap; /* shrinking can wait */
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
