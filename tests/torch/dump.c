/* SPDX-License-Identifier: Apache-2.0 */
/* Executes one training step on this machine and writes what went in and what came out, for
 * compare.py: PREFIX.bin, numbers one tensor after the other, and PREFIX.txt, a line each of name,
 * type, shape and offset in bytes.    torch_dump MODEL BATCH IMGSZ BOXES PREFIX */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "host_run.h"

struct dump {
    FILE *index, *data;
    uint64_t offset;
};

static void write_numbers(struct dump *dump, const char *kind, const char *name,
                          const struct vb_shape *shape, const float *numbers)
{
    size_t n = vb_shape_elements(shape);
    fprintf(dump->index, "%s/%s float32 ", kind, name);
    for (uint32_t i = 0; i < shape->n_dims; i++)
        fprintf(dump->index, "%s%" PRIu32, i > 0 ? "," : "", shape->dims[i]);
    fprintf(dump->index, "%s %" PRIu64 "\n", shape->n_dims == 0 ? "-" : "", dump->offset);
    if (fwrite(numbers, sizeof *numbers, n, dump->data) != n)
        exit(3);
    dump->offset += n * sizeof *numbers;
}

static void write_tensor(struct dump *dump, const struct vb_host_run *run, const char *kind,
                         const char *name, uint32_t tensor)
{
    if (tensor == VB_NONE) {
        fprintf(stderr, "the step has no %s %s\n", kind, name);
        exit(3);
    }
    float *numbers = vb_host_run_read(run, tensor);
    write_numbers(dump, kind, name, &run->program.tensors[tensor].shape, numbers);
    free(numbers);
}

/* Rows of image, class, centre and sides. */
static void write_boxes(struct dump *dump, const struct vb_targets *targets)
{
    float *rows = calloc((size_t)targets->n + 1, 6 * sizeof *rows);
    for (uint32_t i = 0; i < targets->n && rows != NULL; i++) {
        const struct vb_target *box = &targets->items[i];
        const float row[] = {
            (float)box->image, (float)box->label, box->cx, box->cy, box->w, box->h
        };
        for (size_t k = 0; k < 6; k++)
            rows[i * 6 + k] = row[k];
    }
    write_numbers(dump, "input", "boxes", &(struct vb_shape){ 2, { targets->n, 6 } }, rows);
    free(rows);
}

static void write_parameters(struct dump *dump, const struct vb_host_run *run)
{
    const struct vb_graph *graph = &run->graph;
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (!graph->parameters[i].is_frozen)
            write_tensor(dump, run, "weight", graph->parameters[i].name,
                         vb_host_run_parameter(run, i));
    }
}

/* Running statistics, once the forward pass has changed them. */
static void write_buffers(struct dump *dump, const struct vb_host_run *run)
{
    const struct vb_graph *graph = &run->graph;
    for (uint32_t i = 0; i < graph->n_buffers; i++) {
        uint32_t buffer = graph->n_parameters + i;
        if (!graph->parameters[buffer].is_int64)
            write_tensor(dump, run, "buffer", graph->parameters[buffer].name,
                         vb_host_run_parameter(run, buffer));
    }
}

static void write_step(struct dump *dump, struct vb_host_run *run)
{
    const struct vb_graph *graph = &run->graph;
    vb_host_run_until(run, VB_PHASE_FORWARD);
    write_parameters(dump, run);
    write_tensor(dump, run, "input", "images", vb_host_run_images(run));
    write_boxes(dump, &run->targets);
    vb_host_run_until(run, VB_PHASE_LOSS);
    write_buffers(dump, run);
    for (uint32_t i = 0; i < graph->n_levels; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%u", i);
        write_tensor(dump, run, "prediction", name, vb_host_run_prediction(run, i));
    }
    vb_host_run_until(run, VB_PHASE_BACKWARD);
    write_tensor(dump, run, "output", "loss", vb_host_run_loss(run));
    vb_host_run_until(run, VB_PHASE_CLIP);
    for (uint32_t i = 0; i < graph->n_parameters; i++) {
        if (!graph->parameters[i].is_frozen)
            write_tensor(dump, run, "gradient", graph->parameters[i].name,
                         vb_host_run_gradient(run, i));
    }
}

static FILE *open_part(const char *prefix, const char *ending)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s%s", prefix, ending);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        exit(3);
    }
    return file;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "torch_dump MODEL BATCH IMGSZ BOXES PREFIX\n");
        return 2;
    }
    struct vb_point point = vb_point_default();
    (void)snprintf(point.model, sizeof point.model, "%s", argv[1]);
    point.batch = (uint32_t)strtoul(argv[2], NULL, 10);
    point.imgsz = (uint32_t)strtoul(argv[3], NULL, 10);
    point.targets = (uint32_t)strtoul(argv[4], NULL, 10);
    point.accumulate = 1;

    struct vb_host_run run;
    struct dump dump = { open_part(argv[5], ".txt"), open_part(argv[5], ".bin"), 0 };
    vb_host_run_open(&run, &point, 0);
    write_step(&dump, &run);
    vb_host_run_close(&run);
    return fclose(dump.index) == 0 && fclose(dump.data) == 0 ? 0 : 3;
}
