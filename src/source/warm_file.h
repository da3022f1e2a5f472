/*
 * A file of keys, one per line, read in slices by a helper thread: a disk may be slow, and a file may
 * be on another machine.
 */
#ifndef TARN_SOURCE_WARM_FILE_H
#define TARN_SOURCE_WARM_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "tarn/base/compiler.h"
#include "tarn/base/strview.h"

struct ev_loop;
struct warm_file;

/* Called on the loop's thread, with bytes that are borrowed during the call; `error` is 0 or an
 * errno. Not to close the file from within. */
typedef void (*warm_file_fn)(void *ctx, struct strview bytes, bool is_end, int error);

/* Opens nothing yet. `path` ends with a NUL and is copied. 0 or -errno. */
int warm_file_open(struct warm_file **out, struct ev_loop *loop, const char *path, warm_file_fn fn,
                   void *ctx) WARN_UNUSED;
/* Asks for the next slice, unless it is under way. */
void warm_file_read(struct warm_file *f);
/* Accepts NULL. A thread that hangs is left behind. */
void warm_file_close(struct warm_file *f);

#endif
