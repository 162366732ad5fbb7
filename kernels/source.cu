/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/source.h"

#include "kernels/number.h"
#include "kernels/place.h"
#include "kernels/random.h"

VB_KERNEL(count_up, vb_source)
{
    VB_STRIDE(i, a.axes.n)
    {
        const double value = a.a + a.b * (double)i;
        const uint64_t to = vb_offset_of(a.y, vb_coordinates_of(a.axes, i));
        if (a.in_floats != 0)
            vb_put_real(a.y.data, a.y.dtype, to, (float)value);
        else
            vb_put_whole(a.y.data, a.y.dtype, to, vb_whole_of_float(value));
    }
}

/* 24 random bits: as many as a float in 0 to 1 holds at equal distances. */
VB_KERNEL(draw_uniform, vb_source)
{
    VB_STRIDE(i, a.axes.n)
    {
        const double unit = (double)(vb_random(a.seed, i) >> 40) * (1.0 / (1 << 24));
        vb_put_real(a.y.data, a.y.dtype, vb_offset_of(a.y, vb_coordinates_of(a.axes, i)),
                    (float)((2 * unit - 1) * a.b));
    }
}
