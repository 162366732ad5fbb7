/* SPDX-License-Identifier: Apache-2.0 */
/* What the residuals cover, worked out from them alone: the tables above residuals.csv. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/bands.h"
#include "config.h"

enum kind { CLEAN, SHARED, N_KINDS };

/* What is left out beside the row's own repository: rows of its kind that are like it. */
enum leaving { NOTHING_ELSE, LIKE_ARCHITECTURE, LIKE_FAMILY };

/* How many of `n` runs lie inside; [0] not widened, [1] as widened. */
struct tally {
    size_t n, inside50[2], inside90[2];
};

static bool is_inside(const struct vb_band *band, const struct vb_residual *row, double share)
{
    struct vb_interval in = vb_band_interval(band, row->traits.planned_bytes, share);
    return row->observed_bytes >= in.low && row->observed_bytes <= in.high;
}

static void count(struct tally *tally, struct vb_band band, const struct vb_residual *row)
{
    const double widening[2] = { 1, band.widening };
    tally->n++;
    for (int i = 0; i < 2; i++) {
        band.widening = widening[i];
        tally->inside50[i] += is_inside(&band, row, 0.5);
        tally->inside90[i] += is_inside(&band, row, 0.9);
    }
}

/* The rows that are left, in `left`. */
static size_t leave_out(const struct vb_residuals *residuals, const struct vb_residual *row,
                        enum leaving leaving, struct vb_residual *left)
{
    size_t n = 0;
    for (size_t i = 0; i < residuals->n; i++) {
        const struct vb_residual *other = &residuals->rows[i];
        const struct vb_traits *a = &row->traits, *b = &other->traits;
        bool is_like = false;
        if (leaving == LIKE_ARCHITECTURE)
            is_like = strcmp(a->architecture, b->architecture) == 0;
        else if (leaving == LIKE_FAMILY)
            is_like = strcmp(a->family, b->family) == 0;
        if (!is_like || other->is_shared != row->is_shared)
            left[n++] = *other;
    }
    return n;
}

struct tallies {
    struct tally kinds[N_KINDS];
    struct tally unlike[VB_N_UNLIKE]; /* rows widened by each */
};

/* Each row by the band of the others. */
static enum vb_status tally(const struct vb_residuals *residuals, enum leaving leaving,
                            struct vb_arena *arena, struct tallies *out, struct vb_error *err)
{
    struct vb_residual *left = vb_arena_alloc(arena, residuals->n + 1, sizeof *left);
    if (left == NULL)
        return vb_fail(err, VB_E_SYSTEM, "no host memory left for %zu rows", residuals->n);
    for (size_t i = 0; i < residuals->n; i++) {
        const struct vb_residual *row = &residuals->rows[i];
        const struct vb_question question = { row->traits, row->is_shared, row->repository };
        struct vb_band band;
        size_t n = leave_out(residuals, row, leaving, left);
        enum vb_status status = vb_band_find(left, n, &question, arena, &band, err);
        if (status == VB_E_UNSUPPORTED)
            continue;
        if (status != VB_OK)
            return status;
        count(&out->kinds[row->is_shared ? SHARED : CLEAN], band, row);
        for (uint32_t k = 0; k < VB_N_UNLIKE; k++) {
            if ((band.unlike >> k & 1) != 0)
                count(&out->unlike[k], band, row);
        }
    }
    return VB_OK;
}

static void append_tally(const char *name, const struct tally *a, struct vb_text *out)
{
    double share = a->n > 0 ? 100.0 / (double)a->n : 0;
    if (a->n == 0)
        return;
    vb_text_append(out, "# | %-34s | %4zu | %5.1f | %5.1f | %10.1f | %10.1f |\n", name, a->n,
                   share * (double)a->inside50[1], share * (double)a->inside90[1],
                   share * (double)a->inside50[0], share * (double)a->inside90[0]);
}

static struct tally both(const struct tallies *tallies)
{
    struct tally sum = tallies->kinds[CLEAN];
    const struct tally *other = &tallies->kinds[SHARED];
    sum.n += other->n;
    for (int i = 0; i < 2; i++) {
        sum.inside50[i] += other->inside50[i];
        sum.inside90[i] += other->inside90[i];
    }
    return sum;
}

static const char *const kind_names[N_KINDS] = { "A, a process of its own", "B, notebook kernels" };

