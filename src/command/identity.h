/* What the server says it is. */
#ifndef TARN_COMMAND_IDENTITY_H
#define TARN_COMMAND_IDENTITY_H

/* Clients and frameworks decide by this number which commands they may use. */
#define IDENTITY_REDIS_VERSION "7.2.4"

#endif
