/* What is asked of the server outside the measured load. */
#ifndef BENCH_LOAD_CONTROL_H
#define BENCH_LOAD_CONTROL_H

#include "options.h"

/* The process id that the server says it has; 0 when it does not say. */
int control_server_pid(const struct options *o);

#endif
