/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_LAUNCH_LINES_H
#define VB_LAUNCH_LINES_H

/* Operators along the last axis. For those who launch them. */

#include "cpu/lines.h"
#include "launch/parts.h"

/* All but the seats. VB_E_DEVICE: a size or a stride does not fit. */
VB_CHECKED enum vb_status vb_lay_lines(const struct vb_cpu_work *work, const struct vb_lines *lines,
                                       struct vb_line_call *out, struct vb_error *err);

#endif
