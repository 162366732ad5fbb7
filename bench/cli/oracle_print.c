/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "cli/oracle_diff.h"
#include "device/plan_rows.h"

enum { N_SHOWN = 20 }; /* rows of a Markdown table: CSV and JSON have all */

static const char *const rule_names[2] = { "any", "strict" };

struct version {
    char text[32];
};

static struct version version_text(uint64_t version)
{
    struct version out;
    (void)snprintf(out.text, sizeof out.text, "%" PRIu64 ".%" PRIu64 ".%" PRIu64, version / 10000,
                   version / 100 % 100, version % 100);
    return out;
}

static double mib_change(uint64_t was, uint64_t is)
{
    return vb_to_mib(is) - vb_to_mib(was);
}

static void print_operations_md(const struct vb_plan_diff *diff)
{
    if (diff->n > 0)
        printf(
            "\n| direction       | type | x                |    k | kernel | rule   |  engine |  "
            " was MiB |    is MiB |\n"
            "| :-------------- | :--- | :--------------- | ---: | :----- | :----- | ------: |  "
            "------: | --------: |\n");
    for (size_t i = 0; i < diff->n && i < N_SHOWN; i++) {
        const struct vb_plan_change *change = &diff->changes[i];
        const struct vb_plan_key *key = &change->key;
        char x[48];
        char kernel[32];
        char engine[48];
        (void)snprintf(x, sizeof x, "%ux%ux%ux%u", key->n, key->c, key->h, key->w);
        (void)snprintf(kernel, sizeof kernel, "%ux%u/%u", key->kernel_h, key->kernel_w,
                       key->stride);
        (void)snprintf(engine, sizeof engine, "%" PRId64 ">%" PRId64, change->was.engine,
                       change->is.engine);
        printf("| %-15s | %-4s | %-16s | %4u | %-6s | %-6s | %7s | %8.2f | %9.2f |\n",
               vb_conv_direction_names[key->direction], vb_conv_type_names[key->type], x, key->k,
               kernel, rule_names[key->deterministic != 0], engine,
               vb_to_mib(change->was.workspace_bytes), vb_to_mib(change->is.workspace_bytes));
    }
    if (diff->n > N_SHOWN)
        printf("... and %zu more; --format csv or json has all\n", diff->n - N_SHOWN);
}

static void print_totals_md(const struct vb_plan_diff *diff)
{
    printf("\n| direction       | rule   | answers | largest was, is MiB   | sum was, is MiB       "
           "  |\n"
           "| :-------------- | :----- | ------: | --------------------: | ----------------------: "
           "|\n");
    for (size_t rule = 0; rule < 2; rule++) {
        for (size_t i = 0; i < 3; i++) {
            const struct vb_plan_totals *totals = &diff->totals[rule][i];
            if (totals->n > 0)
                printf("| %-15s | %-6s | %7zu | %10.2f %10.2f | %11.1f %11.1f |\n",
                       vb_conv_direction_names[i], rule_names[rule], totals->n,
                       vb_to_mib(totals->largest_was_bytes), vb_to_mib(totals->largest_is_bytes),
                       vb_to_mib(totals->sum_was_bytes), vb_to_mib(totals->sum_is_bytes));
        }
    }
}

