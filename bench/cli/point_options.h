/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_POINT_OPTIONS_H
#define VB_CLI_POINT_OPTIONS_H

/* The options that describe one point: the table of sweep/keys.h as --key VALUE, and --yaml, --gpu
 * and
 * --device. For the commands that take a point. */

#include "cli/arguments.h"
#include "record/point.h"

enum { CLI_MAX_POINT_OPTIONS = 64 };

struct cli_point_options {
    const char *values[CLI_MAX_POINT_OPTIONS]; /* of each key; NULL: not given */
    const char *yaml, *gpu, *device;
};

/* Appends the options to `table`, from *n on. */
void cli_add_point_options(struct cli_point_options *options, struct cli_option *table, size_t *n);

/* What was given, over the defaults. VB_E_INPUT: a bad value, or no model. */
VB_CHECKED enum vb_status cli_read_point(const struct cli_point_options *options,
                                         struct vb_point *out, struct vb_error *err);

/* As --model MODEL; NULL: it was not given. For a command that calls it otherwise. */
void cli_set_model(struct cli_point_options *options, const char *model);

/* Whether --`key` was among the arguments. */
bool cli_is_given(const struct cli_point_options *options, const char *key);

/* The device's name: --device, else the virtual one of --gpu, else of rtx3090. */
void cli_device_name(const struct cli_point_options *options, char *name, size_t room);

#endif
