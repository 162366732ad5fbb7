/* SPDX-License-Identifier: Apache-2.0 */
/* A run on a real GPU predicted event by event: ResNet-50 on a V100 with PyTorch 1.9
 * (tests/data/traces, whose README says what was recorded). What the program allocates and frees,
 * in which order, follows from its rules; only the workspaces of convolutions are the recording's.
 */

#include <criterion/criterion.h>
#include <stdbool.h>

#include "csv.h"
#include "memory/pool.h"
#include "model/catalogue.h"
#include "step/build.h"

enum {
    BATCH = 32,
    SIZE = 224,
    N_STEPS = 6,
    STEP_EVENTS = 1370,
    STEADY_BEFORE = 4, /* steps between the first one and the recorded ones, ProfilerStep#5 on */
    MIB = 1 << 20
};

struct made {
    struct vb_arena arena;
    struct vb_graph graph;
    struct vb_program program;
    struct csv workspaces, recording;
};

static void make(struct made *made)
{
    struct vb_error err = { 0 };
    struct vb_recipe recipe;
    struct vb_point point = vb_point_default();
    *made = (struct made){ 0 };
    (void)snprintf(point.torch, sizeof point.torch, "1.9");
    point.batch = BATCH;
    point.imgsz = SIZE;
    point.ema = false;
    point.benchmark = VB_ON;
    cr_assert_eq(vb_catalogue_expand(VB_TEST_DATA "/models/resnet50.yaml", BATCH, SIZE, 0,
                                     &made->arena, &made->graph, &err),
                 VB_OK, "%s", err.text);
    cr_assert_eq(vb_recipe_find(&point, vb_family_of(&made->graph), &recipe, &err), VB_OK, "%s",
                 err.text);
    cr_assert_eq(vb_program_build(&made->graph, &point, &recipe, NULL, VB_ONLY_PLANNED,
                                  &made->arena, &made->program, &err),
                 VB_OK, "%s", err.text);
    made->workspaces = csv_open("traces/kineto_v100_resnet50_workspaces.csv");
    made->recording = csv_open("traces/kineto_v100_resnet50_train_ops.csv");
}

static void clear(struct made *made)
{
    csv_close(&made->recording);
    csv_close(&made->workspaces);
    vb_arena_clear(&made->arena);
}

/* "model.2.0.conv1.conv" is l1.0.c1, "model.2.0.downsample.conv" l1.0.cd, "model.0.conv" conv1. */
static uint64_t workspace_of(const struct made *made, const struct vb_call *call)
{
    static const char *const directions[] = { "fwd", "bwd_data", "bwd_filter" };
    char name[64], part[32];
    unsigned layer = 0, block = 0;
    if (!vb_operator_is_conv(call->op))
        return 0;
    if (sscanf(call->module, "model.%u.%u.%31[a-z0-9]", &layer, &block, part) == 3)
        (void)snprintf(name, sizeof name, "l%u.%u.c%c.%s", layer - 1, block,
                       part[0] == 'd' ? 'd' : part[4], directions[call->op]);
    else
        (void)snprintf(name, sizeof name, "conv1.%s", directions[call->op]);
    for (size_t i = 0; i < made->workspaces.n_rows; i++) {
        if (strcmp(csv_text(&made->workspaces, i, "op"), name) == 0)
            return csv_number(&made->workspaces, i, "workspace_block_bytes");
    }
    return 0;
}

/* Receives each event: `id` names the memory that is taken or given back. */
typedef void visitor(void *context, bool is_alloc, size_t id, uint64_t bytes, const char *name);

/* The instructions of [from, to) as events; a convolution's workspace is taken when it runs, after
 * its result, and given back at once. Its id is beyond all tensors'. */
