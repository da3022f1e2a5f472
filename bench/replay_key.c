/* Keys as all benches write them; see replay.h. */
#include "replay.h"

#include <string.h>

void replay_key(char out[REPLAY_KEY_CHARS], uint32_t key)
{
    memcpy(out, "key:", 4);
    for (unsigned i = REPLAY_KEY_CHARS; i-- > 4; key /= 10) {
        out[i] = (char)('0' + key % 10);
    }
}
