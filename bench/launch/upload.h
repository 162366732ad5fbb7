/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_LAUNCH_UPLOAD_H
#define VB_LAUNCH_UPLOAD_H

/* VB_OP_UPLOAD for a device with memory of its own: the call's data is laid out on the host as its
 * tensor lies, to be copied in one piece. */

#include "step/program.h"

/* From the operand's first element to its last. VB_E_UNSUPPORTED: there are gaps between them,
 * which a copy would overwrite. */
VB_CHECKED enum vb_status vb_upload_bytes(const struct vb_call *call, uint64_t *bytes,
                                          struct vb_error *err);

/* Writes as many bytes. */
VB_CHECKED enum vb_status vb_upload_stage(const struct vb_call *call, void *staged,
                                          struct vb_error *err);

#endif
