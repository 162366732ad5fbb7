/* SPDX-License-Identifier: Apache-2.0 */
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>

#include "cpu/cpu.h"

void vb_cpu_version(char *text, size_t room)
{
    const dnnl_version_t *version = dnnl_version();
    (void)snprintf(text, room, "%d.%d.%d", version->major, version->minor, version->patch);
}
