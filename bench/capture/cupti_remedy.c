/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/cupti.h"
#include "config.h"

#if VB_WITH_CUPTI
#include "capture/cupti_table.h"

const char *vb_cupti_remedy(CUptiResult result)
{
    switch ((int)result) {
    case CUPTI_ERROR_INSUFFICIENT_PRIVILEGES:
    case CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES:
        return "; the driver keeps this for administrators: load its module with "
               "NVreg_RestrictProfilingToAdminUsers=0, or run as root or with CAP_SYS_ADMIN";
    case CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED:
        return "; another profiler or debugger holds CUPTI in this process: run without it";
    case CUPTI_ERROR_NOT_COMPATIBLE:
        return "; the driver is too old for this CUPTI: take a newer driver or an older CUPTI";
    case CUPTI_ERROR_NOT_INITIALIZED:
    case CUPTI_ERROR_UNKNOWN:
        return "; there is no NVIDIA driver here, or one too old for this CUPTI";
    case CUPTI_ERROR_VIRTUALIZED_DEVICE_NOT_SUPPORTED:
    case CUPTI_ERROR_NOT_SUPPORTED:
    case CUPTI_ERROR_INVALID_KIND:
        return "; this CUPTI does not have it on this machine";
    default:
        return "";
    }
}

#endif
