/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_NEIGHBOURS_H
#define VB_CPU_NEIGHBOURS_H

/* Which pixels go into one, along one axis. C and CUDA. */

#include <stdint.h>

#include "base/both.h"
#include "model/op.h"

/* `first` and `n` - 1 more: places of an image that a window has, `dilation` apart, or windows that
 * have a place, one after the other. */
struct vb_taps {
    uint32_t first, n;
};

/* The places inside 0 .. size of window number `at`, which begins at at * stride - pad. */
VB_BOTH struct vb_taps vb_taps_of(uint32_t at, uint32_t kernel, const struct vb_window *window,
                                  uint32_t size)
{
    const uint32_t begin = at * window->stride, step = window->dilation;
    const uint32_t skipped = begin < window->pad ? (window->pad - begin - 1) / step + 1 : 0;
    struct vb_taps taps = { begin + skipped * step - window->pad, 0 };
    if (skipped >= kernel || taps.first >= size) {
        taps.first = 0;
        return taps;
    }
    const uint32_t inside = (size - taps.first - 1) / step + 1;
    taps.n = inside < kernel - skipped ? inside : kernel - skipped;
    return taps;
}

/* The windows, of 0 .. size, that have the place `at`. */
VB_BOTH struct vb_taps vb_windows_of(uint32_t at, uint32_t kernel, const struct vb_window *window,
                                     uint32_t size)
{
    const uint32_t reach = (kernel - 1) * window->dilation, end = at + window->pad;
    const uint32_t last = end / window->stride < size ? end / window->stride : size - 1;
    struct vb_taps taps = { end > reach ? (end - reach - 1) / window->stride + 1 : 0, 0 };
    taps.n = taps.first <= last ? last - taps.first + 1 : 0;
    return taps;
}

/* Two neighbours and how much the second weighs. Source: PyTorch,
 * aten/src/ATen/native/UpSample.h, area_pixel_compute_source_index without aligned corners. */
struct vb_between {
    uint32_t low, high;
    float weight;
};

VB_BOTH struct vb_between vb_between_of(uint32_t at, uint32_t from, uint32_t to)
{
    float place = ((float)at + 0.5F) * ((float)from / (float)to) - 0.5F;
    place = place > 0.0F ? place : 0.0F;
    const uint32_t low = (uint32_t)place < from ? (uint32_t)place : from - 1;
    struct vb_between between = { low, low + 1 < from ? low + 1 : low, place - (float)low };
    return between;
}

#endif
