/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CAPTURE_CUPTI_TABLE_H
#define VB_CAPTURE_CUPTI_TABLE_H

/* CUPTI's types and the functions of it that are called, for capture/cupti*.c alone. */

#include <cupti.h>

#if CUPTI_API_VERSION < 19
#error "the headers of CUDA 12.0 or later are needed: they have all fields that are read"
#endif

struct vb_cupti_table {
    CUptiResult (*get_version)(uint32_t *version);
    CUptiResult (*get_result_string)(CUptiResult result, const char **text);
    CUptiResult (*subscribe)(CUpti_SubscriberHandle *subscriber, CUpti_CallbackFunc callback,
                             void *context);
    CUptiResult (*unsubscribe)(CUpti_SubscriberHandle subscriber);
    CUptiResult (*register_callbacks)(CUpti_BuffersCallbackRequestFunc requested,
                                      CUpti_BuffersCallbackCompleteFunc completed);
    CUptiResult (*enable)(CUpti_ActivityKind kind);
    CUptiResult (*disable)(CUpti_ActivityKind kind);
    CUptiResult (*set_attribute)(CUpti_ActivityAttribute attribute, size_t *size,
                                 void *value); /* NULL: the library has none */
    CUptiResult (*flush_all)(uint32_t flag);
    CUptiResult (*get_next_record)(uint8_t *buffer, size_t n_bytes, CUpti_Activity **record);
    CUptiResult (*get_n_dropped)(CUcontext context, uint32_t stream, size_t *n);
    CUptiResult (*push)(CUpti_ExternalCorrelationKind kind, uint64_t id);
    CUptiResult (*pop)(CUpti_ExternalCorrelationKind kind, uint64_t *id);
    CUptiResult (*get_timestamp)(uint64_t *ns);
};

enum { VB_CUPTI_OLDEST_VERSION = 19 }; /* CUDA 12.0: the first whose records have what is read */

/* What the user can do about an error, as the end of a sentence: "; ..."; "" where that is nothing.
 */
const char *vb_cupti_remedy(CUptiResult result);

#endif
