/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "report/gnuplot.h"
#include "report/validation_parts.h"

enum { MAX_ARCHITECTURES = 16, MAX_NAME = 40 };

/* FOLDER/NAME.svg apart; the name goes into a script. */
static enum vb_status cut_path(const char *path, char *folder, size_t room, char *name,
                               struct vb_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t length = strlen(base);
    bool is_plain = length > 4 && length - 4 <= MAX_NAME && strcmp(base + length - 4, ".svg") == 0;
    for (size_t i = 0; i < length && is_plain; i++)
        is_plain = isalnum((unsigned char)base[i]) || strchr("._-", base[i]) != NULL;
    if (!is_plain)
        return vb_fail(err, VB_E_INPUT,
                       "a chart's file is '%.64s', expected NAME.svg with a name of up to %d "
                       "letters, digits, '.', '-' and '_'",
                       base, MAX_NAME);
    (void)snprintf(name, MAX_NAME + 1, "%.*s", (int)(length - 4), base);
    if (slash == NULL)
        (void)snprintf(folder, room, ".");
    else
        (void)snprintf(folder, room, "%.*s", (int)(slash == path ? 1 : slash - path), path);
    return VB_OK;
}

/* The architectures in the rows' order. */
static size_t find_architectures(const struct vb_validation *validation, const char **names)
{
    size_t n = 0;
    for (size_t i = 0; i < validation->n; i++) {
        const struct vb_judged *row = &validation->rows[i];
        size_t at = 0;
        while (at < n && strcmp(names[at], row->architecture) != 0)
            at++;
        if (row->state == VB_JUDGED && at == n && n < MAX_ARCHITECTURES)
            names[n++] = row->architecture;
    }
    return n;
}

/* One block an architecture: observed, planned, in GiB. */
static void write_points(const struct vb_validation *validation, struct vb_text *data,
                         struct vb_text *settings)
{
    const char *names[MAX_ARCHITECTURES];
    double low = (double)INFINITY, high = 0;
    size_t n = find_architectures(validation, names);
    for (size_t g = 0; g < n; g++) {
        vb_text_append(data, "observed \"%s\"\n", names[g]);
        for (size_t i = 0; i < validation->n; i++) {
            const struct vb_judged *row = &validation->rows[i];
            if (row->state != VB_JUDGED || strcmp(row->architecture, names[g]) != 0)
                continue;
            double observed = row->prediction.observed_bytes / 1073741824.0;
            double planned = row->prediction.planned_bytes / 1073741824.0;
            vb_text_append(data, "%.4f %.4f\n", observed, planned);
            low = fmin(low, fmin(observed, planned));
            high = fmax(high, fmax(observed, planned));
        }
        vb_text_append(data, "\n\n");
    }
    vb_text_append(settings, "n_groups = %zu\nlow = %.4f\nhigh = %.4f\n", n, low / 1.25,
                   high * 1.25);
}

enum vb_status vb_validation_draw(const struct vb_validation *validation, const char *path,
                                  bool *drawn, char *note, size_t room, struct vb_error *err)
{
    char folder[4096], name[MAX_NAME + 1];
    struct vb_text data = { 0 }, settings = { 0 };
    struct vb_accuracy all;
    struct vb_arena arena = { 0 };
    *drawn = false;
    enum vb_status status = cut_path(path, folder, sizeof folder, name, err);
    if (status != VB_OK)
        return status;
    if (validation->n_judged == 0) {
        (void)snprintf(note, room, "no row was judged: no chart");
        return VB_OK;
    }
    const struct vb_prediction *items = vb_validation_predictions(validation, &arena);
    status = items != NULL ? vb_accuracy_of(items, validation->n_judged, &all, err)
                           : vb_fail(err, VB_E_SYSTEM, "no host memory left for a chart");
    if (status == VB_OK)
        status = vb_file_make_folder(folder, err);
    if (status == VB_OK) {
        vb_text_append(&settings,
                       "title = \"planned against what %zu runs printed\\nmedian error %.1f %%, 90 "
                       "of 100 within %.1f %%, bias %+.1f %%\"\n",
                       validation->n_judged, all.median_ape, all.p90_ape, all.bias);
        write_points(validation, &data, &settings);
        status = vb_gnuplot_draw(folder, name, "validation", vb_text_data(&settings),
                                 vb_text_data(&data), drawn, note, room, err);
    }
    vb_text_clear(&settings);
    vb_text_clear(&data);
    vb_arena_clear(&arena);
    return status;
}
