/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_HASH_H
#define VB_BASE_HASH_H

/* FNV-1a, 64 bits: names files and finds entries. It tells apart what differs by accident; it does
 * not withstand someone who looks for two texts with the same value. Source: Fowler, Noll, Vo, "The
 * FNV Non-Cryptographic Hash Algorithm" (IETF draft), its constants. */

#include <stddef.h>
#include <stdint.h>

#define VB_HASH_START ((uint64_t)0xcbf29ce484222325)

static inline uint64_t vb_hash(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ at[i]) * 0x100000001b3;
    return hash;
}

#endif
