/* SPDX-License-Identifier: Apache-2.0 */
/* A CUPTI that does what a test tells it: each function returns what VB_FAKE_CUPTI says for its
 * name
 * ("cuptiSubscribe=39,enable49=35"), and the records that the test adds come when flushed, through
 * as many buffers as they need. */

#include <cupti.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { MOST_RECORDS = 4096, RECORD_BYTES = 256 };

static struct {
    size_t bytes;
    unsigned char data[RECORD_BYTES];
} records[MOST_RECORDS];
static size_t n_records, n_dropped;
static CUpti_BuffersCallbackRequestFunc request;
static CUpti_BuffersCallbackCompleteFunc complete;
static uint64_t pushed[64];
static size_t n_pushed;
static uint64_t now;

EXPORT void vb_fake_add(const void *record, size_t bytes);
EXPORT void vb_fake_set_time(uint64_t ns);
EXPORT uint64_t vb_fake_pushed(size_t *n);

/* NULL: a record for which there was no buffer at all. */
void vb_fake_add(const void *record, size_t bytes)
{
    n_dropped += record == NULL;
    if (record == NULL)
        return;
    memcpy(records[n_records].data, record, bytes);
    records[n_records++].bytes = bytes;
}

void vb_fake_set_time(uint64_t ns)
{
    now = ns;
}

uint64_t vb_fake_pushed(size_t *n)
{
    *n = n_pushed;
    return n_pushed > 0 ? pushed[n_pushed - 1] : 0;
}

static CUptiResult told(const char *name)
{
    const char *text = getenv("VB_FAKE_CUPTI");
    size_t length = strlen(name);
    while (text != NULL && *text != '\0') {
        if (strncmp(text, name, length) == 0 && text[length] == '=')
            return (CUptiResult)atoi(text + length + 1);
        text += strcspn(text, ",");
        text += *text == ',';
    }
    return CUPTI_SUCCESS;
}

EXPORT CUptiResult cuptiGetVersion(uint32_t *version)
{
    CUptiResult told_version = told("version");
    *version = told_version != CUPTI_SUCCESS ? (uint32_t)told_version : CUPTI_API_VERSION;
    return told("cuptiGetVersion");
}

EXPORT CUptiResult cuptiGetResultString(CUptiResult result, const char **text)
{
    switch ((int)result) {
    case CUPTI_ERROR_NOT_COMPATIBLE:
        *text = "CUPTI_ERROR_NOT_COMPATIBLE";
        break;
    case CUPTI_ERROR_NOT_INITIALIZED:
        *text = "CUPTI_ERROR_NOT_INITIALIZED";
        break;
    case CUPTI_ERROR_INVALID_KIND:
        *text = "CUPTI_ERROR_INVALID_KIND";
        break;
    case CUPTI_ERROR_INSUFFICIENT_PRIVILEGES:
        *text = "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES";
        break;
    case CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED:
        *text = "CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED";
        break;
    default:
        return CUPTI_ERROR_INVALID_PARAMETER;
    }
    return CUPTI_SUCCESS;
}

EXPORT CUptiResult cuptiSubscribe(CUpti_SubscriberHandle *subscriber, CUpti_CallbackFunc callback,
                                  void *data)
{
    (void)callback;
    (void)data;
    *subscriber = (CUpti_SubscriberHandle)(void *)&now;
    return told("cuptiSubscribe");
}

EXPORT CUptiResult cuptiUnsubscribe(CUpti_SubscriberHandle subscriber)
{
    (void)subscriber;
    return CUPTI_SUCCESS;
}

EXPORT CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc requested,
                                                  CUpti_BuffersCallbackCompleteFunc completed)
{
    request = requested;
    complete = completed;
    return told("cuptiActivityRegisterCallbacks");
}

EXPORT CUptiResult cuptiActivitySetAttribute(CUpti_ActivityAttribute attribute, size_t *size,
                                             void *value)
{
    if (attribute != CUPTI_ACTIVITY_ATTR_MEM_ALLOCATION_TYPE_HOST_PINNED || *size != 1 ||
        *(uint8_t *)value != 1)
        return CUPTI_ERROR_INVALID_PARAMETER;
    return told("cuptiActivitySetAttribute");
}

