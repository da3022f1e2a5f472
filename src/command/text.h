/* Pieces of text that go into replies for people. Private to the command layer. */
#ifndef TARN_COMMAND_TEXT_H
#define TARN_COMMAND_TEXT_H

#include "tarn/base/strview.h"

#define TEXT_EXCERPT_MAX 128 /* bytes of an argument quoted in an error */

/* What of an argument may be quoted; the writers make control bytes harmless. */
static inline struct strview text_excerpt(struct strview v)
{
    return strview_of(v.data, v.len < TEXT_EXCERPT_MAX ? v.len : TEXT_EXCERPT_MAX);
}

#endif
