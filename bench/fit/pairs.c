/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/pairs.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* No step of anything takes that long; no device has so much memory. */
static const double most_step_seconds = 1e6;
static const uint64_t most_bytes = UINT64_C(1) << 50;

/* A driver's upgrade moves the capacity it reports by less. */
static const double most_capacity_change = 0.05;

struct keyed {
    char id[17];
    size_t place;
};

/* NULL: the record can be. */
static const char *what_cannot_be(const struct vb_record *r)
{
    const uint64_t bytes[] = { r->peak_reserved_bytes, r->peak_device_bytes, r->capacity_bytes };
    if (r->device[0] == '\0')
        return "\"device\" is missing";
    if (!vb_has_peaks(r))
        return NULL;
    if (r->peak_reserved_bytes == 0)
        return "\"peak_reserved_bytes\" is missing";
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        if (bytes[i] > most_bytes)
            return "a peak or the capacity is above 1024 TiB";
    }
    if (r->capacity_bytes > 0 && r->peak_reserved_bytes > r->capacity_bytes)
        return "\"peak_reserved_bytes\" is above \"capacity_bytes\"";
    for (size_t i = 0; i < r->n_step_samples; i++) {
        if ((double)r->step_samples_ns[i] > most_step_seconds * 1e9)
            return "\"step_samples_ns\" holds a step of over 1,000,000 s";
    }
    if (r->n_step_samples > 0 && r->timed_steps != r->n_step_samples &&
        r->timed_steps <= VB_MOST_STEP_SAMPLES)
        return "\"timed_steps\" does not count \"step_samples_ns\"";
    return NULL;
}

static enum vb_status check_record(const struct vb_side *side, const struct vb_record *record,
                                   struct vb_error *err)
{
    const char *why = what_cannot_be(record);
    if (why == NULL)
        return VB_OK;
    return vb_fail(err, VB_E_INPUT, "%.200s: %.60s, batch %" PRIu32 ", imgsz %" PRIu32 ": %s",
                   side->name, record->point.model, record->point.batch, record->point.imgsz, why);
}

/* What a run has one of: one that was resumed after an upgrade is of neither driver. Nothing is
 * known of the device of a point whose process was ended. */
static enum vb_status check_alike(const struct vb_side *side, const struct vb_record *a,
                                  const struct vb_record *b, struct vb_error *err)
{
    const struct {
        const char *what, *first, *other;
    } once[] = { { "devices", a->gpu, b->gpu },
                 { "drivers", a->on_gpu.driver, b->on_gpu.driver },
                 { "versions of cuDNN", a->cudnn, b->cudnn },
                 { "versions of oneDNN", a->onednn, b->onednn } };
    for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
        const bool are_known = once[i].first[0] != '\0' && once[i].other[0] != '\0';
        if (are_known && strcmp(once[i].first, once[i].other) != 0)
            return vb_fail(err, VB_E_INPUT,
                           "%.200s: holds records of two %s, %s and %s; compare one", side->name,
                           once[i].what, once[i].first, once[i].other);
    }
    if (a->gpu[0] != '\0' && b->gpu[0] != '\0' && a->provenance != b->provenance)
        return vb_fail(err, VB_E_INPUT, "%.200s: holds planned and measured records", side->name);
    return VB_OK;
}

/* A record that tells most of the device: one that ran, else one that names it, else any. */
static const struct vb_record *find_telling(const struct vb_side *side)
{
    const struct vb_record *named = NULL;
    for (size_t i = 0; i < side->n; i++) {
        const struct vb_record *r = &side->records[i];
        if (vb_has_peaks(r) && r->gpu[0] != '\0')
            return r;
        named = named == NULL && r->gpu[0] != '\0' ? r : named;
    }
    return named != NULL ? named : &side->records[0];
}

/* The side's records can be, and are of one device, which `*telling` tells of. */
static enum vb_status check_side(const struct vb_side *side, const struct vb_record **telling,
                                 struct vb_error *err)
{
    enum vb_status status = VB_OK;
    if (side->n == 0)
        return vb_fail(err, VB_E_INPUT, "%.300s: there are no records", side->name);
    *telling = find_telling(side);
    for (size_t i = 0; i < side->n && status == VB_OK; i++) {
        status = check_record(side, &side->records[i], err);
        if (status == VB_OK)
            status = check_alike(side, *telling, &side->records[i], err);
    }
    return status;
}

/* A processor's is what the machine had left. */
static bool is_other_capacity(const struct vb_record *a, const struct vb_record *b)
{
    if (a->capacity_bytes == 0 || b->capacity_bytes == 0 || a->threads > 0)
        return false;
    const double ratio = (double)b->capacity_bytes / (double)a->capacity_bytes;
    return fabs(ratio - 1) > most_capacity_change;
}

