/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/trace_form.h"

/* One byte can be given back to a pipe, and one tells these apart: a CSV of ours begins with a
 * letter of its header's. */
enum vb_status vb_trace_form_of(const char *name, FILE *file, enum vb_trace_form *out,
                                struct vb_error *err)
{
    static const struct {
        int first;
        const char *text;
    } refused[] = {
        { EOF, "empty, expected a recording" },
        { 'P', "a zip file, as torch.save() writes: load it with torch.load() and write it with "
               "pickle.dump(), or let torch.cuda.memory._dump_snapshot() write it" },
        { 0x1f, "compressed by gzip: unpack it first" },
        { '(',
          "a pickle of protocol 0 or 1, expected 2 to 5: write it with pickle.dump() of today" },
        { '{', "JSON, expected a CSV or a pickle; of a profiler's trace see "
               "tests/data/traces/README.md" },
        { '[', "JSON, expected a CSV or a pickle; of a profiler's trace see "
               "tests/data/traces/README.md" },
        { '<', "HTML, as _memory_viz writes: it is the .pickle that is replayed" },
    };
    int first = getc(file);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (first == refused[i].first)
            return vb_fail(err, VB_E_INPUT, "%s: %s", name, refused[i].text);
    }
    *out = first == 0x80 ? VB_TRACE_FORM_PICKLE : VB_TRACE_FORM_TEXT;
    (void)ungetc(first, file);
    return VB_OK;
}
