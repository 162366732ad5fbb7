/* SPDX-License-Identifier: Apache-2.0 */
/* A planned step is the same each time once the pool has settled: when a steady step has been given
 * the very addresses of the one before, live blocks and segments are the same at its start and its
 * end, so every further step is that step again and is not walked. */

#include "device/execute.h"

#include <inttypes.h>
#include <string.h>

#include "device/walk.h"

enum { MOST_WATCHED_STEPS = 3 };

uint64_t vb_walk_free_bytes(const struct vb_walk *walk)
{
    uint64_t free_bytes = vb_device_free_bytes(walk->device);
    return free_bytes > walk->eager_bytes ? free_bytes - walk->eager_bytes : 0;
}

static enum vb_status source_reserve(void *context, uint64_t bytes, uint64_t *address,
                                     struct vb_error *err)
{
    const struct vb_walk *walk = context;
    struct vb_segment segment;
    if (bytes > vb_walk_free_bytes(walk))
        return vb_fail(err, VB_E_NO_FIT, "%s: %" PRIu64 " B asked for, %" PRIu64 " B left",
                       vb_device_info(walk->device)->name, bytes, vb_walk_free_bytes(walk));
    enum vb_status status = vb_device_reserve(walk->device, bytes, &segment, err);
    if (status == VB_OK)
        *address = segment.address;
    return status;
}

static void source_release(void *context, uint64_t address, uint64_t bytes)
{
    const struct vb_walk *walk = context;
    vb_device_release(walk->device, (struct vb_segment){ address, bytes });
}

static uint64_t place_of(const struct vb_walk *walk, size_t instruction)
{
    return ((uint64_t)walk->step << 40) | instruction;
}

enum vb_status vb_walk_take(struct vb_walk *walk, uint64_t bytes, uint32_t category,
                            size_t instruction, struct vb_block **out, struct vb_error *err)
{
    enum vb_status status = vb_pool_alloc(walk->pool, bytes, 0, out, err);
    if (status == VB_E_NO_FIT) {
        walk->record->oom_asked_bytes = bytes;
        walk->record->oom_free_bytes = vb_walk_free_bytes(walk);
    }
    if (status != VB_OK || *out == NULL)
        return status;
    walk->addresses = (walk->addresses ^ vb_block_address(*out)) * UINT64_C(0x100000001b3);
    vb_device_mark(walk->device, vb_block_address(*out), bytes, true);
    vb_ledger_take(&walk->ledger, category, vb_block_bytes(*out), place_of(walk, instruction));
    return VB_OK;
}

void vb_walk_give(struct vb_walk *walk, struct vb_block *block, uint32_t category)
{
    if (block == NULL)
        return;
    vb_device_mark(walk->device, vb_block_address(block), vb_block_bytes(block), false);
    vb_ledger_give(&walk->ledger, category, vb_block_bytes(block));
    vb_pool_free(walk->pool, block);
}

static void keep_curve(struct vb_walk *walk, size_t instruction)
{
    struct vb_curve_point *curve =
        vb_arena_grow(walk->arena, walk->curve, walk->n_curve, &walk->curve_room, sizeof *curve);
    if (curve == NULL) {
        walk->keeps_curve = false;
        return;
    }
    walk->curve = curve;
    struct vb_curve_point *point = &curve[walk->n_curve++];
    point->index = (uint32_t)instruction;
    point->phase = (enum vb_phase)walk->ledger.phase;
    memcpy(point->bytes, walk->ledger.bytes, sizeof point->bytes);
}

/* torch.cuda.empty_cache() where more than so much of the device is reserved. */
static void empty_above(struct vb_walk *walk, uint32_t percent)
{
    uint64_t reserved_bytes = vb_pool_stats(walk->pool)->reserved_bytes.current;
    if (percent < 100 && reserved_bytes > walk->record->capacity_bytes / 100 * percent)
        vb_pool_empty_cache(walk->pool);
}

