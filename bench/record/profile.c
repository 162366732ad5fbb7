/* SPDX-License-Identifier: Apache-2.0 */
#include "record/profile.h"

/* {"before_reserved_bytes": 1, ..., "sizes": [[1, bytes], [2, bytes], ...]} */
json_t *vb_profile_write(const struct vb_profile *profile)
{
    json_t *sizes = json_array();
    for (uint32_t i = 0; i < profile->n; i++)
        (void)json_array_append_new(
            sizes, json_pack("[I, I]", (json_int_t)1 << i, (json_int_t)profile->reserved_bytes[i]));
    return json_pack("{s:I, s:I, s:I, s:o}", "before_reserved_bytes",
                     (json_int_t)profile->before_reserved_bytes, "before_allocated_bytes",
                     (json_int_t)profile->before_allocated_bytes, "tried",
                     (json_int_t)profile->n_sizes, "sizes", sizes);
}

static uint64_t bytes_of(const json_t *value)
{
    json_int_t number = json_integer_value(value);
    return number > 0 ? (uint64_t)number : 0;
}

void vb_profile_read(const json_t *object, struct vb_profile *out)
{
    const json_t *sizes = json_object_get(object, "sizes");
    out->before_reserved_bytes = bytes_of(json_object_get(object, "before_reserved_bytes"));
    out->before_allocated_bytes = bytes_of(json_object_get(object, "before_allocated_bytes"));
    uint64_t tried = bytes_of(json_object_get(object, "tried"));
    out->n_sizes = tried < VB_N_PROFILED ? (uint32_t)tried : VB_N_PROFILED;
    for (size_t i = 0; i < json_array_size(sizes) && i < VB_N_PROFILED; i++)
        out->reserved_bytes[out->n++] = bytes_of(json_array_get(json_array_get(sizes, i), 1));
}
