/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_BASE_ERROR_H
#define VB_BASE_ERROR_H

/* How a function says that it could not do its work.
 *
 * A function that can fail returns a status and takes a `struct vb_error *` last. The status says
 * what the caller can still do; the text says what happened. The function that finds the fault
 * writes the text; those above it hand both on.
 */

enum vb_status {
    VB_OK = 0,
    VB_E_NO_FIT,      /* the device has no room: an answer about the point, not a fault */
    VB_E_UNSUPPORTED, /* this device cannot do this: skip the point and say so */
    VB_E_INPUT,       /* a file or an argument of the user's is wrong: exit status 2 */
    VB_E_DEVICE,      /* the device failed; only vb_device_close() may follow: exit status 3 */
    VB_E_SYSTEM,      /* host memory or the file system: exit status 3 */
};

/* Lives on the caller's stack. Holds a text only after a call that did not return VB_OK. */
struct vb_error {
    char text[512]; /* one line without a full stop, cut where it does not fit */
};

#define VB_CHECKED __attribute__((warn_unused_result))
#define VB_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Writes the text and returns `status`, so that to fail is one statement:
 *     return vb_fail(err, VB_E_INPUT, "%s:%d: batch is %d, must be 1 or more", file, line, batch);
 * Where `err` is NULL the text is dropped. */
VB_CHECKED enum vb_status vb_fail(struct vb_error *err, enum vb_status status, const char *format,
                                  ...) VB_PRINTF(3, 4);

#endif
