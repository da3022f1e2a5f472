/*
 * Statements with parameters $a and $b. The first byte chooses the dialect.
 *
 * Checked: nothing but the parameters is touched; a statement without dollars comes out as it went
 * in.
 */
#include <stdint.h>
#include <stdlib.h>

#include "src/source/sql_params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Walks both texts: where they differ, the old one has a parameter and the new one its placeholder.
 */
static void compare(struct strview before, struct strview after, char placeholder)
{
    size_t i = 0;
    size_t k = 0;
    while (i < before.len) {
        require(k < after.len);
        bool is_param = before.data[i] == '$' && after.data[k] == placeholder &&
                        i + 1 < before.len && k + 1 < after.len &&
                        (before.data[i + 1] == 'a' || before.data[i + 1] == 'b') &&
                        after.data[k + 1] == before.data[i + 1] - 'a' + '1';
        if (!is_param) {
            require(before.data[i] == after.data[k]);
        }
        size_t step = is_param ? 2 : 1;
        i += step;
        k += step;
    }
    require(k == after.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct strview names[] = {{"a", 1}, {"b", 1}};
    if (size == 0) {
        return 0;
    }
    struct sql_dialect dialect = {.placeholder = data[0] & 1 ? '?' : '$',
                                  .bracket_quotes = (data[0] & 2) != 0};
    unsigned count = data[0] >> 2 & 1 ? 2 : 0;
    struct strview sql = strview_of(data + 1, size - 1);
    struct buf out;
    struct errtext err;
    buf_init(&out);
    if (sql_params_rewrite(&out, sql, &dialect, names, count, &err) == 0) {
        compare(sql, buf_view(&out), dialect.placeholder);
        require(count > 0 || strview_eq(buf_view(&out), sql));
    }
    buf_fini(&out);
    return 0;
}
