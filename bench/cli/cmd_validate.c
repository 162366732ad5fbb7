/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions beside numbers that were published or measured elsewhere: the file's rows are
 * model,batch,imgsz,precision,optimizer,classes,gpu,published_gib with any number of published
 * values separated by semicolons. What a training log prints is what is reserved after the last
 * batch, so that is what is compared; the error of a row is against the median of its values. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "sweep/keys.h"
#include "sweep/measure.h"

enum { MAX_ROWS = 4096, MAX_VALUES = 64, COLUMNS = 8, GPU_COLUMN = 6, MAX_FILE_BYTES = 1 << 22 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static enum vb_status read_values(const char *place, char *text, double *values, size_t *n,
                                  struct vb_error *err)
{
    *n = 0;
    for (char *item = strsep(&text, ";"); item != NULL && *n < MAX_VALUES;
         item = strsep(&text, ";")) {
        char *end = NULL;
        values[*n] = strtod(item, &end);
        if (end == item || *end != '\0' || !(values[*n] > 0))
            return vb_fail(err, VB_E_INPUT, "%s: '%s' is no size in GiB", place, item);
        (*n)++;
    }
    return VB_OK;
}

static enum vb_status predict(const char *place, char **cells, double *gib, struct vb_error *err)
{
    static const char *const keys[] = { "model",     "batch",     "imgsz",
                                        "precision", "optimizer", "classes" };
    struct vb_point point = vb_point_default();
    struct vb_device *device = NULL;
    struct vb_arena arena = { 0 };
    struct vb_record record;
    struct vb_error inner = { 0 };
    char name[128];
    enum vb_status status = VB_OK;
    for (size_t i = 0; i < GPU_COLUMN && status == VB_OK; i++)
        status = vb_option_set(vb_key_find(keys[i]), cells[i], &point, &inner);
    (void)snprintf(name, sizeof name, "virtual:%s", cells[GPU_COLUMN]);
    if (status == VB_OK)
        status = vb_device_open(name, &device, &inner);
    if (status == VB_OK)
        status = vb_measure(&point, device, false, &arena, &record, &inner);
    if (status == VB_OK)
        *gib = vb_to_gib(record.end_reserved_bytes);
    vb_device_close(device);
    vb_arena_clear(&arena);
    return status == VB_OK ? VB_OK : vb_fail(err, status, "%s: %s", place, inner.text);
}

static enum vb_status validate_row(const char *place, char *line, double *errors, size_t *n,
                                   struct vb_error *err)
{
    char *cells[COLUMNS] = { 0 };
    double values[MAX_VALUES], gib = 0;
    size_t n_cells = 0, n_values = 0;
    for (char *cell = strsep(&line, ","); cell != NULL && n_cells < COLUMNS;
         cell = strsep(&line, ","))
        cells[n_cells++] = vb_text_trim(cell);
    if (n_cells != COLUMNS)
        return vb_fail(err, VB_E_INPUT,
                       "%s: %zu columns, expected model,batch,imgsz,precision,"
                       "optimizer,classes,gpu,published_gib",
                       place, n_cells);
    char printed[256];
    (void)snprintf(printed, sizeof printed, "%s", cells[COLUMNS - 1]);
    enum vb_status status = read_values(place, cells[COLUMNS - 1], values, &n_values, err);
    if (status == VB_OK)
        status = predict(place, cells, &gib, err);
    if (status != VB_OK)
        return status;
    double middle = median(values, n_values);
    errors[*n] = fabs(gib / middle - 1) * 100;
    printf("| %-7s | %5s | %5s | %-4s | %-6s | %3s | %5.2f | %+6.1f %% | %9s |\n", cells[0],
           cells[1], cells[2], cells[3], cells[4], cells[5], gib, (gib / middle - 1) * 100,
           printed);
    (*n)++;
    return VB_OK;
}

static enum vb_status validate(const char *path, struct vb_error *err)
{
    char *text = NULL;
    size_t bytes = 0, n = 0, number = 0;
    static double errors[MAX_ROWS];
    enum vb_status status = vb_file_read(path, MAX_FILE_BYTES, &text, &bytes, err);
    if (status != VB_OK)
        return status;
    printf("| model   | batch | imgsz | type | optim. |  nc |  plan | error    | published |\n"
           "| :------ | ----: | ----: | :--- | :----- | --: | ----: | -------: | --------: |\n");
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL && status == VB_OK;
         line = strsep(&rest, "\n")) {
        char place[512];
        number++;
        (void)snprintf(place, sizeof place, "%.480s:%zu", path, number);
        if (line[0] == '\0' || line[0] == '#' || strncmp(line, "model,", 6) == 0 || n == MAX_ROWS)
            continue;
        status = validate_row(place, line, errors, &n, err);
    }
    free(text);
    if (status == VB_OK && n > 0) {
        double middle = median(errors, n);
        printf("\n%zu rows: median error %.1f %%, worst %.1f %%: planned GiB, reserved after the "
               "last\n"
               "step, against the median of what was published\n",
               n, middle, errors[n - 1]);
    }
    return status;
}

int cmd_validate(int argc, char **argv)
{
    const struct cli_command command = {
        .usage = "vrambench validate FILE.csv",
        .summary =
            "Prints predictions beside published or measured numbers, with their errors.\n"
            "Columns: model,batch,imgsz,precision,optimizer,classes,gpu,published_gib (several\n"
            "with ;).",
        .examples = "  vrambench validate sweeps/published/t4.csv",
        .min_positional = 1,
        .max_positional = 1,
    };
    struct cli_values positional = { 0 };
    struct vb_error err = { 0 };
    int exit_status = 0;
    if (!cli_begin(&command, argc, argv, &positional, &exit_status))
        return exit_status;
    enum vb_status status = validate(positional.items[0], &err);
    return status == VB_OK ? 0 : cli_fail(status, &err);
}