static void visit(const struct made *made, size_t from, size_t to, visitor *see, void *context)
{
    const struct vb_program *program = &made->program;
    for (size_t i = from; i < to; i++) {
        struct vb_instruction instruction = program->instructions[i];
        const struct vb_tensor *tensor = &program->tensors[instruction.index];
        if (instruction.kind == VB_ALLOC || instruction.kind == VB_FREE)
            see(context, instruction.kind == VB_ALLOC, instruction.index, tensor->bytes,
                tensor->name);
        if (instruction.kind != VB_RUN)
            continue;
        const struct vb_call *call = &program->calls[instruction.index];
        uint64_t bytes = workspace_of(made, call);
        if (bytes > 0) {
            see(context, true, program->n_tensors, bytes, call->module);
            see(context, false, program->n_tensors, bytes, call->module);
        }
    }
}

/* A list with an entry a tensor at the end of the loop: what it begins with the next time. */
static void carry(const struct vb_program *program, void *list, size_t entry_bytes)
{
    char *entries = list;
    for (size_t i = 0; i < program->n_carries; i++)
        memcpy(entries + program->carries[i].start * entry_bytes,
               entries + program->carries[i].end * entry_bytes, entry_bytes);
}

static long recorded_bytes(const struct csv *recording, size_t row)
{
    cr_assert_lt(row, recording->n_rows, "more events than were recorded");
    return strtol(csv_text(recording, row, "bytes"), NULL, 10);
}

/* How far the recording has been followed, and the recorded block of each id. */
struct comparison {
    const struct csv *recording;
    size_t row;
    uint64_t *blocks;
};

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + 511) / 512 * 512;
}

/* An allocation's block is the request rounded, or, in the pool of large blocks, up to 1 MiB more
 * where the rest was not split off; a free's is the block that this very tensor was given. */
static void compare(void *context, bool is_alloc, size_t id, uint64_t bytes, const char *name)
{
    struct comparison *at = context;
    long recorded = recorded_bytes(at->recording, at->row);
    uint64_t block = (uint64_t)labs(recorded);
    uint64_t low = rounded(bytes), high = low > MIB ? low + MIB : low;
    bool is_same = is_alloc ? block >= low && block <= high : block == at->blocks[id];
    cr_assert((recorded > 0) == is_alloc && is_same, "event %zu, %s: %c%lu, recorded %ld", at->row,
              name, is_alloc ? '+' : '-', (unsigned long)(is_alloc ? low : at->blocks[id]),
              recorded);
    if (is_alloc)
        at->blocks[id] = block;
    at->row++;
}

Test(kineto, predicts_each_event_of_six_steps_in_order)
{
    struct made made;
    make(&made);
    const struct vb_program *program = &made.program;
    uint64_t *blocks = calloc(program->n_tensors + 1, sizeof *blocks);
    struct comparison at = { .recording = &made.recording, .blocks = blocks };
    /* What was there before the recording began happens to fill its blocks. */
    for (size_t i = 0; i < program->n_tensors; i++)
        blocks[i] = rounded(program->tensors[i].bytes);
    for (size_t step = 0; step < N_STEPS; step++) {
        visit(&made, program->loop_start, program->loop_end, compare, &at);
        cr_assert_eq(at.row, (step + 1) * STEP_EVENTS);
        carry(program, blocks, sizeof *blocks);
    }
    cr_expect_eq(at.row, made.recording.n_rows);
    free(blocks);
    clear(&made);
}

/* A process from its start: the pool, and what it has given to whom. */
struct process {
    struct comparison at;
    struct vb_pool *pool;
    struct vb_block **blocks;
    bool is_recorded;
    size_t n_equal;
};

static enum vb_status reserve(void *context, uint64_t bytes, uint64_t *address,
                              struct vb_error *err)
{
    uint64_t *lowest = context;
    (void)err;
    *lowest -= bytes;
    *address = *lowest;
    return VB_OK;
}

static void release(void *context, uint64_t address, uint64_t bytes)
{
    (void)context;
    (void)address;
    (void)bytes;
}

static struct vb_block *take(struct vb_pool *pool, uint64_t bytes)
{
    struct vb_block *block = NULL;
    struct vb_error err = { 0 };
    cr_assert_eq(vb_pool_alloc(pool, bytes, 0, &block, &err), VB_OK, "%s", err.text);
    return block;
}

