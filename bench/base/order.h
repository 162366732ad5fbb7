/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_ORDER_H
#define VB_BASE_ORDER_H

/* For comparisons of qsort(). */

#include <stdint.h>

/* -1, 0 or 1: a is below b, the same, above. */
static inline int vb_order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

#endif
