/* State of the adaptive policy; the rules are in policy_adaptive.c. Private to the store. */
#ifndef TARN_STORE_POLICY_ADAPTIVE_H
#define TARN_STORE_POLICY_ADAPTIVE_H

#include "ghost.h"

struct adaptive {
    struct ghost ghost;
    double target_part; /* T / C: the part of the bytes that the small queue should hold; 0: not yet
                           set */
    double mean_bytes;  /* of inserted entries, moving average; 0: none yet */
};

#endif
