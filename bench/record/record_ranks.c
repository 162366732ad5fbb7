/* SPDX-License-Identifier: Apache-2.0 */
/* "gpus": 2, "strategy": "ddp", ...: of a point with several. "ranks": [{"peak_allocated_bytes": 1,
 * "peak_reserved_bytes": 2}, ...], "heaviest_rank": 0. A point with one GPU says nothing of it, as
 * before there were others, and so is the same point. */

#include "record/json.h"

static const struct vb_member members[] = {
    VB_MEMBER(vb_point, gpus, VB_MEMBER_U32),
    { "strategy", VB_MEMBER_NAME, offsetof(struct vb_point, strategy),
      sizeof(((struct vb_point *)0)->strategy), vb_strategy_names,
      sizeof vb_strategy_names / sizeof *vb_strategy_names },
    VB_MEMBER(vb_point, world, VB_MEMBER_U32),
    VB_MEMBER(vb_point, zero, VB_MEMBER_U32),
    VB_MEMBER(vb_point, bucket_view, VB_MEMBER_BOOL),
};
static const size_t n_members = sizeof members / sizeof *members;

void vb_point_write_gpus(const struct vb_point *point, json_t *object)
{
    if (vb_world_of(point) > 1)
        vb_members_write(object, members, n_members, point);
}

void vb_record_write_ranks(const struct vb_record *record, json_t *object)
{
    if (record->n_ranks == 0)
        return;
    json_t *ranks = json_array();
    for (uint32_t r = 0; r < record->n_ranks; r++)
        (void)json_array_append_new(ranks, json_pack("{s:I, s:I}", "peak_allocated_bytes",
                                                     (json_int_t)record->ranks[r].allocated_bytes,
                                                     "peak_reserved_bytes",
                                                     (json_int_t)record->ranks[r].reserved_bytes));
    (void)json_object_set_new(object, "ranks", ranks);
    (void)json_object_set_new(object, "heaviest_rank", json_integer(record->heaviest_rank));
}

static uint64_t read_bytes(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

enum vb_status vb_record_read_ranks(const json_t *object, struct vb_record *out,
                                    struct vb_error *err)
{
    const json_t *ranks = json_object_get(object, "ranks");
    json_int_t heaviest = json_integer_value(json_object_get(object, "heaviest_rank"));
    out->point.gpus = 1;
    if (json_object_get(object, "gpus") == NULL)
        return VB_OK;
    enum vb_status status = vb_members_read(object, members, n_members, &out->point, err);
    if (status != VB_OK)
        return status;
    if (json_array_size(ranks) > VB_MAX_GPUS || heaviest < 0 || heaviest >= VB_MAX_GPUS)
        return vb_fail(err, VB_E_INPUT, "\"ranks\" is not what a record has there");
    for (size_t r = 0; r < json_array_size(ranks); r++) {
        const json_t *rank = json_array_get(ranks, r);
        out->ranks[r] = (struct vb_rank_peaks){ read_bytes(rank, "peak_allocated_bytes"),
                                                read_bytes(rank, "peak_reserved_bytes") };
    }
    out->n_ranks = (uint32_t)json_array_size(ranks);
    out->heaviest_rank = (uint32_t)heaviest;
    return VB_OK;
}