static void print_points_md(const struct cli_oracle_points *points, double threshold)
{
    printf(
        "\n| model        | batch | imgsz | type | mosaic | was GiB |  is GiB |     MiB |        "
        "|\n"
        "| :----------- | ----: | ----: | :--- | :----- | ------: | ------: | ------: | -----: "
        "|\n");
    for (size_t i = 0; i < points->n && i < N_SHOWN; i++) {
        const struct cli_oracle_point *point = &points->items[i];
        if (point->was_bytes == point->is_bytes)
            break;
        printf("| %-12s | %5u | %5u | %-4s | %-6s |", point->point.model, point->point.batch,
               point->point.imgsz, vb_precision_names[point->point.precision],
               vb_mosaic_names[point->point.mosaic]);
        if (point->change == CLI_POINT_COMPARED)
            printf(" %7.3f | %7.3f | %+7.1f | %+5.1f%% |\n", vb_to_gib(point->was_bytes),
                   vb_to_gib(point->is_bytes), mib_change(point->was_bytes, point->is_bytes),
                   100 * cli_oracle_growth(point));
        else
            printf(" %s\n", cli_oracle_change_names[point->change]);
    }
    printf(
        "\n%zu points, planned peak reserved: %zu grow, %zu shrink, %zu stay; %zu fit no more, "
        "%zu fit\nnow, %zu fit with neither, %zu have no answer in both; all that fit %+.2f %%\n",
        points->n, points->n_grown, points->n_shrunk,
        points->n_of[CLI_POINT_COMPARED] - points->n_grown - points->n_shrunk,
        points->n_of[CLI_POINT_FITS_NO_MORE], points->n_of[CLI_POINT_FITS_NOW],
        points->n_of[CLI_POINT_FITS_NEVER], points->n_of[CLI_POINT_UNANSWERED],
        points->sum_was_bytes > 0
            ? 100 * ((double)points->sum_is_bytes / (double)points->sum_was_bytes - 1)
            : 0.0);
    printf("%zu beyond the threshold of %g %%\n", points->n_failing, 100 * threshold);
}

static void print_operations_csv(const struct vb_plan_diff *diff)
{
    printf("direction,type,layout,n,c,h,w,k,kernel_h,kernel_w,stride,pad,dilation,groups,"
           "deterministic,was_engine,is_engine,was_workspace_bytes,is_workspace_bytes\n");
    for (size_t i = 0; i < diff->n; i++) {
        const struct vb_plan_change *change = &diff->changes[i];
        const struct vb_plan_key *key = &change->key;
        printf("%s,%s,%s,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%" PRId64 ",%" PRId64 ",%" PRIu64
               ",%" PRIu64 "\n",
               vb_conv_direction_names[key->direction], vb_conv_type_names[key->type],
               key->channels_last ? "nhwc" : "nchw", key->n, key->c, key->h, key->w, key->k,
               key->kernel_h, key->kernel_w, key->stride, key->pad, key->dilation, key->groups,
               key->deterministic, change->was.engine, change->is.engine,
               change->was.workspace_bytes, change->is.workspace_bytes);
    }
}

static void print_points_csv(const struct cli_oracle_points *points)
{
    for (size_t i = 0; i < vb_key_count; i++)
        printf("%s,", vb_keys[i].name);
    printf("was_peak_reserved_bytes,is_peak_reserved_bytes,change\n");
    for (size_t i = 0; i < points->n; i++) {
        const struct cli_oracle_point *point = &points->items[i];
        for (size_t j = 0; j < vb_key_count; j++) {
            char value[256];
            vb_option_get(&vb_keys[j], &point->point, value, sizeof value);
            printf("%s,", value);
        }
        if (point->was_bytes > 0)
            printf("%" PRIu64, point->was_bytes);
        printf(",");
        if (point->is_bytes > 0)
            printf("%" PRIu64, point->is_bytes);
        printf(",%s\n", cli_oracle_change_names[point->change]);
    }
}

