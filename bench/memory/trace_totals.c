/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/trace_totals.h"

#include <string.h>

#include "memory/trace_row.h"

static const char header[] = "seq,ts_us,tid,device,addr,bytes,total_allocated,total_reserved";
enum { N_COLUMNS = 8, MAX_DEVICES = 64 };

struct event {
    uint64_t device, allocated_bytes, reserved_bytes;
    int64_t bytes;
};

/* What each device had allocated, after its last event. */
struct last {
    uint64_t device[MAX_DEVICES], allocated_bytes[MAX_DEVICES];
    size_t n;
};

bool vb_trace_has_totals(const char *text)
{
    return strncmp(text, header, strlen(header)) == 0;
}

static bool read_event(const char *text, size_t length, struct event *out)
{
    struct vb_trace_row row;
    return vb_trace_row_split(&row, text, length, N_COLUMNS) &&
           vb_trace_number(row.cells[3], &out->device) &&
           vb_trace_signed(row.cells[5], &out->bytes) &&
           vb_trace_number(row.cells[6], &out->allocated_bytes) &&
           vb_trace_number(row.cells[7], &out->reserved_bytes);
}

static size_t place_of(const struct last *last, uint64_t device)
{
    size_t i = 0;
    while (i < last->n && last->device[i] != device)
        i++;
    return i;
}

static void check(struct last *last, size_t place, const struct event *event, size_t line,
                  struct vb_trace_totals *out)
{
    bool is_same = event->allocated_bytes <= event->reserved_bytes;
    out->n_events++;
    out->n_below_reserved += is_same;
    if (event->allocated_bytes > out->peak_allocated_bytes)
        out->peak_allocated_bytes = event->allocated_bytes;
    if (event->reserved_bytes > out->peak_reserved_bytes)
        out->peak_reserved_bytes = event->reserved_bytes;
    if (place == last->n) {
        last->device[last->n++] = event->device;
    } else {
        /* Modulo 2^64, so that a negative size needs no case of its own. */
        bool adds_up =
            last->allocated_bytes[place] + (uint64_t)event->bytes == event->allocated_bytes;
        out->n_sums++;
        out->n_sums_same += adds_up;
        is_same = is_same && adds_up;
    }
    last->allocated_bytes[place] = event->allocated_bytes;
    if (!is_same && out->first_difference == 0)
        out->first_difference = line;
}

enum vb_status vb_trace_check_totals(const char *file, const char *text,
                                     struct vb_trace_totals *out, struct vb_error *err)
{
    struct last last = { .n = 0 };
    *out = (struct vb_trace_totals){ 0 };
    if (!vb_trace_has_totals(text))
        return vb_fail(err, VB_E_INPUT, "%s:1: expected %s", file, header);
    for (size_t line = 1; *text != '\0'; line++) {
        size_t length = strcspn(text, "\n");
        struct event event;
        if (line > 1 && length > 0) {
            if (!read_event(text, length, &event))
                return vb_fail(err, VB_E_INPUT, "%s:%zu: expected %s", file, line, header);
            size_t place = place_of(&last, event.device);
            if (place == MAX_DEVICES)
                return vb_fail(err, VB_E_INPUT, "%s:%zu: more than %d devices", file, line,
                               MAX_DEVICES);
            check(&last, place, &event, line, out);
        }
        text += length + (text[length] == '\n');
    }
    return VB_OK;
}
