/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_REPORT_TABLE_H
#define VB_REPORT_TABLE_H

/* A sweep's records as tables: Markdown for people, CSV, JSON and JSON lines for programs. Rows
 * stand in the records' order; those whose device is empty were not reached and are left out. */

#include "base/text.h"
#include "record/record.h"

enum vb_table_format { VB_TABLE_MD, VB_TABLE_CSV, VB_TABLE_JSON, VB_TABLE_JSONL };
extern const char *const vb_table_format_names[4];

/* Appends the table. In Markdown a memory is in GiB, lines are at most 80 columns wide and what
 * never varies stands above the table; the other formats have every column, in bytes. VB_E_SYSTEM:
 * no host memory. */
VB_CHECKED enum vb_status vb_table_append(const struct vb_record *records, size_t n,
                                          enum vb_table_format format, struct vb_text *out,
                                          struct vb_error *err);

#endif
