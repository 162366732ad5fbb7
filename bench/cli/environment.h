/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_ENVIRONMENT_H
#define VB_CLI_ENVIRONMENT_H

/* FOLDER/env.json: what a results folder was made with and where. */

#include "base/error.h"
#include "device/device.h"

/* VB_E_SYSTEM: the folder cannot be written. */
VB_CHECKED enum vb_status cli_write_environment(const char *folder, const struct vb_device *device,
                                                int argc, char *const *argv, struct vb_error *err);

#endif
