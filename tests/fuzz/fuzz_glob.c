/*
 * Patterns from outside. The first byte says where the pattern ends and the text begins.
 *
 * Checked: the work stays within its bound; plain patterns agree with a matcher that tries
 * everything; a text with every byte escaped matches itself.
 */
#include <stdint.h>
#include <stdlib.h>

#include "src/base/glob_steps.h"
#include "tarn/base/glob.h"

#define TEXT_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_work(struct strview pattern, struct strview text)
{
    for (int nocase = 0; nocase <= 1; nocase++) {
        size_t steps = 0;
        (void)glob_match_counted(pattern, text, nocase != 0, &steps);
        require(steps <= (pattern.len + 1) * (text.len + 1));
    }
}

static bool is_plain(struct strview pattern)
{
    return pattern.len == 0 || (memchr(pattern.data, '[', pattern.len) == NULL &&
                                memchr(pattern.data, '\\', pattern.len) == NULL);
}

static bool slow_match(struct strview pattern, struct strview text)
{
    bool reach[TEXT_MAX + 1] = {true}; /* [k]: the pattern so far matches the first k bytes */
    for (size_t i = 0; i < pattern.len; i++) {
        char p = pattern.data[i];
        bool next[TEXT_MAX + 1] = {false};
        for (size_t k = 0; k <= text.len; k++) {
            if (p == '*') {
                next[k] = reach[k] || (k > 0 && next[k - 1]);
            } else {
                next[k] = k > 0 && reach[k - 1] && (p == '?' || p == text.data[k - 1]);
            }
        }
        memcpy(reach, next, sizeof(reach));
    }
    return reach[text.len];
}

static void check_escaped(struct strview text)
{
    char pattern[2 * TEXT_MAX];
    for (size_t i = 0; i < text.len; i++) {
        pattern[2 * i] = '\\';
        pattern[2 * i + 1] = text.data[i];
    }
    require(glob_match(strview_of(pattern, 2 * text.len), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t pattern_len = data[0] % size;
    struct strview pattern = strview_of(data + 1, pattern_len);
    struct strview text = strview_of(data + 1 + pattern_len, size - 1 - pattern_len);
    check_work(pattern, text);
    if (text.len <= TEXT_MAX) {
        check_escaped(text);
        require(!is_plain(pattern) || glob_match(pattern, text) == slow_match(pattern, text));
    }
    return 0;
}
