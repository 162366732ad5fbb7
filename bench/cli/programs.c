/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/programs.h"

#include <string.h>

void cli_programs_clear(struct cli_programs *programs)
{
    vb_arena_clear(&programs->arena);
    vb_arena_clear(&programs->walks);
    *programs = (struct cli_programs){ .has_last = false };
}

/* Without what only the walk through the program depends on. */
static struct vb_point plain(const struct vb_point *point)
{
    struct vb_point plain = *point;
    memset(plain.alloc_conf, 0, sizeof plain.alloc_conf);
    plain.workspace = VB_SCRATCH_POOL;
    return plain;
}

bool cli_programs_has(const struct cli_programs *programs, const struct vb_point *point)
{
    const struct vb_point wanted = plain(point);
    return programs->has_last && memcmp(&programs->last, &wanted, sizeof wanted) == 0;
}

/* Of several GPUs there is more than one program, and AutoBatch's depends on the GPU's memory. */
static bool is_one(const struct vb_point *point)
{
    return point->workload != VB_AUTOBATCH && vb_world_of(point) == 1;
}

/* Another program, or others, in the place of the last one. */
static struct vb_arena *begin(struct cli_programs *programs)
{
    programs->has_last = false;
    vb_arena_reset(&programs->arena);
    return &programs->arena;
}

static enum vb_status compile(struct cli_programs *programs, const struct vb_point *point,
                              const struct vb_device *device, struct vb_error *err)
{
    if (cli_programs_has(programs, point))
        return VB_OK;
    enum vb_status status = vb_compile(point, vb_device_info(device)->capacity_bytes,
                                       vb_device_layout(device, point->channels_last),
                                       begin(programs), &programs->compiled, err);
    programs->last = plain(point);
    programs->has_last = status == VB_OK;
    return status;
}

enum vb_status cli_measure(struct cli_programs *programs, const struct vb_point *point,
                           struct vb_device *device, struct vb_record *record, struct vb_error *err)
{
    enum vb_status status;
    *record = (struct vb_record){ .point = *point };
    if (is_one(point)) {
        status = compile(programs, point, device, err);
        if (status == VB_OK)
            status = vb_measure_program(&programs->compiled, point, device, false, &programs->walks,
                                        record, err);
    } else {
        status = vb_measure(point, device, false, begin(programs), record, err);
    }
    vb_arena_reset(&programs->walks);
    return status;
}

enum vb_status cli_measure_start(struct cli_programs *programs, const struct vb_point *point,
                                 struct vb_device *device, struct vb_record *record,
                                 struct vb_error *err)
{
    enum vb_status status = vb_measure_start(point, device, &programs->walks, record, err);
    vb_arena_reset(&programs->walks);
    return status;
}

enum vb_status cli_measure_need(struct cli_programs *programs, const struct vb_point *point,
                                struct vb_device *device, struct vb_record *record,
                                struct vb_record *need, struct vb_error *err)
{
    enum vb_status status;
    *record = *need = (struct vb_record){ .point = *point };
    if (is_one(point)) {
        status = compile(programs, point, device, err);
        if (status == VB_OK)
            status = vb_measure_program_need(&programs->compiled, point, device, &programs->walks,
                                             record, need, err);
    } else {
        status = vb_measure_need(point, device, begin(programs), record, need, err);
    }
    vb_arena_reset(&programs->walks);
    return status;
}
