/*
 * The text of triggers that send a notice for each changed row. A change of the key itself reports
 * the old key and the new one; TRUNCATE, which row triggers do not see, reports the whole map; and
 * so does a key that a notice cannot carry.
 */
#include "pg_ddl.h"

#include <string.h>

#include "driver_support.h"

#define NOTICE_BYTES_MAX 7000 /* the server's limit is 8000 */

static void add_name(struct buf *out, const struct driver_ddl *d, const char *what)
{
    struct buf name;
    buf_init(&name);
    buf_printf(&name, "tarn_%s_%s", d->map, what);
    driver_append_quoted(out, buf_view(&name), '"');
    buf_fini(&name);
}

/* 'user:' || r.id */
static void add_key(struct buf *out, const struct driver_ddl *d)
{
    for (unsigned i = 0; i < d->parts_count; i++) {
        const struct driver_ddl_part *part = &d->parts[i];
        buf_append_str(out, i > 0 ? " || " : "");
        if (part->is_column) {
            buf_printf(out, "r.%.*s::text", STRVIEW_ARG(part->text));
        } else {
            driver_append_quoted(out, part->text, '\'');
        }
    }
}

static void add_notify(struct buf *out, const struct driver_ddl *d, const char *what)
{
    buf_append_str(out, "PERFORM pg_notify(");
    driver_append_quoted(out, strview_str(d->options->feed_name), '\'');
    buf_printf(out, ", %s);\n", what);
}

/* One row, old or new. */
static void add_row(struct buf *out, const struct driver_ddl *d, const char *operations,
                    const char *row)
{
    buf_printf(out, "  IF TG_OP IN (%s) THEN\n    r := %s;\n    notice := ", operations, row);
    add_key(out, d);
    buf_printf(out,
               ";\n    IF octet_length(notice) > %d OR notice ~ '^!|\\n' THEN\n"
               "      notice := '!%s';\n    END IF;\n    IF notice IS NOT NULL THEN\n      ",
               NOTICE_BYTES_MAX, d->map);
    add_notify(out, d, "notice");
    buf_append_str(out, "    END IF;\n  END IF;\n");
}

static void add_function(struct buf *out, const struct driver_ddl *d)
{
    buf_append_str(out, "CREATE OR REPLACE FUNCTION ");
    add_name(out, d, "changed");
    buf_append_str(out, "() RETURNS trigger LANGUAGE plpgsql AS $tarn$\n"
                        "DECLARE\n  r record;\n  notice text;\nBEGIN\n"
                        "  IF TG_OP = 'TRUNCATE' THEN\n    ");
    struct buf all;
    buf_init(&all);
    buf_printf(&all, "'!%s'%c", d->map, '\0');
    add_notify(out, d, all.failed ? "''" : buf_view(&all).data);
    buf_fini(&all);
    buf_append_str(out, "  END IF;\n");
    add_row(out, d, "'UPDATE', 'DELETE'", "OLD");
    add_row(out, d, "'INSERT', 'UPDATE'", "NEW");
    buf_append_str(out, "  RETURN NULL;\nEND $tarn$;\n");
}

static void add_trigger(struct buf *out, const struct driver_ddl *d, const char *what,
                        const char *events)
{
    buf_append_str(out, "DROP TRIGGER IF EXISTS ");
    add_name(out, d, what);
    buf_printf(out, " ON %s;\nCREATE TRIGGER ", d->table);
    add_name(out, d, what);
    buf_printf(out, " AFTER %s ON %s FOR EACH %s EXECUTE FUNCTION ", events, d->table,
               strcmp(what, "rows") == 0 ? "ROW" : "STATEMENT");
    add_name(out, d, "changed");
    buf_append_str(out, "();\n");
}

void pg_ddl(const struct driver_ddl *d, struct buf *out)
{
    buf_printf(out,
               "-- Changes of %s for the map %s. The cache's role needs SELECT on the table\n"
               "-- (or on the columns its queries name) and nothing to listen.\n",
               d->table, d->map);
    add_function(out, d);
    add_trigger(out, d, "rows", "INSERT OR UPDATE OR DELETE");
    add_trigger(out, d, "truncated", "TRUNCATE");
}
