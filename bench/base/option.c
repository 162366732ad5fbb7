/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { MAX_OPTIONS = 64 };

const struct vb_option *vb_option_find(const struct vb_option *options, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    }
    return NULL;
}

const char *vb_option_nearest(const struct vb_option *options, size_t n, const char *name)
{
    const char *names[MAX_OPTIONS];
    size_t n_names = n < MAX_OPTIONS ? n : MAX_OPTIONS;
    for (size_t i = 0; i < n_names; i++)
        names[i] = options[i].name;
    return vb_text_nearest(name, names, n_names);
}

static enum vb_status set_number(const struct vb_option *option, const char *text, uint32_t *out,
                                 struct vb_error *err)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        return vb_fail(err, VB_E_INPUT, "%s is '%s', expected a whole number, %s", option->name,
                       text, option->values);
    if (value < (long)option->low || value > (long)option->high)
        return vb_fail(err, VB_E_INPUT, "%s is %ld, expected %" PRIu32 " to %" PRIu32, option->name,
                       value, option->low, option->high);
    *out = (uint32_t)value;
    return VB_OK;
}

static enum vb_status set_decimal(const struct vb_option *option, const char *text, double *out,
                                  struct vb_error *err)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || strspn(text, "0123456789.") != strlen(text))
        return vb_fail(err, VB_E_INPUT, "%s is '%s', expected a number, %s", option->name, text,
                       option->values);
    if (value < option->low || value > option->high)
        return vb_fail(err, VB_E_INPUT, "%s is %s, expected %" PRIu32 " to %" PRIu32, option->name,
                       text, option->low, option->high);
    *out = value;
    return VB_OK;
}

static enum vb_status set_switch(const struct vb_option *option, const char *text, bool *out,
                                 struct vb_error *err)
{
    static const char *const yes[] = { "on", "true", "yes", "1" };
    static const char *const no[] = { "off", "false", "no", "0" };
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *out = strcmp(text, yes[i]) == 0;
            return VB_OK;
        }
    }
    return vb_fail(err, VB_E_INPUT, "%s is '%s', expected on or off", option->name, text);
}

/* Enums are ints as far as this table goes. */
static enum vb_status set_name(const struct vb_option *option, const char *text, int *out,
                               struct vb_error *err)
{
    for (size_t i = 0; i < option->n_names; i++) {
        if (strcmp(option->names[i], text) == 0) {
            *out = (int)i;
            return VB_OK;
        }
    }
    const char *near = vb_text_nearest(text, option->names, option->n_names);
    if (near != NULL)
        return vb_fail(err, VB_E_INPUT, "%s is '%s'; did you mean %s? (there is %s)", option->name,
                       text, near, option->values);
    return vb_fail(err, VB_E_INPUT, "%s is '%s', expected %s", option->name, text, option->values);
}

enum vb_status vb_option_set(const struct vb_option *option, const char *text, void *object,
                             struct vb_error *err)
{
    void *member = (char *)object + option->offset;
    switch (option->kind) {
    case VB_OPTION_TEXT:
        if (strlen(text) >= option->room)
            return vb_fail(err, VB_E_INPUT, "%s is longer than %zu characters", option->name,
                           option->room - 1);
        (void)snprintf(member, option->room, "%s", text);
        return VB_OK;
    case VB_OPTION_NUMBER:
        return set_number(option, text, member, err);
    case VB_OPTION_DECIMAL:
        return set_decimal(option, text, member, err);
    case VB_OPTION_SWITCH:
        return set_switch(option, text, member, err);
    case VB_OPTION_NAME:
        return set_name(option, text, member, err);
    }
    return VB_OK;
}

void vb_option_get(const struct vb_option *option, const void *object, char *text, size_t room)
{
    const void *member = (const char *)object + option->offset;
    switch (option->kind) {
    case VB_OPTION_TEXT:
        (void)snprintf(text, room, "%s", (const char *)member);
        break;
    case VB_OPTION_NUMBER:
        (void)snprintf(text, room, "%" PRIu32, *(const uint32_t *)member);
        break;
    case VB_OPTION_DECIMAL:
        (void)snprintf(text, room, "%.10g", *(const double *)member);
        break;
    case VB_OPTION_SWITCH:
        (void)snprintf(text, room, "%s", *(const bool *)member ? "on" : "off");
        break;
    case VB_OPTION_NAME:
        (void)snprintf(text, room, "%s", option->names[*(const int *)member]);
        break;
    }
}
