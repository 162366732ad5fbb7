/* SPDX-License-Identifier: Apache-2.0 */
#include "report/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

const char *const vb_table_format_names[4] = { "md", "csv", "json", "jsonl" };

static bool was_reached(const struct vb_record *record)
{
    return record->device[0] != '\0';
}

static const struct vb_record *first_reached(const struct vb_record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (was_reached(&records[i]))
            return &records[i];
    }
    return NULL;
}

static void heading(const struct vb_record *record, struct vb_text *out)
{
    vb_text_append(out, "%s %s (%s)",
                   record->provenance == VB_MEASURED ? "Measured on" : "Planned for",
                   record->device, record->gpu);
    if (record->onednn[0] != '\0')
        vb_text_append(out, ",\noneDNN %s, %" PRIu64 " thread%s", record->onednn, record->threads,
                       record->threads == 1 ? "" : "s");
    if (record->on_gpu.driver[0] != '\0')
        vb_text_append(out, ",\ndriver %s", record->on_gpu.driver);
    if (record->cudnn[0] != '\0')
        vb_text_append(out, ",\nworkspaces of cuDNN %s (%s)", record->cudnn, record->workspaces);
    vb_text_append(out, "\n%.2f GiB usable of %.2f GiB; memory in GiB%s\n\n",
                   vb_to_gib(record->usable_bytes), vb_to_gib(record->capacity_bytes),
                   record->time_is_modelled ? "; times are modelled (roofline)" : "");
}

static enum vb_category largest_category(const struct vb_record *record)
{
    enum vb_category largest = VB_WEIGHTS;
    for (int c = 0; c < VB_N_CATEGORIES; c++) {
        if (record->peak_category_bytes[c] > record->peak_category_bytes[largest])
            largest = (enum vb_category)c;
    }
    return largest;
}

/* How many records say something, and what the first of them does. */
static void append_note(const struct vb_record *records, size_t n, const char *what,
                        const char *(*note)(const struct vb_record *record), struct vb_text *out)
{
    const char *first = NULL;
    size_t n_with = 0;
    for (size_t i = 0; i < n; i++) {
        const char *text = note(&records[i]);
        first = first == NULL && text[0] != '\0' ? text : first;
        n_with += text[0] != '\0';
    }
    if (n_with > 0)
        vb_text_append(out, "\n%zu point%s, %s: %s\n", n_with, n_with == 1 ? "" : "s", what, first);
}

static const char *lost(const struct vb_record *record)
{
    return record->state == VB_STATE_LOWER_BOUND ? record->reason : "";
}

static const char *not_captured(const struct vb_record *record)
{
    return record->state == VB_STATE_LOWER_BOUND ? "" : record->on_gpu.capture_why;
}

static const char *warning(const struct vb_record *record)
{
    return record->on_gpu.warning;
}

/* What only measuring on a GPU has to say. */
static void append_notes(const struct vb_record *records, size_t n, struct vb_text *out)
{
    append_note(records, n, "lower-bound", lost, out);
    append_note(records, n, "capture is not full", not_captured, out);
    append_note(records, n, "times are to be doubted", warning, out);
}

/* Several GPUs have a column where a point has them. */
static bool tells_gpus(const struct vb_record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (was_reached(&records[i]) && vb_world_of(&records[i].point) > 1)
            return true;
    }
    return false;
}

static void append_gpus(const struct vb_point *point, struct vb_text *out)
{
    uint32_t world = vb_world_of(point);
    if (world > 1)
        vb_text_append(out, " %" PRIu32 " %s |", world, vb_strategy_names[point->strategy]);
    else
        vb_text_append(out, " 1 |");
}

static void append_md(const struct vb_record *records, size_t n, struct vb_text *out)
{
    const struct vb_record *first = first_reached(records, n);
    if (first == NULL)
        return;
    const bool has_gpus = tells_gpus(records, n);
    heading(first, out);
    vb_text_append(
        out,
        "| model   | batch | imgsz | type | mosaic | state | peak  | alloc | img/s |%s\n"
        "| :------ | ----: | ----: | :--- | :----- | :---- | ----: | ----: | ----: |%s\n",
        has_gpus ? " GPUs |" : "", has_gpus ? " :--- |" : "");
    for (size_t i = 0; i < n; i++) {
        const struct vb_record *r = &records[i];
        const struct vb_point *p = &r->point;
        if (!was_reached(r))
            continue;
        const char *slash = strrchr(p->model, '/');
        vb_text_append(out, "| %-7.16s | %5" PRIu32 " | %5" PRIu32 " | %-4s | %-6s | %-5.5s |",
                       slash != NULL ? slash + 1 : p->model, p->batch, p->imgsz,
                       vb_precision_names[p->precision], vb_mosaic_names[p->mosaic],
                       vb_state_names[r->state]);
        if (vb_has_peaks(r))
            vb_text_append(out, " %5.2f | %5.2f | %5.0f |", vb_to_gib(r->peak_reserved_bytes),
                           vb_to_gib(r->peak_allocated_bytes),
                           r->step_seconds > 0 ? p->batch / r->step_seconds : 0);
        else
            vb_text_append(out, " %5s | %5s | %5s |", "", "", "");
        if (has_gpus)
            append_gpus(p, out);
        vb_text_append(out, "\n");
    }
    append_notes(records, n, out);
}

