/* noeviction: dead bytes are compacted, nothing live leaves; writes are refused when the limit is
 * reached. */
#include "store_private.h"

const struct policy policy_none = {
    .summary = "never evicts: writes fail when memory is used up",
    .shows_idle = true,
    .freq_max = 3,
    .never_evicts = true,
};
