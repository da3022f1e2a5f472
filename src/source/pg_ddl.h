/*
 * Triggers for a map's table.
 */
#ifndef TARN_SOURCE_PG_DDL_H
#define TARN_SOURCE_PG_DDL_H

#include "tarn/source/driver.h"

/* Fits source_driver::ddl. */
void pg_ddl(const struct driver_ddl *d, struct buf *out);

#endif
