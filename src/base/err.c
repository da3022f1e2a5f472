/*
 * Texts of errors. A text is one line, because it ends up in a log line or in an error reply.
 */
#include "tarn/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void to_one_line(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        if (*p == '\n' || *p == '\r') {
            *p = ' ';
        }
    }
}

PRINTF_LIKE(2, 0)
static void format_line(char *out, const char *format, va_list args)
{
    if (vsnprintf(out, ERRTEXT_MAX, format, args) < 0) {
        out[0] = '\0';
    }
    to_one_line(out);
}

void errtext_set(struct errtext *e, const char *format, ...)
{
    char text[ERRTEXT_MAX]; /* an argument may be the old text */
    va_list args;
    va_start(args, format);
    format_line(text, format, args);
    va_end(args);
    memcpy(e->text, text, strlen(text) + 1);
}

void errtext_prefix(struct errtext *e, const char *format, ...)
{
    char prefix[ERRTEXT_MAX];
    va_list args;
    va_start(args, format);
    format_line(prefix, format, args);
    va_end(args);
    errtext_set(e, "%s: %s", prefix, e->text);
}