static enum vb_status run_mark(struct vb_walk *walk, uint32_t mark, struct vb_error *err)
{
    uint64_t reserved_bytes = vb_pool_stats(walk->pool)->reserved_bytes.current;
    struct vb_profile *profile = &walk->record->profile;
    if (mark >= VB_MARK_PART) {
        vb_walk_begin_part(walk, (enum vb_part)(mark - VB_MARK_PART));
        return VB_OK;
    }
    switch ((enum vb_mark)mark) {
    case VB_MARK_STEP:
        return vb_device_elapsed(walk->device, &walk->record->step_seconds, err);
    case VB_MARK_EPOCH:
        walk->record->epoch_reserved_bytes = reserved_bytes;
        return VB_OK;
    case VB_MARK_LATER:
        walk->record->later_reserved_bytes = reserved_bytes;
        return VB_OK;
    case VB_MARK_EMPTY_FULL:
        empty_above(walk, walk->program->empties_above_percent);
        return VB_OK;
    case VB_MARK_EMPTY_FULL_BEFORE:
        empty_above(walk, walk->program->empties_before_percent);
        return VB_OK;
    case VB_MARK_PROFILE:
        profile->before_reserved_bytes = reserved_bytes;
        profile->before_allocated_bytes = vb_pool_stats(walk->pool)->allocated_bytes.current;
        return VB_OK;
    case VB_MARK_SIZE:
        profile->reserved_bytes[profile->n++] = reserved_bytes;
        return VB_OK;
    case VB_MARK_SIZE_MORE:
        profile->reserved_bytes[profile->n - 1] += reserved_bytes;
        return VB_OK;
    case VB_MARK_EMPTY:
        vb_pool_empty_cache(walk->pool);
        return VB_OK;
    case VB_MARK_PART:
        break;
    }
    return VB_OK;
}

static enum vb_status run_instruction(struct vb_walk *walk, size_t i, struct vb_error *err)
{
    struct vb_instruction instruction = walk->program->instructions[i];
    uint32_t index = instruction.index;
    const struct vb_tensor *tensor = &walk->program->tensors[index];

    switch (instruction.kind) {
    case VB_ALLOC: {
        uint64_t peak_bytes = walk->ledger.peak_bytes;
        enum vb_status status =
            vb_walk_take(walk, tensor->bytes, tensor->category, i, &walk->blocks[index], err);
        if (walk->ledger.peak_bytes > peak_bytes)
            walk->workspace_at_peak_bytes = 0;
        return status;
    }
    case VB_FREE:
        vb_walk_give(walk, walk->blocks[index], tensor->category);
        walk->blocks[index] = NULL;
        return VB_OK;
    case VB_RUN:
        return vb_walk_call(walk, i, index, err);
    case VB_PHASE:
        vb_ledger_enter(&walk->ledger, index);
        return VB_OK;
    case VB_MARK:
        return run_mark(walk, index, err);
    }
    return VB_OK;
}

static enum vb_status run_range(struct vb_walk *walk, size_t from, size_t to, struct vb_error *err)
{
    walk->addresses = UINT64_C(0xcbf29ce484222325);
    walk->n_curve = 0;
    for (size_t i = from; i < to; i++) {
        enum vb_status status = run_instruction(walk, i, err);
        if (status != VB_OK)
            return status;
        if (walk->keeps_curve && walk->program->instructions[i].kind != VB_FREE)
            keep_curve(walk, i);
    }
    return VB_OK;
}

/* What the step leaves goes by the names under which the next one frees it. No tensor is both: what
 * ends a step was made in it. */
static void carry(struct vb_walk *walk)
{
    const struct vb_program *program = walk->program;
    for (size_t i = 0; i < program->n_carries; i++) {
        struct vb_carry carry = program->carries[i];
        walk->blocks[carry.start] = walk->blocks[carry.end];
        walk->blocks[carry.end] = NULL;
    }
}