EXPORT CUptiResult cuptiActivityEnable(CUpti_ActivityKind kind)
{
    char name[] = "enable00";
    name[6] = (char)('0' + kind / 10);
    name[7] = (char)('0' + kind % 10);
    CUptiResult result = told(name);
    return result != CUPTI_SUCCESS ? result : told("cuptiActivityEnable");
}

EXPORT CUptiResult cuptiActivityDisable(CUpti_ActivityKind kind)
{
    (void)kind;
    return CUPTI_SUCCESS;
}

EXPORT CUptiResult cuptiActivityFlushAll(uint32_t flag)
{
    uint8_t *buffer = NULL;
    size_t room = 0, filled = 0, most = 0;
    (void)flag;
    for (size_t i = 0; i < n_records; i++) {
        if (buffer != NULL && filled + records[i].bytes > room) {
            complete(NULL, 0, buffer, room, filled);
            buffer = NULL;
        }
        if (buffer == NULL) {
            request(&buffer, &room, &most);
            filled = 0;
        }
        if (buffer == NULL || records[i].bytes > room - filled) {
            n_dropped++;
            continue;
        }
        memcpy(buffer + filled, records[i].data, records[i].bytes);
        filled += records[i].bytes;
    }
    if (buffer != NULL)
        complete(NULL, 0, buffer, room, filled);
    n_records = 0;
    return CUPTI_SUCCESS;
}

static size_t record_bytes(uint32_t kind)
{
    switch (kind) {
    case CUPTI_ACTIVITY_KIND_MEMORY2:
        return sizeof(CUpti_ActivityMemory4);
    case CUPTI_ACTIVITY_KIND_MEMORY_POOL:
        return sizeof(CUpti_ActivityMemoryPool3);
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
        return sizeof(CUpti_ActivityKernel10);
    case CUPTI_ACTIVITY_KIND_MEMSET:
        return sizeof(CUpti_ActivityMemset4);
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION:
        return sizeof(CUpti_ActivityExternalCorrelation);
    case CUPTI_ACTIVITY_KIND_DRIVER:
        return sizeof(CUpti_ActivityAPI);
    default:
        return 0;
    }
}

EXPORT CUptiResult cuptiActivityGetNextRecord(uint8_t *buffer, size_t valid,
                                              CUpti_Activity **record)
{
    uint8_t *at =
        *record != NULL ? (uint8_t *)*record + record_bytes((uint32_t)(*record)->kind) : buffer;
    if (at >= buffer + valid)
        return CUPTI_ERROR_MAX_LIMIT_REACHED;
    CUpti_Activity *next = (CUpti_Activity *)(void *)at;
    if (record_bytes((uint32_t)next->kind) == 0)
        return CUPTI_ERROR_INVALID_KIND;
    *record = next;
    return CUPTI_SUCCESS;
}

EXPORT CUptiResult cuptiActivityGetNumDroppedRecords(CUcontext context, uint32_t stream, size_t *n)
{
    (void)context;
    (void)stream;
    *n = n_dropped;
    n_dropped = 0;
    return CUPTI_SUCCESS;
}

EXPORT CUptiResult cuptiActivityPushExternalCorrelationId(CUpti_ExternalCorrelationKind kind,
                                                          uint64_t id)
{
    (void)kind;
    pushed[n_pushed++] = id;
    return CUPTI_SUCCESS;
}

EXPORT CUptiResult cuptiActivityPopExternalCorrelationId(CUpti_ExternalCorrelationKind kind,
                                                         uint64_t *id)
{
    (void)kind;
    *id = pushed[--n_pushed];
    return CUPTI_SUCCESS;
}

EXPORT CUptiResult cuptiGetTimestamp(uint64_t *timestamp)
{
    *timestamp = now;
    return told("cuptiGetTimestamp");
}
