/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_WATCH_FORMAT_H
#define VB_WATCH_FORMAT_H

/* What a watched process leaves: one file for each program that it was, in the folder that
 * VB_WATCH_FOLDER names, called PID-START-NTH.watch. The file is a row of chunks, each a head and
 * its bytes, added whole. It is read on the machine that wrote it, by the same build: numbers
 * are as they lie in memory. A file that ends inside a chunk was cut off there.
 */

#include <stdint.h>

#define VB_WATCH_FOLDER "VRAMBENCH_WATCH_FOLDER"
#define VB_WATCH_ENDING ".watch"
#define VB_WATCH_LIBRARY "libvrambench_watch.so"

enum { VB_WATCH_MAGIC = 0x68637477, VB_WATCH_VERSION = 1 };

enum vb_watch_kind {
    VB_WATCH_START = 1, /* struct vb_watch_start, then the command line, each argument with its 0 */
    VB_WATCH_OFF,       /* a text: why nothing, or nothing more, is recorded */
    VB_WATCH_EVENTS,    /* struct vb_watch_event, any number */
    VB_WATCH_DEVICE,    /* struct vb_watch_device */
    VB_WATCH_MODULE,    /* struct vb_watch_module, then its path */
    VB_WATCH_REACHED, /* uint64_t: all records up to this moment of the monotonic clock are there */
    VB_WATCH_END,     /* uint64_t, of the same clock: the process ended as programs do */
};

struct vb_watch_head {
    uint32_t magic, kind;
    uint64_t bytes; /* that follow */
};

/* Two clocks at one moment: CLOCK_MONOTONIC, which all processes share, and that of the records. */
struct vb_watch_start {
    uint32_t version;
    int32_t pid, parent;
    uint32_t cupti_version; /* 0: not known */
    uint64_t start_ticks;   /* of the process, since the machine began: tells apart equal pids */
    uint64_t monotonic_ns;
    uint64_t record_ns; /* 0: nothing is recorded */
    uint64_t n_dropped; /* records that are missing; written over as it grows, where it is */
};

enum {
    VB_WATCH_POOL = 1,     /* the driver's, of cudaMallocAsync() */
    VB_WATCH_ARRAY = 2,    /* of cudaMallocArray() and its like */
    VB_WATCH_VARIABLE = 4, /* of a module */
    VB_WATCH_GRAPHS = 8,   /* the driver's word of what it holds for CUDA graphs: no record */
};
enum { VB_WATCH_GRAPHS_ADDRESS = 1 }; /* of that, in an event: nothing is allocated there */

/* capture/lives.h, and where it is from. */
struct vb_watch_event {
    uint64_t ns, address, bytes;
    uint64_t call_address; /* of the code that made the call; 0: not told */
    uint32_t correlation, device;
    uint8_t kind, change, from, unused[5];
};

/* Which GPU a number of this process is. */
struct vb_watch_device {
    uint32_t device;
    char bus_id[28]; /* "0000:01:00.0" */
};

/* Code that a call came from. */
struct vb_watch_module {
    uint64_t from, to, offset; /* addresses; of the first one in the file */
};

#endif
