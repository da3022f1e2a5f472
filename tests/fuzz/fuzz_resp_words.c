/*
 * Words of any line: never longer in sum than the line, and when they are quoted and split again,
 * the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tarn/base/buf.h"
#include "tarn/proto/resp_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void put_quoted(struct buf *b, struct strview word)
{
    check(buf_append_char(b, '"'));
    for (size_t i = 0; i < word.len; i++) {
        unsigned char c = (unsigned char)word.data[i];
        if (c == '"' || c == '\\') {
            check(buf_append_char(b, '\\') && buf_append_char(b, (char)c));
        } else if (c < ' ') {
            check(buf_printf(b, "\\x%02x", c));
        } else {
            check(buf_append_char(b, (char)c));
        }
    }
    check(buf_append_str(b, "\" "));
}

static void check_quoted(const struct resp_request *words)
{
    struct buf line;
    struct resp_request again = {.argc = 0};
    buf_init(&line);
    for (int i = 0; i < words->argc; i++) {
        put_quoted(&line, words->argv[i]);
    }
    check(resp_split_words(buf_view(&line), &again) == words->argc);
    for (int i = 0; i < words->argc; i++) {
        check(strview_eq(words->argv[i], again.argv[i]));
    }
    buf_fini(&line);
    resp_request_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct resp_request r = {.argc = 0};
    int count = resp_split_words(strview_of(data, size), &r);
    check(count >= -1);
    if (count >= 0) {
        size_t sum = 0;
        for (int i = 0; i < count; i++) {
            sum += r.argv[i].len;
        }
        check(count == r.argc && sum <= size);
        check_quoted(&r);
    }
    resp_request_fini(&r);
    return 0;
}