static void set_integer(json_t *object, const char *key, uint64_t value)
{
    (void)json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *operation_json(const struct vb_plan_change *change)
{
    const struct vb_plan_key *key = &change->key;
    json_t *out = json_object();
    const struct {
        const char *name;
        uint32_t value;
    } numbers[] = {
        { "n", key->n },
        { "c", key->c },
        { "h", key->h },
        { "w", key->w },
        { "k", key->k },
        { "kernel_h", key->kernel_h },
        { "kernel_w", key->kernel_w },
        { "stride", key->stride },
        { "pad", key->pad },
        { "dilation", key->dilation },
        { "groups", key->groups },
    };
    (void)json_object_set_new(out, "direction",
                              json_string(vb_conv_direction_names[key->direction]));
    (void)json_object_set_new(out, "type", json_string(vb_conv_type_names[key->type]));
    (void)json_object_set_new(out, "layout", json_string(key->channels_last ? "nhwc" : "nchw"));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        set_integer(out, numbers[i].name, numbers[i].value);
    (void)json_object_set_new(out, "deterministic", json_boolean(key->deterministic != 0));
    (void)json_object_set_new(out, "was_engine", json_integer(change->was.engine));
    (void)json_object_set_new(out, "is_engine", json_integer(change->is.engine));
    set_integer(out, "was_workspace_bytes", change->was.workspace_bytes);
    set_integer(out, "is_workspace_bytes", change->is.workspace_bytes);
    return out;
}

static json_t *point_json(const struct cli_oracle_point *point)
{
    json_t *out = json_object();
    for (size_t i = 0; i < vb_key_count; i++) {
        char value[256];
        vb_option_get(&vb_keys[i], &point->point, value, sizeof value);
        (void)json_object_set_new(out, vb_keys[i].name, json_string(value));
    }
    if (point->was_bytes > 0)
        set_integer(out, "was_peak_reserved_bytes", point->was_bytes);
    if (point->is_bytes > 0)
        set_integer(out, "is_peak_reserved_bytes", point->is_bytes);
    (void)json_object_set_new(out, "change", json_string(cli_oracle_change_names[point->change]));
    return out;
}

static enum vb_status print_json(const struct cli_oracle_diff *request,
                                 const struct vb_plan_table *was, const struct vb_plan_table *is,
                                 const struct vb_plan_diff *diff,
                                 const struct cli_oracle_points *points, struct vb_error *err)
{
    json_t *root = json_object();
    json_t *operations = json_array();
    (void)json_object_set_new(root, "schema", json_integer(1));
    (void)json_object_set_new(root, "gpu", json_string(was->gpu));
    (void)json_object_set_new(root, "provenance", json_string("planned"));
    (void)json_object_set_new(root, "was_cudnn", json_string(version_text(was->version).text));
    (void)json_object_set_new(root, "is_cudnn", json_string(version_text(is->version).text));
    set_integer(root, "n_common", diff->n_common);
    set_integer(root, "n_only_was", diff->n_only_was);
    set_integer(root, "n_only_is", diff->n_only_is);
    for (size_t i = 0; i < diff->n; i++)
        (void)json_array_append_new(operations, operation_json(&diff->changes[i]));
    (void)json_object_set_new(root, "operations", operations);
    if (points != NULL) {
        json_t *list = json_array();
        for (size_t i = 0; i < points->n; i++)
            (void)json_array_append_new(list, point_json(&points->items[i]));
        (void)json_object_set_new(root, "points", list);
        (void)json_object_set_new(root, "threshold", json_real(request->threshold));
        set_integer(root, "n_beyond_threshold", points->n_failing);
    }
    char *text = json_dumps(root, JSON_INDENT(1));
    json_decref(root);
    if (text == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for the comparison's JSON");
    puts(text);
    free(text);
    return VB_OK;
}

enum vb_status cli_oracle_print_diff(const struct cli_oracle_diff *request,
                                     const struct vb_plan_table *was,
                                     const struct vb_plan_table *is,
                                     const struct vb_plan_diff *diff,
                                     const struct cli_oracle_points *points, struct vb_error *err)
{
    if (request->format == CLI_ORACLE_JSON)
        return print_json(request, was, is, diff, points, err);
    if (request->format == CLI_ORACLE_CSV && points != NULL) {
        print_points_csv(points);
        return VB_OK;
    }
    if (request->format == CLI_ORACLE_CSV) {
        print_operations_csv(diff);
        return VB_OK;
    }
    printf("%s, cuDNN %s to %s: of %zu answers in both, %zu have another engine, %zu another\n"
           "workspace; %zu and %zu are in one only\n",
           was->gpu, version_text(was->version).text, version_text(is->version).text,
           diff->n_common, diff->n_engine, diff->n_workspace, diff->n_only_was, diff->n_only_is);
    print_operations_md(diff);
    print_totals_md(diff);
    if (points != NULL)
        print_points_md(points, request->threshold);
    return VB_OK;
}
