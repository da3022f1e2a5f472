/*
 * AUTH comes first, for a server with a password answers nothing before it; PING last, for without
 * AUTH and SELECT it is the only one. Users and passwords have no NUL, as files and addresses.
 */
#include "redis_greeting.h"

#include <string.h>

#include "tarn/base/num.h"

static void append_words(struct buf *out, const char *const *words, unsigned count)
{
    buf_printf(out, "*%u\r\n", count);
    for (unsigned i = 0; i < count; i++) {
        buf_printf(out, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    }
}

unsigned redis_greeting_write(struct buf *out, const struct redis_dsn *dsn,
                              const struct redis_login *files, bool *has_auth)
{
    const char *user = files->user[0] != '\0' ? files->user : dsn->user;
    const char *password = files->password[0] != '\0' ? files->password : dsn->password;
    char database[NUM_I64_CHARS + 1] = {0};
    unsigned replies = 1;
    *has_auth = password[0] != '\0';
    if (*has_auth && user[0] != '\0') {
        append_words(out, (const char *const[]){"AUTH", user, password}, 3);
        replies++;
    } else if (*has_auth) {
        append_words(out, (const char *const[]){"AUTH", password}, 2);
        replies++;
    }
    if (dsn->database != 0) {
        (void)num_format_u64(database, dsn->database);
        append_words(out, (const char *const[]){"SELECT", database}, 2);
        replies++;
    }
    append_words(out, (const char *const[]){"PING"}, 1);
    return replies;
}
