/*
 * tarn: from the command line to a running server and an exit code.
 */
#include <stdio.h>

#include "tarn/base/err.h"
#include "tarn/server/args.h"
#include "tarn/server/server.h"

static int fail(enum server_exit code, const struct errtext *err)
{
    fprintf(stderr, "tarn: %s\n", err->text);
    return (int)code;
}

static int serve(const struct args *args)
{
    struct errtext err = {""};
    struct server *server = NULL;
    enum server_exit code = server_create(&server, args, &err);
    if (code != SERVER_EXIT_OK) {
        return fail(code, &err);
    }
    if (args->action == ARGS_CHECK) {
        puts("The configuration is fine.");
    } else {
        code = server_run(server, &err);
    }
    server_destroy(server);
    return code == SERVER_EXIT_OK ? SERVER_EXIT_OK : fail(code, &err);
}

int main(int argc, char **argv)
{
    struct args args;
    struct errtext err = {""};
    if (args_parse(&args, argc, argv, &err) < 0) {
        return fail(SERVER_EXIT_USAGE, &err);
    }
    switch (args.action) {
    case ARGS_HELP:
        return help_print() == 0 ? SERVER_EXIT_OK : SERVER_EXIT_OS;
    case ARGS_VERSION:
        version_print();
        return SERVER_EXIT_OK;
    case ARGS_SERVE:
    case ARGS_CHECK:
        break;
    }
    return serve(&args);
}