/* Nothing where the number is not known. */
static void append_bytes(uint64_t bytes, struct vb_text *out)
{
    if (bytes > 0)
        vb_text_append(out, "%" PRIu64, bytes);
    vb_text_append(out, ",");
}

static void append_real(double value, struct vb_text *out)
{
    if (value > 0)
        vb_text_append(out, "%.6g", value);
    vb_text_append(out, ",");
}

static void append_csv_memory(const struct vb_record *r, struct vb_text *out)
{
    const bool is_ok = vb_has_peaks(r);
    const uint64_t columns[] = { r->peak_reserved_bytes,  r->peak_allocated_bytes,
                                 r->peak_requested_bytes, r->peak_device_bytes,
                                 r->peak_rss_bytes,       r->end_reserved_bytes,
                                 r->peak_workspace_bytes };
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        append_bytes(is_ok ? columns[i] : 0, out);
    append_bytes(r->usable_bytes, out);
}

static void append_csv_step(const struct vb_record *r, struct vb_text *out)
{
    append_real(r->step_seconds, out);
    append_real(r->step_p10_seconds, out);
    append_real(r->step_p90_seconds, out);
    append_real(r->flops_per_second, out);
    append_real(r->loss_first, out);
    append_real(r->loss_last, out);
    vb_text_append(out, "%s,", r->time_is_modelled ? "true" : "false");
}

static void append_csv(const struct vb_record *records, size_t n, struct vb_text *out)
{
    vb_text_append(
        out, "model,batch,imgsz,precision,mosaic,optimizer,accumulate,device,provenance,state,"
             "reason,peak_reserved_bytes,peak_allocated_bytes,peak_requested_bytes,"
             "peak_device_bytes,peak_rss_bytes,end_reserved_bytes,peak_workspace_bytes,"
             "usable_bytes,peak_phase,largest_category,step_seconds,step_p10_seconds,"
             "step_p90_seconds,flops_per_second,loss_first,loss_last,time_is_modelled,"
             "workspaces\n");
    for (size_t i = 0; i < n; i++) {
        const struct vb_record *r = &records[i];
        const struct vb_point *p = &r->point;
        if (!was_reached(r))
            continue;
        vb_text_append(out, "%s,%" PRIu32 ",%" PRIu32 ",%s,%s,%s,%" PRIu32 ",%s,%s,%s,\"%s\",",
                       p->model, p->batch, p->imgsz, vb_precision_names[p->precision],
                       vb_mosaic_names[p->mosaic], vb_optimizer_names[p->optimizer], p->accumulate,
                       r->device, vb_provenance_names[r->provenance], vb_state_names[r->state],
                       r->reason);
        append_csv_memory(r, out);
        if (vb_has_peaks(r)) {
            vb_text_append(out, "%s,%s,", vb_phase_names[r->peak_phase],
                           vb_category_names[largest_category(r)]);
            append_csv_step(r, out);
        } else {
            vb_text_append(out, ",,,,,,,,,");
        }
        vb_text_append(out, "%s\n", r->workspaces);
    }
}

static enum vb_status append_json(const struct vb_record *records, size_t n, bool is_list,
                                  struct vb_text *out, struct vb_error *err)
{
    const char *between = "";
    if (is_list)
        vb_text_append(out, "[\n");
    for (size_t i = 0; i < n; i++) {
        char *line = NULL;
        if (!was_reached(&records[i]))
            continue;
        enum vb_status status = vb_record_print(&records[i], &line, err);
        if (status != VB_OK)
            return status;
        vb_text_append(out, "%s%s%s", between, line, is_list ? "" : "\n");
        between = is_list ? ",\n" : "";
        free(line);
    }
    if (is_list)
        vb_text_append(out, "\n]\n");
    return VB_OK;
}

enum vb_status vb_table_append(const struct vb_record *records, size_t n,
                               enum vb_table_format format, struct vb_text *out,
                               struct vb_error *err)
{
    enum vb_status status = VB_OK;
    switch (format) {
    case VB_TABLE_MD:
        append_md(records, n, out);
        break;
    case VB_TABLE_CSV:
        append_csv(records, n, out);
        break;
    case VB_TABLE_JSON:
    case VB_TABLE_JSONL:
        status = append_json(records, n, format == VB_TABLE_JSON, out, err);
        break;
    }
    if (status == VB_OK && out->failed)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for a table");
    return status;
}