/* When all else is told: a few more steps, no more than were timed, of which each kernel is
 * recorded, which costs time. Where memory runs out in them nothing is known of kernels. */
static enum vb_status run_watched(struct vb_walk *walk, struct vb_error *err)
{
    const struct vb_program *program = walk->program;
    const uint32_t timed = walk->point->steps;
    const uint32_t n = timed < MOST_WATCHED_STEPS ? timed : MOST_WATCHED_STEPS;
    double seconds[MOST_WATCHED_STEPS] = { 0 };
    enum vb_status status = VB_OK;
    if (walk->record->state != VB_STATE_OK || program->loop_end == program->loop_start)
        return VB_OK;
    if (!vb_device_watch(walk->device, true))
        return vb_device_tell_work(walk->device, 0, walk->record, err);
    for (uint32_t i = 0; i < n && status == VB_OK; i++, walk->step++) {
        status = run_range(walk, program->loop_start, program->loop_end, err);
        if (status == VB_OK)
            status = vb_device_elapsed(walk->device, &seconds[i], err);
        if (status == VB_OK)
            carry(walk);
    }
    (void)vb_device_watch(walk->device, false);
    if (status == VB_E_NO_FIT)
        return vb_device_tell_work(walk->device, 0, walk->record, err);
    if (status != VB_OK)
        return status;
    walk->record->on_gpu.recorded_step_seconds = vb_median(seconds, n) / program->loop_batches;
    return vb_device_tell_work(walk->device, n * program->loop_batches, walk->record, err);
}

/* The loop, until nothing new can come of it; then what follows it. */
static enum vb_status run_loop(struct vb_walk *walk, struct vb_error *err)
{
    const struct vb_program *program = walk->program;
    const bool measures = vb_device_info(walk->device)->measures;
    const uint32_t first_timed = walk->point->warmup > 1 ? walk->point->warmup : 1;
    uint64_t previous = 0;
    double seconds = 0;
    enum vb_status status = vb_device_elapsed(walk->device, &seconds, err);
    for (walk->step = 1; status == VB_OK && !vb_walk_has_settled(walk); walk->step++) {
        uint64_t peak_bytes = walk->ledger.peak_bytes;
        if (walk->step == first_timed)
            vb_device_note(walk->device, VB_MOMENT_BEFORE);
        status = run_range(walk, program->loop_start, program->loop_end, err);
        if (status == VB_OK)
            status = vb_device_elapsed(walk->device, &seconds, err);
        if (status == VB_OK)
            status = vb_walk_end_step(walk, program->loss, seconds, err);
        if (status != VB_OK)
            break;
        carry(walk);
        if (walk->addresses == previous && walk->ledger.peak_bytes == peak_bytes && !measures)
            break;
        previous = walk->addresses;
    }
    vb_device_note(walk->device, VB_MOMENT_AFTER);
    walk->record->step_seconds = seconds / program->loop_batches;
    return status;
}

static enum vb_status run_program(struct vb_walk *walk, struct vb_error *err)
{
    const struct vb_program *program = walk->program;
    const bool loops = program->loop_end > program->loop_start;
    enum vb_status status = run_range(walk, 0, program->second_step, err);
    if (status == VB_OK && loops)
        status = vb_walk_end_step(walk, program->first_loss, 0, err);
    if (status == VB_OK)
        status = run_range(walk, program->second_step, program->loop_start, err);
    if (status == VB_OK && loops)
        status = run_loop(walk, err);
    if (status == VB_OK && program->n_instructions > program->loop_end)
        status = run_range(walk, program->loop_end, program->n_instructions, err);
    walk->record->time_is_modelled = !vb_device_info(walk->device)->measures;
    return status;
}

/* A device that plans counts a context with lazily loaded kernels; PyTorch before 1.13 loads all.
 */
