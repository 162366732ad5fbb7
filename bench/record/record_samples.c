/* SPDX-License-Identifier: Apache-2.0 */
/* "step_samples_ns": [12345678, ...]: whole numbers, so that a line is as short as it can be and
 * equal times stay equal. */

#include "record/json.h"

void vb_record_write_samples(const struct vb_record *record, json_t *object)
{
    if (record->n_step_samples == 0)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < record->n_step_samples; i++)
        (void)json_array_append_new(list, json_integer((json_int_t)record->step_samples_ns[i]));
    (void)json_object_set_new(object, "step_samples_ns", list);
}

enum vb_status vb_record_read_samples(const json_t *object, struct vb_arena *arena,
                                      struct vb_record *out, struct vb_error *err)
{
    const json_t *list = json_object_get(object, "step_samples_ns");
    const size_t n = json_array_size(list);
    if (list == NULL)
        return VB_OK;
    if (!json_is_array(list) || n == 0 || n > VB_MOST_STEP_SAMPLES)
        return vb_fail(err, VB_E_INPUT, "\"step_samples_ns\" is no list of 1 to %d times",
                       VB_MOST_STEP_SAMPLES);
    uint64_t *samples = vb_arena_alloc(arena, n, sizeof *samples);
    if (samples == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a record");
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(list, i);
        if (!json_is_integer(value) || json_integer_value(value) <= 0)
            return vb_fail(err, VB_E_INPUT,
                           "\"step_samples_ns\" holds what is no time: expected whole "
                           "nanoseconds above 0");
        samples[i] = (uint64_t)json_integer_value(value);
    }
    out->step_samples_ns = samples;
    out->n_step_samples = n;
    return VB_OK;
}