static enum vb_status check_both(const struct vb_side *base, const struct vb_record *b,
                                 const struct vb_side *candidate, const struct vb_record *c,
                                 struct vb_error *err)
{
    if (b->provenance != c->provenance)
        return vb_fail(err, VB_E_INPUT,
                       "%.150s is %s, %.150s %s: only alike can be compared; 'vrambench validate' "
                       "judges plans",
                       base->name, vb_provenance_names[b->provenance], candidate->name,
                       vb_provenance_names[c->provenance]);
    if (b->gpu[0] == '\0' || c->gpu[0] == '\0')
        return VB_OK; /* nothing ran: it says of no device what it is */
    if (strcmp(b->gpu, c->gpu) != 0)
        return vb_fail(err, VB_E_INPUT,
                       "%.100s is of %s, %.100s of %s: only runs on the same device can be "
                       "compared",
                       base->name, b->gpu, candidate->name, c->gpu);
    if (b->threads != c->threads)
        return vb_fail(err, VB_E_INPUT,
                       "%.150s ran on %" PRIu64 " threads, %.150s on %" PRIu64
                       ": take the same number, as --device cpu:4",
                       base->name, b->threads, candidate->name, c->threads);
    if (is_other_capacity(b, c))
        return vb_fail(err, VB_E_INPUT,
                       "%.150s had %s of device memory, %.150s %s: take the same --memory",
                       base->name, vb_bytes_format(b->capacity_bytes).text, candidate->name,
                       vb_bytes_format(c->capacity_bytes).text);
    return VB_OK;
}

static int by_id(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    const int order = strcmp(x->id, y->id);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

/* By their points and kind of device, each once. NULL: no host memory. */
static struct keyed *key_records(const struct vb_side *side, struct vb_arena *arena, size_t *n)
{
    struct keyed *keyed = vb_arena_alloc(arena, side->n + 1, sizeof *keyed);
    size_t n_kept = 0;
    for (size_t i = 0; keyed != NULL && i < side->n; i++) {
        char kind[sizeof side->records->device];
        const struct vb_record *r = &side->records[i];
        (void)snprintf(kind, sizeof kind, "%.*s", (int)strcspn(r->device, ":"), r->device);
        keyed[i].place = i;
        vb_record_cell_id(&r->point, kind, keyed[i].id);
    }
    if (keyed == NULL)
        return NULL;
    qsort(keyed, side->n, sizeof *keyed, by_id);
    for (size_t i = 0; i < side->n; i++) {
        if (i + 1 == side->n || strcmp(keyed[i].id, keyed[i + 1].id) != 0)
            keyed[n_kept++] = keyed[i];
    }
    *n = n_kept;
    return keyed;
}

/* Each with its like: both lists ascend. `by_place[p]`: the pair of the base's record p, then those
 * of the candidate's alone. */
static void match(const struct vb_side *base, const struct keyed *b, size_t n_b,
                  const struct vb_side *candidate, const struct keyed *c, size_t n_c,
                  struct vb_pair *by_place)
{
    for (size_t i = 0, j = 0; i < n_b || j < n_c;) {
        const int order = i == n_b ? 1 : j == n_c ? -1 : strcmp(b[i].id, c[j].id);
        struct vb_pair *pair = order <= 0 ? &by_place[b[i].place] : &by_place[base->n + c[j].place];
        if (order <= 0)
            pair->base = &base->records[b[i++].place];
        if (order >= 0)
            pair->candidate = &candidate->records[c[j++].place];
    }
}

/* Why nothing is in both. */
static enum vb_status nothing_common(const struct vb_side *base, const struct vb_record *b,
                                     const struct vb_side *candidate, const struct vb_record *c,
                                     struct vb_error *err)
{
    if (strcmp(b->point.model, c->point.model) != 0)
        return vb_fail(err, VB_E_INPUT,
                       "no point in common: %.100s is of %.60s, %.100s of another model, %.60s",
                       base->name, b->point.model, candidate->name, c->point.model);
    return vb_fail(
        err, VB_E_INPUT,
        "no point in common: %.150s and %.150s differ in batch, imgsz or another setting",
        base->name, candidate->name);
}

enum vb_status vb_pairs_make(const struct vb_side *base, const struct vb_side *candidate,
                             struct vb_arena *arena, struct vb_pairs *out, struct vb_error *err)
{
    size_t n_b = 0, n_c = 0, n_common = 0, n_ran = 0;
    *out = (struct vb_pairs){ 0 };
    enum vb_status status = check_side(base, &out->base, err);
    if (status == VB_OK)
        status = check_side(candidate, &out->candidate, err);
    if (status == VB_OK)
        status = check_both(base, out->base, candidate, out->candidate, err);
    if (status != VB_OK)
        return status;
    const struct keyed *b = key_records(base, arena, &n_b);
    const struct keyed *c = key_records(candidate, arena, &n_c);
    struct vb_pair *items = vb_arena_alloc(arena, base->n + candidate->n, sizeof *items);
    if (b == NULL || c == NULL || items == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left to pair records");
    match(base, b, n_b, candidate, c, n_c, items);
    out->items = items;
    for (size_t i = 0; i < base->n + candidate->n; i++) {
        const struct vb_pair pair = items[i];
        if (pair.base == NULL && pair.candidate == NULL)
            continue;
        items[out->n++] = pair;
        n_common += pair.base != NULL && pair.candidate != NULL;
        n_ran += pair.base != NULL && (vb_has_peaks(pair.base) || vb_ran_out(pair.base));
    }
    if (n_common == 0)
        return nothing_common(base, out->base, candidate, out->candidate, err);
    if (n_ran == 0)
        return vb_fail(err, VB_E_INPUT, "%.300s: no point ran: %.150s", base->name,
                       base->records[0].reason);
    return VB_OK;
}
