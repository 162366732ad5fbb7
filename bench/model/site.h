/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_MODEL_SITE_H
#define VB_MODEL_SITE_H

/* What a layer of a description gives its module, read and checked before the module runs. */

#include "model/modules.h"

/* Fills what the layer's arguments say: numbers, a list, channels scaled by the description's
 * width. VB_E_INPUT: file, line, what was expected. */
VB_CHECKED enum vb_status vb_site_read(struct vb_site *site, const struct vb_module *module,
                                       struct vb_error *err);

/* Whether the module can work with these inputs. VB_E_INPUT: it cannot. */
VB_CHECKED enum vb_status vb_site_check(const struct vb_site *site, const struct vb_module *module,
                                        struct vb_error *err);

#endif
