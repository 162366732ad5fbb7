/* SPDX-License-Identifier: Apache-2.0 */
/* Programs one after the other through one pool, held to a pool that is fed with what they allocate
 * and free, one list after the other: a walk that knows of nothing but tensors. Workspaces lie
 * outside the pool, so that a program is all there is. */

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "device/execute.h"
#include "model/catalogue.h"
#include "step/run.h"

enum { MAX_PROGRAMS = 4 };

struct phase {
    char model[16];
    uint32_t batch, imgsz;
    enum vb_mosaic mosaic;
};

struct sequence_case {
    char label[64];
    char conf[64];
    bool empties;
    bool runs_out;
    uint64_t capacity_mib; /* 0: the GPU's */
    size_t n;
    struct phase phases[MAX_PROGRAMS];
};

struct made {
    struct vb_arena arena;
    struct vb_point point;
    struct vb_program program;
};

static void make(const struct phase *phase, const char *conf, struct made *made)
{
    struct vb_error err = { 0 };
    struct vb_description description;
    struct vb_graph graph;
    struct vb_recipe recipe;
    struct vb_point *point = &made->point;
    *point = vb_point_default();
    (void)snprintf(point->model, sizeof point->model, "%s", phase->model);
    (void)snprintf(point->alloc_conf, sizeof point->alloc_conf, "%s", conf);
    point->workload = VB_WHOLE_RUN;
    point->workspace = VB_SCRATCH_OUTSIDE;
    point->precision = VB_FP16;
    point->batch = phase->batch;
    point->imgsz = phase->imgsz;
    point->mosaic = phase->mosaic;
    cr_assert_eq(vb_catalogue_describe(point->model, &made->arena, &description, &err), VB_OK);
    cr_assert_eq(vb_catalogue_expand(point->model, point->batch, point->imgsz, 0, &made->arena,
                                     &graph, &err),
                 VB_OK, "%s", err.text);
    cr_assert_eq(vb_recipe_find(point, vb_family_of(&graph), &recipe, &err), VB_OK);
    cr_assert_eq(
        vb_run_build(&graph, &description, point, &recipe, &made->arena, &made->program, &err),
        VB_OK);
}

/* A device that gives what is left of its capacity, each segment below the one before. */
struct plain_device {
    uint64_t left, lowest, capacity;
};

static enum vb_status reserve(void *context, uint64_t bytes, uint64_t *address,
                              struct vb_error *err)
{
    struct plain_device *device = context;
    if (bytes > device->left)
        return vb_fail(err, VB_E_NO_FIT, "full");
    device->left -= bytes;
    device->lowest -= bytes;
    *address = device->lowest;
    return VB_OK;
}

static void release(void *context, uint64_t address, uint64_t bytes)
{
    (void)address;
    ((struct plain_device *)context)->left += bytes;
}

/* What a program leaves of the pool between operators, as program.h describes it. */
static void mark(const struct vb_program *program, uint32_t index, uint64_t capacity,
                 struct vb_pool *pool)
{
    uint64_t percent = index == VB_MARK_EMPTY_FULL          ? program->empties_above_percent
                       : index == VB_MARK_EMPTY_FULL_BEFORE ? program->empties_before_percent
                                                            : 100;
    if (index == VB_MARK_EMPTY ||
        (percent < 100 && vb_pool_stats(pool)->reserved_bytes.current > capacity / 100 * percent))
        vb_pool_empty_cache(pool);
}

/* False where memory ran out. */
static bool feed(const struct vb_program *program, uint64_t capacity, struct vb_pool *pool)
{
    struct vb_block **blocks = calloc(program->n_tensors + 1, sizeof(struct vb_block *));
    bool goes_on = true;
    for (size_t i = 0; i < program->n_instructions && goes_on; i++) {
        struct vb_instruction instruction = program->instructions[i];
        if (instruction.kind == VB_ALLOC)
            goes_on = vb_pool_alloc(pool, program->tensors[instruction.index].bytes, 0,
                                    &blocks[instruction.index], NULL) == VB_OK;
        else if (instruction.kind == VB_FREE) {
            vb_pool_free(pool, blocks[instruction.index]);
            blocks[instruction.index] = NULL;
        } else if (instruction.kind == VB_MARK && instruction.index < VB_MARK_PART)
            mark(program, instruction.index, capacity, pool);
    }
    for (size_t i = 0; i < program->n_tensors; i++)
        vb_pool_free(pool, blocks[i]);
    free(blocks);
    return goes_on;
}

