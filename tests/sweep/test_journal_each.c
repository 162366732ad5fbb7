/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "sweep/journal.h"
#include "sweep/journal_each.h"

enum { MANY = 9000 };

struct told {
    size_t n, out_of_order, stop_at;
};

static enum vb_status count(void *context, const struct vb_record *record, struct vb_error *err)
{
    struct told *told = context;
    told->out_of_order += record->point.batch != told->n + 1;
    if (++told->n == told->stop_at)
        return vb_fail(err, VB_E_UNSUPPORTED, "enough");
    return VB_OK;
}

static char folder[64];

static FILE *begin(void)
{
    char path[96];
    (void)snprintf(folder, sizeof folder, "/tmp/vb_each_XXXXXX");
    cr_assert(not(zero(ptr, mkdtemp(folder))));
    (void)snprintf(path, sizeof path, "%s/rows.jsonl", folder);
    FILE *file = fopen(path, "w");
    cr_assert(not(zero(ptr, file)));
    return file;
}

static void end(void)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/rows.jsonl", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void write_record(FILE *file, uint32_t batch, const char *after)
{
    struct vb_record record = { .point = vb_point_default() };
    struct vb_error err;
    char *line = NULL;
    (void)snprintf(record.point.model, sizeof record.point.model, "yolov5n");
    (void)snprintf(record.device, sizeof record.device, "cuda:0");
    record.point.batch = batch;
    record.point.imgsz = 320;
    record.peak_reserved_bytes = batch;
    cr_assert(eq(int, vb_record_print(&record, &line, &err), VB_OK));
    (void)fprintf(file, "%s%s", line, after);
    free(line);
}

/* Over several blocks and threads: in order, none twice, none lost, the hash of a plain reading. */
Test(journal_each, tells_every_record_in_order)
{
    struct told told = { 0 };
    struct vb_journal_sum sum;
    struct vb_error err = { 0 };
    uint64_t hash = VB_HASH_START;
    int byte;
    FILE *file = begin();
    for (uint32_t i = 1; i <= MANY; i++) {
        write_record(file, i, i < MANY ? "\n" : ""); /* the last line is whole but for its end */
        if (i % 100 == 50)
            (void)fprintf(file, i % 200 == 50 ? "{\"schema\":4}\n" : "\n");
    }
    (void)fclose(file);
    cr_assert(eq(int, vb_journal_each(folder, count, &told, &sum, &err), VB_OK), "%s", err.text);
    cr_expect(eq(sz, told.n, MANY));
    cr_expect(eq(sz, told.out_of_order, 0));
    cr_expect(eq(sz, sum.n_records, MANY));
    cr_expect(eq(sz, sum.n_corrupt, MANY / 200));
    cr_expect(not(zero(ptr, strstr(sum.note, "rows.jsonl:51: no record of schema"))), "%s",
              sum.note);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/rows.jsonl", folder);
    file = fopen(path, "r");
    while ((byte = fgetc(file)) != EOF)
        hash = vb_hash(hash, &(unsigned char){ (unsigned char)byte }, 1);
    (void)fclose(file);
    cr_expect(eq(u64, sum.hash, hash));
    end();
}

Test(journal_each, a_line_that_was_cut_is_passed_over)
{
    struct told told = { 0 };
    struct vb_journal_sum sum;
    struct vb_error err = { 0 };
    FILE *file = begin();
    write_record(file, 1, "\n");
    (void)fprintf(file, "{\"schema\":5,\"mod");
    (void)fclose(file);
    cr_assert(eq(int, vb_journal_each(folder, count, &told, &sum, &err), VB_OK));
    cr_expect(eq(sz, told.n, 1));
    cr_expect(eq(sz, sum.n_corrupt, 1));
    end();
}

Test(journal_each, what_the_caller_returns_ends_it)
{
    struct told told = { .stop_at = 3 };
    struct vb_journal_sum sum;
    struct vb_error err = { 0 };
    FILE *file = begin();
    for (uint32_t i = 1; i <= 10; i++)
        write_record(file, i, "\n");
    (void)fclose(file);
    cr_expect(eq(int, vb_journal_each(folder, count, &told, &sum, &err), VB_E_UNSUPPORTED));
    cr_expect(eq(str, err.text, "enough"));
    cr_expect(eq(sz, told.n, 3));
    end();
    cr_expect(eq(int, vb_journal_each(folder, count, &told, &sum, &err), VB_E_INPUT));
}
