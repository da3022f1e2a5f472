/*
 * The drivers of this build. The list is made by src/source/meson.build from what is installed.
 */
#include "tarn/source/driver.h"

#define SOURCE_DRIVER(name) extern const struct source_driver driver_##name;
#include "source/drivers.def"
#undef SOURCE_DRIVER

static const struct source_driver *const drivers[] = {
#define SOURCE_DRIVER(name) &driver_##name,
#include "source/drivers.def"
#undef SOURCE_DRIVER
};

const struct source_driver *source_driver_find(struct strview name)
{
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
        if (strview_eq(name, strview_str(drivers[i]->name))) {
            return drivers[i];
        }
    }
    return NULL;
}

const struct source_driver *source_driver_at(size_t i)
{
    return i < ARRAY_LEN(drivers) ? drivers[i] : NULL;
}
