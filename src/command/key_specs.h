/* Where the keys of a command are and what it does with them, told to clients. Private to the
 * command layer. */
#ifndef TARN_COMMAND_KEY_SPECS_H
#define TARN_COMMAND_KEY_SPECS_H

#include "handler.h"

/* Writes the specifications of the keys, as the ninth element of COMMAND INFO. */
void key_specs_write(struct resp_writer *w, const struct command *c);

#endif
