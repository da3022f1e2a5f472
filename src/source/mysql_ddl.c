/*
 * The text of the changelog and of the triggers that write to it. A trigger is one simple INSERT, so
 * that every client can paste it and InnoDB takes its number without a lock that others wait for. A
 * row names the key of what changed, or two keys on two lines where the change moved it; a key that
 * cannot be written so, because it has a line's end in it, becomes the whole map.
 */
#include "mysql_feed.h"

#include <string.h>

#include "driver_support.h"

static void add_quoted_name(struct buf *out, struct strview name)
{
    driver_append_quoted(out, name, '`');
}

void mysql_append_name(struct buf *out, struct strview name)
{
    const char *dot = memchr(name.data, '.', name.len);
    if (dot != NULL) {
        const size_t len = (size_t)(dot - name.data);
        add_quoted_name(out, strview_of(name.data, len));
        buf_append_char(out, '.');
        name = strview_of(dot + 1, name.len - len - 1);
    }
    add_quoted_name(out, name);
}

/* The meaning of a backslash depends on the session. */
static void add_literal(struct buf *out, struct strview text)
{
    if (memchr(text.data, '\\', text.len) == NULL) {
        driver_append_quoted(out, text, '\'');
        return;
    }
    buf_append_str(out, "_utf8mb4 X'");
    for (size_t i = 0; i < text.len; i++) {
        buf_printf(out, "%02X", (unsigned char)text.data[i]);
    }
    buf_append_char(out, '\'');
}

/* CONCAT('user:', NEW.`id`) */
static void add_concat(struct buf *out, const struct driver_ddl *d, const char *row)
{
    buf_append_str(out, "CONCAT(");
    for (unsigned i = 0; i < d->parts_count; i++) {
        buf_append_str(out, i > 0 ? ", " : "");
        if (d->parts[i].is_column) {
            buf_printf(out, "%s.", row);
            add_quoted_name(out, d->parts[i].text);
        } else {
            add_literal(out, d->parts[i].text);
        }
    }
    buf_append_char(out, ')');
}

static void add_key(struct buf *out, const struct driver_ddl *d, const char *row)
{
    buf_append_str(out, "IF(INSTR(");
    add_concat(out, d, row);
    buf_printf(out, ", CHAR(10 USING utf8mb4)) > 0, '!%s', ", d->map);
    add_concat(out, d, row);
    buf_append_char(out, ')');
}

static void add_trigger_name(struct buf *out, const struct driver_ddl *d, const char *event)
{
    struct buf name;
    const char *dot = strchr(d->table, '.');
    buf_init(&name);
    if (dot != NULL) {
        add_quoted_name(out, strview_of(d->table, (size_t)(dot - d->table)));
        buf_append_char(out, '.');
    }
    buf_printf(&name, "tarn_%s_%s", d->map, event);
    add_quoted_name(out, buf_view(&name));
    buf_fini(&name);
}

static void add_trigger(struct buf *out, const struct driver_ddl *d, const char *event,
                        const char *first, const char *second)
{
    buf_append_str(out, "DROP TRIGGER IF EXISTS ");
    add_trigger_name(out, d, event);
    buf_append_str(out, ";\nCREATE TRIGGER ");
    add_trigger_name(out, d, event);
    buf_printf(out, " AFTER %s ON ", event);
    mysql_append_name(out, strview_str(d->table));
    buf_append_str(out, " FOR EACH ROW\n  INSERT INTO ");
    mysql_append_name(out, strview_str(d->options->feed_name));
    buf_append_str(out, " (`key`) VALUES (NULLIF(CONCAT_WS(CHAR(10 USING utf8mb4),\n    ");
    add_key(out, d, first);
    if (second != NULL) {
        buf_append_str(out, ",\n    ");
        add_key(out, d, second);
    }
    buf_append_str(out, "), ''));\n");
}

void mysql_ddl(const struct driver_ddl *d, struct buf *out)
{
    buf_printf(out,
               "-- Changes of %s for the map %s. The cache's user needs SELECT on the changelog;\n"
               "-- old rows are yours to delete, now and then.\n",
               d->table, d->map);
    buf_append_str(out, "CREATE TABLE IF NOT EXISTS ");
    mysql_append_name(out, strview_str(d->options->feed_name));
    buf_append_str(out, " (\n  seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,\n"
                        "  at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,\n"
                        "  `key` MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,\n"
                        "  INDEX (at)) ENGINE=InnoDB;\n");
    add_trigger(out, d, "INSERT", "NEW", NULL);
    add_trigger(out, d, "UPDATE", "OLD", "NEW");
    add_trigger(out, d, "DELETE", "OLD", NULL);
}
