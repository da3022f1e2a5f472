/*
 * JSON from outside and JSON made from anything.
 *
 * Checked: what the writers write is valid, and a valid text stays so inside an array.
 */
#include <stdint.h>
#include <stdlib.h>

#include "src/source/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strview text = strview_of(data, size);
    struct buf out, mended;
    buf_init(&out);
    buf_init(&mended);
    utf8_replace_invalid(&mended, text);
    require(strview_is_utf8(buf_view(&mended)));
    require(!strview_is_utf8(text) || strview_eq(buf_view(&mended), text));
    json_write_string(&out, buf_view(&mended));
    require(strview_is_utf8(buf_view(&out)));
    require(json_is_valid(buf_view(&out)));
    buf_clear(&out);
    json_write_base64(&out, text);
    require(json_is_valid(buf_view(&out)));
    buf_clear(&out);
    json_write_hex(&out, text);
    require(json_is_valid(buf_view(&out)) && buf_len(&out) == 2 * size + 2);
    buf_clear(&out);
    buf_append_char(&out, '[');
    buf_append_view(&out, text);
    buf_append_char(&out, ']');
    require(!json_is_valid(text) || json_is_valid(buf_view(&out)) || size > JSON_DEPTH_MAX);
    buf_fini(&out);
    buf_fini(&mended);
    return 0;
}