static void execute(void *context, bool is_alloc, size_t id, uint64_t bytes, const char *name)
{
    struct process *process = context;
    (void)name;
    if (is_alloc)
        process->blocks[id] = take(process->pool, bytes);
    if (process->is_recorded) {
        long recorded = recorded_bytes(process->at.recording, process->at.row++);
        long ours = (long)vb_block_bytes(process->blocks[id]);
        process->n_equal += recorded == (is_alloc ? ours : -ours);
    }
    if (!is_alloc)
        vb_pool_free(process->pool, process->blocks[id]);
}

/* What cuDNN's search took to work in at the first forward convolution of such a configuration.
 * Nobody recorded these sizes; they are inferred: with these four, and nothing for the other
 * searches, the pool comes to the recorded blocks. Others do as well. */
static const struct search {
    uint32_t c, h, k, kernel;
    uint64_t bytes;
} inferred[] = {
    { 64, 56, 256, 1, 95ull * MIB },
    { 256, 56, 64, 1, 231ull * MIB },
    { 128, 28, 128, 3, 235039597 },
    { 512, 28, 256, 1, 1350ull * MIB },
};
enum { N_INFERRED = sizeof inferred / sizeof *inferred };

static bool same_configuration(const struct vb_call *a, const struct vb_call *b)
{
    const struct vb_call_window *of = b->window;
    return a->op == b->op && a->window->c == of->c && a->window->h == of->h &&
           a->window->k == of->k && a->window->window.kernel_h == of->window.kernel_h &&
           a->window->window.stride == of->window.stride;
}

/* torch.backends.cudnn.benchmark, at the first convolution of each configuration: the cache is
 * emptied while the search still holds its workspace. Source: torch-memory.md, part A, 3. */
static void search(const struct vb_program *program, size_t index, struct vb_pool *pool)
{
    const struct vb_call *call = &program->calls[index];
    uint64_t bytes = 0;
    for (size_t i = 0; i < index; i++) {
        if (same_configuration(&program->calls[i], call))
            return;
    }
    const struct vb_call_window *of = call->window;
    for (size_t i = 0; i < N_INFERRED && call->op == VB_OP_CONV; i++) {
        if (inferred[i].c == of->c && inferred[i].h == of->h && inferred[i].k == of->k &&
            inferred[i].kernel == of->window.kernel_h)
            bytes = inferred[i].bytes;
    }
    struct vb_block *workspace = take(pool, bytes);
    vb_pool_empty_cache(pool);
    vb_pool_free(pool, workspace);
}

static void run_first_step(const struct made *made, struct process *process)
{
    const struct vb_program *program = &made->program;
    for (size_t i = 0; i < program->loop_start; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (instruction.kind == VB_RUN && vb_operator_is_conv(program->calls[instruction.index].op))
            search(program, instruction.index, process->pool);
        visit(made, i, i + 1, execute, process);
    }
}

Test(kineto, gives_each_event_its_block_from_the_start_of_the_process)
{
    struct made made;
    make(&made);
    const struct vb_program *program = &made.program;
    uint64_t lowest = 1ull << 46;
    const struct vb_source source = { &lowest, reserve, release, 1ull << 45 };
    struct vb_error err = { 0 };
    struct process process = { .at = { .recording = &made.recording } };
    process.blocks = calloc(program->n_tensors + 1, sizeof(struct vb_block *));
    cr_assert_eq(vb_pool_open(&source, &(struct vb_pool_options){ 0 }, &process.pool, &err), VB_OK,
                 "%s", err.text);
    run_first_step(&made, &process);
    for (size_t step = 0; step < STEADY_BEFORE + N_STEPS; step++) {
        process.is_recorded = step >= STEADY_BEFORE;
        visit(&made, program->loop_start, program->loop_end, execute, &process);
        carry(program, process.blocks, sizeof(struct vb_block *));
    }
    cr_expect_eq(process.at.row, made.recording.n_rows);
    cr_expect_eq(process.n_equal, N_STEPS * STEP_EVENTS, "%zu of %d blocks are the recorded ones",
                 process.n_equal, N_STEPS * STEP_EVENTS);
    vb_pool_close(process.pool);
    free(process.blocks);
    clear(&made);
}
