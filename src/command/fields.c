/* See fields.h. */
#include "fields.h"

#include "tarn/base/num.h"

void fields_init(struct fields *f, int version)
{
    *f = (struct fields){.count = 0};
    buf_init(&f->bytes);
    f->writer = (struct resp_writer){.out = &f->bytes, .version = version};
}

void fields_add(void *arg, const char *name, struct strview value)
{
    struct fields *f = arg;
    int64_t number;
    resp_write_bulk_str(&f->writer, name);
    if (num_parse_i64(value, &number)) {
        resp_write_int(&f->writer, number);
    } else {
        resp_write_bulk(&f->writer, value);
    }
    f->count++;
}

void fields_reply(struct cmd_ctx *ctx, struct fields *f)
{
    resp_write_map(ctx->reply, f->count);
    buf_append_view(ctx->reply->out, buf_view(&f->bytes));
    buf_fini(&f->bytes);
}
