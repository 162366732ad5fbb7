/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_TAG_H
#define VB_CAPTURE_TAG_H

/* A tag names what caused a record: the owner in its top byte, below it a number that only the
 * caller understands (an operator, an instruction). It fits the 64 bits that CUPTI carries for us.
 */

#include <stdint.h>

/* Whose the memory is. Tag 0, and any that no one has, is the others'. */
enum vb_owner {
    VB_OWNER_OTHERS, /* taken by none of ours: modules, libraries, the driver */
    VB_OWNER_POOL,   /* our own segments */
    VB_OWNER_CUDNN,  /* taken inside cuDNN's calls */
    VB_OWNERS
};

/* `id` below 2^56. */
static inline uint64_t vb_tag(enum vb_owner owner, uint64_t id)
{
    return (uint64_t)owner << 56 | (id & (UINT64_MAX >> 8));
}

static inline enum vb_owner vb_tag_owner(uint64_t tag)
{
    uint64_t owner = tag >> 56;
    return owner < VB_OWNERS ? (enum vb_owner)owner : VB_OWNER_OTHERS;
}

static inline uint64_t vb_tag_id(uint64_t tag)
{
    return tag & (UINT64_MAX >> 8);
}

const char *vb_owner_name(enum vb_owner owner);

#endif
