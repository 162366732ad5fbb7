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
    vb_text_append(out, "%s for %s (%s)",
                   record->provenance == VB_MEASURED ? "Measured" : "Planned", record->device,
                   record->gpu);
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

static void append_md(const struct vb_record *records, size_t n, struct vb_text *out)
{
    const struct vb_record *first = first_reached(records, n);
    if (first == NULL)
        return;
    heading(first, out);
    vb_text_append(out,
                   "| model   | batch | imgsz | type | mosaic | state | peak  | alloc | img/s |\n"
                   "| :------ | ----: | ----: | :--- | :----- | :---- | ----: | ----: | ----: |\n");
    for (size_t i = 0; i < n; i++) {
        const struct vb_record *r = &records[i];
        const struct vb_point *p = &r->point;
        if (!was_reached(r))
            continue;
        const char *slash = strrchr(p->model, '/');
        vb_text_append(out, "| %-7.16s | %5" PRIu32 " | %5" PRIu32 " | %-4s | %-6s | %-5s |",
                       slash != NULL ? slash + 1 : p->model, p->batch, p->imgsz,
                       vb_precision_names[p->precision], vb_mosaic_names[p->mosaic],
                       vb_state_names[r->state]);
        if (r->state == VB_STATE_OK)
            vb_text_append(out, " %5.2f | %5.2f | %5.0f |\n", vb_to_gib(r->peak_reserved_bytes),
                           vb_to_gib(r->peak_allocated_bytes),
                           r->step_seconds > 0 ? p->batch / r->step_seconds : 0);
        else
            vb_text_append(out, " %5s | %5s | %5s |\n", "", "", "");
    }
}

static void append_csv(const struct vb_record *records, size_t n, struct vb_text *out)
{
    vb_text_append(
        out, "model,batch,imgsz,precision,mosaic,optimizer,accumulate,device,provenance,state,"
             "reason,peak_reserved_bytes,peak_allocated_bytes,peak_requested_bytes,"
             "peak_device_bytes,end_reserved_bytes,peak_workspace_bytes,usable_bytes,"
             "peak_phase,largest_category,step_seconds,time_is_modelled,workspaces\n");
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
        if (r->state != VB_STATE_OK) {
            vb_text_append(out, ",,,,,,%" PRIu64 ",,,,,%s\n", r->usable_bytes, r->workspaces);
            continue;
        }
        vb_text_append(out,
                       "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
                       ",%" PRIu64 ",%s,%s,%.6f,%s,%s\n",
                       r->peak_reserved_bytes, r->peak_allocated_bytes, r->peak_requested_bytes,
                       r->peak_device_bytes, r->end_reserved_bytes, r->peak_workspace_bytes,
                       r->usable_bytes, vb_phase_names[r->peak_phase],
                       vb_category_names[largest_category(r)], r->step_seconds,
                       r->time_is_modelled ? "true" : "false", r->workspaces);
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
