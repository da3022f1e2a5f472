/*
 * Reads anew each time, so that a changed password takes effect with the next connection.
 */
#include "secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool secret_read(char out[SECRET_MAX], const char *path, struct errtext *err)
{
    out[0] = '\0';
    if (path[0] == '\0') {
        return true;
    }
    FILE *f = fopen(path, "re");
    bool is_read = f != NULL && fgets(out, SECRET_MAX, f) != NULL;
    int code = is_read ? 0 : errno;
    if (f != NULL) {
        (void)fclose(f);
    }
    out[strcspn(out, "\r\n")] = '\0';
    if (!is_read || out[0] == '\0') {
        errtext_set(err, "cannot read %s: %s", path, code != 0 ? strerror(code) : "it is empty");
        return false;
    }
    return true;
}
