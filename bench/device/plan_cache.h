/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_DEVICE_PLAN_CACHE_H
#define VB_DEVICE_PLAN_CACHE_H

/* What cuDNN once answered, on the disk: opening cuDNN costs half a second, and a sweep asks the
 * same question thousands of times. Files are in VRAMBENCH_CACHE, else $XDG_CACHE_HOME/vrambench,
 * else
 * ~/.cache/vrambench; VRAMBENCH_CACHE set to nothing means no cache.
 *
 * A cache can only save time: what is unreadable, unwritable or damaged counts as not there, so
 * nothing here fails. Two processes may use it at once.
 */

#include <stdbool.h>

#include "device/plan_map.h"

/* Writes the folder's path; false where there is none to use. It need not exist. */
bool vb_plan_cache_folder(char *folder, size_t room);

/* The library that was found in these surroundings (vb_cudnn_surroundings()) and is still the same
 * file: its path, of `room` bytes, and version. False: not known, so open it. */
bool vb_plan_cache_library(uint64_t surroundings, char *path, size_t room, uint64_t *version);
void vb_plan_cache_keep_library(uint64_t surroundings, const char *path, uint64_t version);

/* Adds to `map` what cuDNN `version` answered for the GPU of that identity. */
void vb_plan_cache_load(uint64_t version, uint64_t identity, struct vb_plan_map *map);

/* Appends the map's entries from index `first` on. */
void vb_plan_cache_append(uint64_t version, uint64_t identity, const struct vb_plan_map *map,
                          size_t first);

#endif