static void check(const struct sequence_case *c)
{
    struct vb_device *device = NULL;
    struct vb_error err = { 0 };
    struct vb_arena arena = { 0 };
    struct made made[MAX_PROGRAMS] = { 0 };
    struct vb_record records[MAX_PROGRAMS] = { 0 };
    struct vb_in_sequence items[MAX_PROGRAMS];
    struct vb_pool_options options;
    struct vb_pool *pool = NULL;
    bool ran_out = false;

    cr_assert_eq(setenv("VRAMBENCH_CUDNN", "off", 1), 0);
    cr_assert_eq(vb_device_open("virtual:t4", &device, &err), VB_OK, "%s", err.text);
    if (c->capacity_mib > 0)
        cr_assert_eq(vb_device_limit(device, VB_MIB(c->capacity_mib), &err), VB_OK, "%s", err.text);
    for (size_t i = 0; i < c->n; i++) {
        make(&c->phases[i], c->conf, &made[i]);
        items[i] = (struct vb_in_sequence){ &made[i].program, &made[i].point, &records[i] };
    }
    cr_assert_eq(vb_execute_sequence(items, c->n, c->empties, device, &arena, &err), VB_OK, "%s",
                 err.text);

    const struct vb_device_info *info = vb_device_info(device);
    struct plain_device plain = { info->capacity_bytes - info->context_bytes, UINT64_C(1) << 62,
                                  info->capacity_bytes };
    const struct vb_source source = { &plain, reserve, release, info->capacity_bytes };
    cr_assert_eq(vb_pool_options_parse(c->conf, &options, &err), VB_OK);
    cr_assert_eq(vb_pool_open(&source, &options, &pool, &err), VB_OK);
    for (size_t i = 0; i < c->n && !ran_out; i++) {
        vb_pool_reset_peaks(pool);
        ran_out = !feed(&made[i].program, info->capacity_bytes, pool);
        uint64_t peak = vb_pool_stats(pool)->reserved_bytes.peak;
        cr_expect_eq(records[i].state, ran_out ? VB_STATE_OOM : VB_STATE_OK, "%s: phase %zu",
                     c->label, i + 1);
        cr_expect_eq(records[i].peak_reserved_bytes, peak, "%s: phase %zu peaks at %lu, fed: %lu",
                     c->label, i + 1, (unsigned long)records[i].peak_reserved_bytes,
                     (unsigned long)peak);
        if (c->empties)
            vb_pool_empty_cache(pool);
    }
    cr_expect_eq(ran_out, c->runs_out, "%s", c->label);
    vb_pool_close(pool);
    vb_device_close(device);
    for (size_t i = 0; i < c->n; i++)
        vb_arena_clear(&made[i].arena);
    vb_arena_clear(&arena);
}

#define PHASE(batch, imgsz)                                                                        \
    {                                                                                              \
        "yolov5n", batch, imgsz, VB_MOSAIC_CPU                                                     \
    }

ParameterizedTestParameters(sequence, equals_the_pool_fed_with_all_of_it)
{
    static struct sequence_case cases[] = {
        { "one phase is a run", "", false, false, 0, 1, { PHASE(4, 320) } },
        { "growing sizes, cache kept",
          "",
          false,
          false,
          0,
          3,
          { PHASE(8, 192), PHASE(4, 320), PHASE(2, 512) } },
        { "growing sizes, cache emptied",
          "",
          true,
          false,
          0,
          3,
          { PHASE(8, 192), PHASE(4, 320), PHASE(2, 512) } },
        { "shrinking sizes", "", false, false, 0, 2, { PHASE(2, 512), PHASE(8, 192) } },
        { "expandable segments",
          "expandable_segments:True",
          false,
          false,
          0,
          2,
          { PHASE(8, 192), PHASE(4, 320) } },
        { "mosaic on, then off",
          "",
          false,
          false,
          0,
          2,
          { { "yolov8n", 4, 320, VB_MOSAIC_ON }, { "yolov8n", 4, 320, VB_MOSAIC_OFF } } },
        { "the second runs out",
          "",
          false,
          true,
          700,
          3,
          { PHASE(2, 192), PHASE(16, 640), PHASE(2, 192) } },
    };
    return cr_make_param_array(struct sequence_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(struct sequence_case *c, sequence, equals_the_pool_fed_with_all_of_it)
{
    check(c);
}

struct draw_case {
    char label[48];
    uint32_t imgsz, percent, stride;
};

/* Each number that randrange(int(imgsz * low), int(imgsz * high) + stride) may give. */
Test(multiscale, largest_draw_is_the_largest_of_all_draws)
{
    static const struct draw_case cases[] = {
        { "a multiple of the stride", 640, 50, 32 },
        { "half of it is none", 672, 50, 32 },
        { "a stride of 64", 1280, 50, 64 },
        { "half of it is none of 64", 960, 50, 64 },
        { "no draws", 640, 0, 32 },
        { "a quarter", 416, 25, 32 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct draw_case *c = &cases[i];
        uint32_t largest = 0;
        for (uint32_t draw = c->imgsz * (100 - c->percent) / 100;
             draw < c->imgsz * (100 + c->percent) / 100 + c->stride; draw++)
            largest =
                draw / c->stride * c->stride > largest ? draw / c->stride * c->stride : largest;
        cr_expect_eq(vb_largest_draw(c->imgsz, c->percent, c->stride), largest, "%s", c->label);
    }
}
