/*
 * Who may change sources and maps while the server runs (option enable-source-command).
 */
#ifndef TARN_COMMAND_SOURCE_PERMISSION_H
#define TARN_COMMAND_SOURCE_PERMISSION_H

#include <stdbool.h>

#include "handler.h"

/* False: the error is written. */
bool may_configure_sources(struct cmd_ctx *ctx);

#endif
