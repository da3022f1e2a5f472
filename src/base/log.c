/*
 * The log. The one module with state of the whole process: a level and a file descriptor.
 *
 * Any thread may log. A line is built on the caller's stack and given to the kernel in a single
 * write(2) to a descriptor opened with O_APPEND, so lines never mix and no lock is needed. A new
 * sink replaces the old one under the same descriptor number (dup3 does that at once), so no thread
 * can write to a number that has been closed and given to something else in between.
 *
 * A line that cannot be written is lost: the log never blocks or stops the server on purpose.
 */
#include "tarn/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_MESSAGE_MAX 2048 /* longer messages are cut */
#define LOG_LINE_MAX    (LOG_MESSAGE_MAX + 128)
#define LIMIT_MS        1000

static atomic_int current_level = LOG_NOTICE;
static atomic_int sink_fd = STDERR_FILENO;

void log_set_level(enum log_level level)
{
    atomic_store(&current_level, (int)level);
}

int log_set_file(const char *path)
{
    int fd = path[0] == '\0' ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
                             : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) {
        return -errno;
    }
    int sink = atomic_load(&sink_fd);
    if (sink == STDERR_FILENO) {
        atomic_store(&sink_fd, fd);
        return 0;
    }
    int result = dup3(fd, sink, O_CLOEXEC) < 0 ? -errno : 0;
    close(fd);
    return result;
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "verbose", "notice", "warning"};
    return names[level];
}

/* 2026-01-31T12:00:00.123+01:00 */
static size_t put_time(char *out, size_t size)
{
    struct timespec now = {0};
    struct tm tm = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    char date[32];
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    long offset_min = tm.tm_gmtoff / 60;
    char sign = offset_min < 0 ? '-' : '+';
    offset_min = offset_min < 0 ? -offset_min : offset_min;
    int n = snprintf(out, size, "%s.%03d%c%02d:%02d", date, (int)(now.tv_nsec / 1000000), sign,
                     (int)(offset_min / 60), (int)(offset_min % 60));
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

/* Copies `text`, control bytes as \xNN, as far as there is room. Returns the length. */
static size_t put_escaped(char *out, size_t size, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = 0;
    for (; *text != '\0' && len + 4 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x20 && c != 0x7f) {
            out[len++] = *text;
            continue;
        }
        out[len++] = '\\';
        out[len++] = 'x';
        out[len++] = hex[c >> 4];
        out[len++] = hex[c & 15];
    }
    return len;
}

void log_write(enum log_level level, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&current_level, memory_order_relaxed) ||
        level >= LOG_NOTHING) {
        return;
    }
    int saved_errno = errno; /* a log line between a failure and its handling must not disturb it */
    char message[LOG_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (n < 0) {
        message[0] = '\0';
    } else if ((size_t)n >= sizeof(message)) {
        memcpy(message + sizeof(message) - 4, "...", 4);
    }
    char line[LOG_LINE_MAX];
    size_t len = put_time(line, sizeof(line));
    len += (size_t)snprintf(line + len, sizeof(line) - len, " %s ", level_name(level));
    len += put_escaped(line + len, sizeof(line) - len - 1, message);
    line[len++] = '\n';
    ssize_t written;
    do {
        written = write(atomic_load(&sink_fd), line, len);
    } while (written < 0 && errno == EINTR);
    errno = saved_errno;
}

bool log_limit_pass(struct log_limit *l, int64_t now_ms)
{
    if (now_ms < l->next_ms) {
        l->swallowed++;
        return false;
    }
    l->next_ms = now_ms + LIMIT_MS;
    l->suppressed = l->swallowed;
    l->swallowed = 0;
    return true;
}
