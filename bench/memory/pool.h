/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MEMORY_POOL_H
#define VB_MEMORY_POOL_H

/* The caching allocator between a program and a device's memory. It behaves as PyTorch's native
 * CUDA caching allocator does, so that `allocated` and `reserved` mean what a PyTorch user expects.
 * Source: torch-memory.md, part A, section 1. One thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "memory/source.h"

/* PYTORCH_CUDA_ALLOC_CONF's settings. Zeroed: the defaults. */
struct vb_pool_options {
    uint64_t max_split_bytes;              /* 0: none */
    uint64_t max_non_split_rounding_bytes; /* 0: 20 MiB */
    uint32_t roundup_divisions[16]; /* by floor(log2(size)) from 1 MiB to 64 GiB; 0 or 1: off */
    double garbage_threshold;       /* of the memory fraction; 0: off */
    double memory_fraction;         /* of the device's capacity; 0: no limit */
    bool expandable_segments;
    bool native; /* every tensor straight from the source, nothing kept */
};

/* Reads such a text ("max_split_size_mb:512,expandable_segments:True"); "" gives the defaults.
 * VB_E_INPUT: an unknown setting (with a suggestion) or value; the text says which. */
VB_CHECKED enum vb_status vb_pool_options_parse(const char *text, struct vb_pool_options *out,
                                                struct vb_error *err);

/* Appends them as such a text, which gives the same options when it is parsed; the defaults append
 * nothing. */
void vb_pool_options_append(const struct vb_pool_options *options, struct vb_text *out);

/* What a request of `bytes`, more than 0, is rounded up to before a block is looked for. */
uint64_t vb_pool_rounded(const struct vb_pool_options *options, uint64_t bytes);

/* PyTorch's statistics, over both pools: what memory_stats() calls <name>.all.current and .peak. */
struct vb_pool_stat {
    uint64_t current;
    uint64_t peak;
};

struct vb_pool_stats {
    struct vb_pool_stat requested_bytes;
    struct vb_pool_stat allocated_bytes;
    struct vb_pool_stat active_bytes;
    struct vb_pool_stat reserved_bytes;
    struct vb_pool_stat inactive_split_bytes;
    struct vb_pool_stat allocations, active, segments, inactive_splits;
    uint64_t n_alloc_retries;
    uint64_t n_ooms;
};

struct vb_pool;
struct vb_block;

/* `source` is borrowed until the pool is closed. VB_E_SYSTEM: no host memory. */
VB_CHECKED enum vb_status vb_pool_open(const struct vb_source *source,
                                       const struct vb_pool_options *options, struct vb_pool **out,
                                       struct vb_error *err);

/* Gives every segment back to the source. `pool` may be NULL. */
void vb_pool_close(struct vb_pool *pool);

/* Takes a block of at least `bytes` for `stream` (0: the default one). 0 bytes give NULL.
 * VB_E_NO_FIT: none, after PyTorch's attempts in its order; the text says how much was asked of the
 * device and how much it had. */
VB_CHECKED enum vb_status vb_pool_alloc(struct vb_pool *pool, uint64_t bytes, uint64_t stream,
                                        struct vb_block **out, struct vb_error *err);

/* `block` may be NULL. It came from vb_pool_alloc() on this pool and is not used after. */
void vb_pool_free(struct vb_pool *pool, struct vb_block *block);

uint64_t vb_block_address(const struct vb_block *block);
uint64_t
vb_block_bytes(const struct vb_block *block); /* after rounding, and what was not split off */

/* Calls `visit` for each block of the pool, taken or free, in no order. */
typedef void vb_block_visitor(void *context, uint64_t address, uint64_t bytes, bool is_taken);
void vb_pool_each_block(const struct vb_pool *pool, vb_block_visitor *visit, void *context);

/* A segment as it stood in a process that is being followed: what is not live is free. */
struct vb_pool_live {
    uint64_t address, bytes, requested_bytes;
};
struct vb_pool_image {
    uint64_t address, bytes, stream;
    bool is_small;
    const struct vb_pool_live *live; /* by address */
    size_t n_live;
};

/* Puts such a segment into the pool without asking the source for it; the source will be given it
 * back all the same. `blocks`: room for its live blocks. VB_E_INPUT: they overlap or leave it. */
VB_CHECKED enum vb_status vb_pool_put_back(struct vb_pool *pool, const struct vb_pool_image *image,
                                           struct vb_block **blocks, struct vb_error *err);

/* torch.cuda.empty_cache(). */
void vb_pool_empty_cache(struct vb_pool *pool);

/* torch.cuda.reset_peak_memory_stats(). */
void vb_pool_reset_peaks(struct vb_pool *pool);

const struct vb_pool_stats *vb_pool_stats(const struct vb_pool *pool);

#endif