static uint64_t eager_bytes_of(const struct vb_program *program, struct vb_device *device)
{
    const struct vb_device_info *info = vb_device_info(device);
    if (program->lazy_modules || info->context_eager_bytes < info->context_bytes)
        return 0;
    return info->context_eager_bytes - info->context_bytes;
}

/* What a device that executes cannot do is found before memory is taken. */
static enum vb_status check(struct vb_walk *walk, const struct vb_pool_options *options,
                            struct vb_error *err)
{
    const struct vb_device_info *info = vb_device_info(walk->device);
    if (info->layout == VB_ONLY_PLANNED)
        return VB_OK;
    if (options->expandable_segments)
        return vb_fail(err, VB_E_UNSUPPORTED,
                       "%s has no expandable segments: take them out of alloc_conf", info->name);
    if (walk->program->layout != vb_device_layout(walk->device, walk->point->channels_last))
        return vb_fail(err, VB_E_UNSUPPORTED, "%s runs programs that were built for it alone",
                       info->name);
    return vb_walk_ask_workspaces(walk, err);
}

static enum vb_status prepare(struct vb_walk *walk, struct vb_pool_options *options,
                              struct vb_error *err)
{
    const struct vb_program *program = walk->program;
    struct vb_arena *arena = walk->arena;
    const bool settles = vb_device_info(walk->device)->settles;
    walk->samples_room = (size_t)walk->point->steps + (settles ? VB_MOST_STEPS : 0);
    enum vb_status status = vb_pool_options_parse(walk->point->alloc_conf, options, err);
    if (status != VB_OK)
        return status;
    options->native = walk->point->pool == VB_POOL_NATIVE;
    walk->blocks = vb_arena_alloc(arena, program->n_tensors + 1, sizeof(struct vb_block *));
    walk->plan_of = vb_arena_alloc(arena, program->n_calls + 1, sizeof *walk->plan_of);
    walk->samples = vb_arena_alloc(arena, walk->samples_room + 1, sizeof *walk->samples);
    walk->sorted = vb_arena_alloc(arena, walk->samples_room + 1, sizeof *walk->sorted);
    walk->samples_ns = vb_arena_alloc(arena, VB_MOST_STEP_SAMPLES, sizeof *walk->samples_ns);
    if (walk->blocks == NULL || walk->plan_of == NULL || walk->samples == NULL ||
        walk->sorted == NULL || walk->samples_ns == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to execute the program");
    return check(walk, options, err);
}

/* Where the walk's pool gets its memory; `walk` outlives the pool. */
static enum vb_status open_pool(struct vb_walk *walk, const struct vb_pool_options *options,
                                struct vb_pool **out, struct vb_error *err)
{
    const struct vb_source source = { walk, source_reserve, source_release,
                                      walk->record->capacity_bytes };
    return vb_pool_open(&source, options, out, err);
}

/* The program through the walk's pool, and what was seen to the record. */
static enum vb_status walk_through(struct vb_walk *walk, struct vb_error *err)
{
    walk->record->profile = (struct vb_profile){ .n_sizes = walk->program->n_profiled };
    enum vb_status status = run_program(walk, err);
    if (status == VB_OK || status == VB_E_NO_FIT) {
        vb_walk_tell(walk, status);
        status = vb_device_tell(walk->device, walk->record, err);
        if (status == VB_OK)
            status = run_watched(walk, err);
    }
    return status;
}

static enum vb_status execute(const struct vb_program *program, const struct vb_point *point,
                              struct vb_device *device, enum vb_choice_of_plan choice,
                              bool with_curve, struct vb_arena *arena, struct vb_record *record,
                              struct vb_error *err)
{
    struct vb_walk walk = { .choice = choice,
                            .program = program,
                            .point = point,
                            .device = device,
                            .arena = arena,
                            .record = record,
                            .eager_bytes = eager_bytes_of(program, device),
                            .keeps_curve = with_curve };
    struct vb_pool_options options;
    vb_walk_tell_device(&walk);
    enum vb_status status = prepare(&walk, &options, err);
    if (status != VB_OK)
        return status;
    status = open_pool(&walk, &options, &walk.pool, err);
    if (status != VB_OK)
        return status;
    status = walk_through(&walk, err);
    vb_pool_close(walk.pool);
    vb_walk_end_calls(&walk);
    vb_plan_map_clear(&walk.searched);
    return status;
}

/* Whoever trained lets go of all that it had. */
static void let_go(struct vb_walk *walk)
{
    for (size_t i = 0; i < walk->program->n_tensors; i++) {
        vb_walk_give(walk, walk->blocks[i], walk->program->tensors[i].category);
        walk->blocks[i] = NULL;
    }
}

/* One of a sequence; `*pool` is opened by the first, whose walk it keeps as its source's. */
static enum vb_status execute_next(struct vb_walk *walk, struct vb_walk *first,
                                   struct vb_pool **pool, struct vb_error *err)
{
    struct vb_pool_options options;
    vb_walk_tell_device(walk);
    enum vb_status status = prepare(walk, &options, err);
    if (status == VB_OK && *pool == NULL)
        status = open_pool(first, &options, pool, err);
    if (status != VB_OK)
        return status;
    walk->pool = *pool;
    vb_pool_reset_peaks(walk->pool);
    status = walk_through(walk, err);
    let_go(walk);
    vb_walk_end_calls(walk);
    vb_plan_map_clear(&walk->searched);
    return status;
}

enum vb_status vb_execute_sequence(const struct vb_in_sequence *items, size_t n, bool empties,
                                   struct vb_device *device, struct vb_arena *arena,
                                   struct vb_error *err)
{
    struct vb_walk *walks = vb_arena_alloc(arena, n + 1, sizeof *walks);
    struct vb_pool *pool = NULL;
    enum vb_status status = VB_OK;
    if (walks == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to execute the programs");
    for (size_t i = 0; i < n && status == VB_OK; i++) {
        walks[i] = (struct vb_walk){ .choice = VB_FIRST_PLAN,
                                     .program = items[i].program,
                                     .point = items[i].point,
                                     .device = device,
                                     .arena = arena,
                                     .record = items[i].record,
                                     .eager_bytes = eager_bytes_of(items[i].program, device) };
        status = execute_next(&walks[i], &walks[0], &pool, err);
        if (items[i].record->state == VB_STATE_OOM)
            break;
        if (empties && status == VB_OK)
            vb_pool_empty_cache(pool);
    }
    vb_pool_close(pool);
    return status;
}

/* Which plan cuDNN's own timing picks cannot be known without the GPU: the peak with the least and
 * with the most workspace of those that it could are the uncertainty. */
static enum vb_status tell_uncertainty(const struct vb_program *program,
                                       const struct vb_point *point, struct vb_device *device,
                                       struct vb_arena *arena, struct vb_record *record,
                                       struct vb_error *err)
{
    struct vb_record other = *record;
    enum vb_status status =
        execute(program, point, device, VB_LEAST_PLAN, false, arena, &other, err);
    record->workspace_low_bytes = other.peak_reserved_bytes;
    if (status == VB_OK)
        status = execute(program, point, device, VB_MOST_PLAN, false, arena, &other, err);
    record->workspace_high_bytes = other.peak_reserved_bytes;
    return status;
}

enum vb_status vb_execute(const struct vb_program *program, const struct vb_point *point,
                          struct vb_device *device, bool with_curve, struct vb_arena *arena,
                          struct vb_record *record, struct vb_error *err)
{
    enum vb_status status =
        execute(program, point, device, VB_FIRST_PLAN, with_curve, arena, record, err);
    if (status == VB_OK && program->benchmark && !vb_device_info(device)->measures)
        status = tell_uncertainty(program, point, device, arena, record, err);
    return status;
}