static enum vb_status append_tallies(const struct vb_residuals *residuals, struct vb_arena *arena,
                                     struct vb_text *out, struct vb_error *err)
{
    static const char *const others[] = { "", ", and all of its architecture",
                                          ", and all of its model family" };
    vb_text_append(out,
                   "# Runs inside their intervals in percent, each judged by the rows of its trust "
                   "from the other\n# repositories:\n#\n"
                   "# | %-34s | rows |  50 %% |  90 %% | 50 %% plain | 90 %% plain |\n"
                   "# | :--------------------------------- | ---: | ----: | ----: | ---------: | "
                   "---------: |\n",
                   "left out: the run's own repository");
    for (int leaving = NOTHING_ELSE; leaving <= LIKE_FAMILY; leaving++) {
        struct tallies tallies = { 0 };
        enum vb_status status = tally(residuals, (enum leaving)leaving, arena, &tallies, err);
        const struct tally all = both(&tallies);
        char name[64];
        if (status != VB_OK)
            return status;
        if (leaving > NOTHING_ELSE)
            append_tally(others[leaving] + 2, &all, out);
        for (int k = 0; k < N_KINDS && leaving == NOTHING_ELSE; k++)
            append_tally(kind_names[k], &tallies.kinds[k], out);
        if (leaving > NOTHING_ELSE)
            continue;
        append_tally("all", &all, out);
        for (int k = 0; k < VB_N_UNLIKE; k++) {
            (void)snprintf(name, sizeof name, "unlike in %s", vb_unlike_names[k]);
            append_tally(name, &tallies.unlike[k], out);
        }
    }
    vb_text_append(out, "#\n# plain: had nothing been widened.\n");
    return VB_OK;
}

/* The band of a plan of 4 GiB that is like the rows, in percent of it. */
static void append_width(const char *name, struct vb_band band, struct vb_text *out)
{
    const double planned = 4294967296.0, share = 100 / planned;
    band.widening = 1;
    struct vb_interval half = vb_band_interval(&band, planned, 0.5);
    struct vb_interval most = vb_band_interval(&band, planned, 0.9);
    vb_text_append(out,
                   "# %s: %zu rows of %zu repositories. Of a plan of 4 GiB: median\n"
                   "# %+.1f %%, 50 %% from %+.1f to %+.1f %%, 90 %% from %+.1f to %+.1f %%.\n",
                   name, band.n_rows, band.n_repositories, 100 * expm1(band.middle),
                   half.low * share - 100, half.high * share - 100, most.low * share - 100,
                   most.high * share - 100);
}

static enum vb_status append_widths(const struct vb_residuals *residuals, struct vb_arena *arena,
                                    struct vb_text *out, struct vb_error *err)
{
    for (int k = 0; k < N_KINDS; k++) {
        struct vb_question question = { .is_shared = k == SHARED };
        struct vb_band band;
        size_t i = 0;
        while (i < residuals->n && residuals->rows[i].is_shared != question.is_shared)
            i++;
        if (i == residuals->n)
            continue;
        question.traits = residuals->rows[i].traits;
        question.traits.planned_bytes = 4294967296.0;
        enum vb_status status =
            vb_band_find(residuals->rows, residuals->n, &question, arena, &band, err);
        if (status == VB_OK)
            append_width(kind_names[k], band, out);
        else if (status == VB_E_UNSUPPORTED)
            vb_text_append(out, "# %s: no band; %s\n", kind_names[k], err->text);
        else
            return status;
    }
    return VB_OK;
}

enum vb_status cli_append_heading(const char *path, const char *runs,
                                  const struct vb_residuals *residuals, struct vb_arena *arena,
                                  struct vb_text *out, struct vb_error *err)
{
    vb_text_append(
        out,
        "# What was planned for published runs beside what they printed: what intervals and "
        "P(fits)\n# rest on (bench/fit/bands.c says how). Written, not edited, by\n"
        "#     vrambench validate %s --residuals %s\n"
        "# with vrambench " VB_VERSION "; the recipe and cuDNN that planned a row stand in it.\n"
        "# Trust (sweeps/published/README.md): A is a process of its own, so what it printed is "
        "one training's\n# memory, as a user's own process will have it. B is the same in a "
        "notebook's kernel, where another\n# model may still have been on the GPU: that is no "
        "error of the plan, but what a user of such a kernel\n# sees. So A makes the bands of a "
        "process of its own, and B those of --shared, where what lies above a\n# plan counts in "
        "bytes. No row is left out for being far off.\n",
        runs, path);
    enum vb_status status = append_widths(residuals, arena, out, err);
    vb_text_append(out, "#\n");
    return status == VB_OK ? append_tallies(residuals, arena, out, err) : status;
}
