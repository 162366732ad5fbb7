/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalisation: partial sums of each channel, one launch that ends them, one that applies
 * them. It is bound by memory: the first and the last read the image once each. Sums are taken
 * about a number near the mean, the channel's first, so that nothing cancels where the mean is
 * large; a few in fp32, for fp64 is 64 times slower on most GPUs, those of them in fp64. */

#include "kernels/batch_norm.h"

#include "kernels/eight.h"
#include "kernels/place.h"

enum { RUN = 32 };

VB_DEVICE float vector_at(const struct vb_vector &vector, uint32_t c)
{
    return vb_get_float(vector.data, vector.dtype, (uint64_t)c * vector.stride);
}

VB_DEVICE void set_vector(const struct vb_vector &vector, uint32_t c, double value)
{
    vb_put_float(vector.data, vector.dtype, (uint64_t)c * vector.stride, (float)value);
}

/* A thread's first channel and its pixels: `begin` and every `step`-th one before `end`. */
struct share {
    uint32_t channel;
    uint64_t begin, end, step;
};

template <uint32_t CHANNELS>
VB_DEVICE struct share share_of(const struct vb_norm_plan &plan, uint32_t t)
{
    const uint32_t part = VB_BLOCK_X % plan.parts, tile = VB_BLOCK_X / plan.parts;
    const uint64_t begin = plan.pixels.n * part / plan.parts;
    const uint64_t end = plan.pixels.n * (part + 1) / plan.parts;
    const uint32_t channel = (tile * plan.lanes + t % plan.lanes) * CHANNELS;
    return { channel, begin + t / plan.lanes, channel < plan.channels ? end : 0,
             VB_BLOCK / plan.lanes };
}

VB_DEVICE uint64_t offset_of(const struct vb_norm_image &image, uint32_t channel,
                             const struct vb_coordinates &place)
{
    return vb_offset_of(image.pixels, place) + (uint64_t)channel * image.channel_stride;
}

/* A block's sums, two a channel, of each thread. */
template <uint32_t CHANNELS> struct sums {
    double of[2 * CHANNELS][VB_BLOCK];
};

/* What a thread has summed in fp32 since it last went into the block's sums. */
template <uint32_t CHANNELS> struct run {
    float first[CHANNELS], second[CHANNELS];
};

/* Volatile: kept in registers meanwhile, the sums would take half of what there is. */
template <uint32_t CHANNELS>
VB_DEVICE void end_run(struct run<CHANNELS> *run, struct sums<CHANNELS> *sums, uint32_t t)
{
    VB_UNROLL(8)
    for (uint32_t k = 0; k < CHANNELS; k++) {
        volatile double *first = &sums->of[2 * k][t], *second = &sums->of[2 * k + 1][t];
        *first = *first + (double)run->first[k];
        *second = *second + (double)run->second[k];
        run->first[k] = run->second[k] = 0;
    }
}

template <uint32_t CHANNELS, uint32_t PIXELS>
VB_DEVICE void sum_share(const struct vb_norm_sums &a, struct sums<CHANNELS> *sums, uint32_t t)
{
    const struct share share = share_of<CHANNELS>(a.plan, t);
    struct run<CHANNELS> run = {
    };
    float about[CHANNELS];
    uint32_t left = RUN / PIXELS;
    VB_UNROLL(8)
    for (uint32_t k = 0; k < CHANNELS; k++) {
        about[k] = share.end > 0 ? vector_at(a.about, share.channel + k) : 0;
        sums->of[2 * k][t] = sums->of[2 * k + 1][t] = 0;
    }
    for (uint64_t i = share.begin; i < share.end; i += share.step) {
        const struct vb_coordinates place = vb_coordinates_of(a.plan.pixels, i);
        const struct vb_eight x = vb_get_some<CHANNELS * PIXELS>(
            a.x.pixels.data, a.x.pixels.dtype, offset_of(a.x, share.channel, place));
        struct vb_eight g = x;
        if (a.has_gradient)
            g = vb_get_some<CHANNELS * PIXELS>(a.g.pixels.data, a.g.pixels.dtype,
                                               offset_of(a.g, share.channel, place));
        VB_UNROLL(8)
        for (uint32_t k = 0; k < CHANNELS * PIXELS; k++) {
            const uint32_t c = k / PIXELS;
            const float d = x.x[k] - about[c], first = a.has_gradient ? g.x[k] : d;
            run.first[c] += first;
            run.second[c] += first * d;
        }
        if (--left == 0) {
            end_run(&run, sums, t);
            left = RUN / PIXELS;
        }
    }
    end_run(&run, sums, t);
}

template <uint32_t CHANNELS, uint32_t PIXELS> VB_DEVICE void run_sums(const struct vb_norm_sums &a)
{
    VB_SHARED(struct sums<CHANNELS>, sums);
    VB_THREADS(t)
    {
        sum_share<CHANNELS, PIXELS>(a, &sums, t);
    }
    VB_BARRIER();
    for (uint32_t left = VB_BLOCK / 2; left >= a.plan.lanes; left /= 2) {
        VB_THREADS(t)
        {
            for (uint32_t k = 0; k < 2 * CHANNELS && t < left; k++)
                sums.of[k][t] += sums.of[k][t + left];
        }
        VB_BARRIER();
    }
    VB_THREADS(t)
    {
        const uint32_t part = VB_BLOCK_X % a.plan.parts;
        const struct share share = share_of<CHANNELS>(a.plan, t);
        for (uint32_t k = 0; k < CHANNELS && t < a.plan.lanes && share.end > 0; k++) {
            double *to = a.sums + 2 * ((uint64_t)(share.channel + k) * a.plan.parts + part);
            to[0] = sums.of[2 * k][t];
            to[1] = sums.of[2 * k + 1][t];
        }
    }
}

VB_KERNEL(norm_sums, vb_norm_sums)
{
    run_sums<1, 1>(a);
}

VB_KERNEL(norm_sums_channels, vb_norm_sums)
{
    run_sums<VB_EIGHT, 1>(a);
}

VB_KERNEL(norm_sums_pixels, vb_norm_sums)
{
    run_sums<1, VB_EIGHT>(a);
}

/* All parts of a channel: its two sums. */
struct both {
    double first, second;
};

/* ENDED channels a block, the parts of each shared by LANES threads. */
enum { ENDED = VB_NORM_ENDED, LANES = VB_BLOCK / ENDED };

VB_DEVICE void add_parts(const struct vb_norm_end &a, struct both *sums)
{
    VB_THREADS(t)
    {
        const uint32_t c = VB_BLOCK_X * ENDED + t / LANES;
        struct both sum = { 0, 0 };
        for (uint32_t part = t % LANES; part < a.parts && c < a.channels; part += LANES) {
            const double *from = a.sums + 2 * ((uint64_t)c * a.parts + part);
            sum.first += from[0];
            sum.second += from[1];
        }
        sums[t] = sum;
    }
    VB_BARRIER();
    for (uint32_t left = LANES / 2; left > 0; left /= 2) {
        VB_THREADS(t)
        {
            if (t % LANES < left) {
                sums[t].first += sums[t + left].first;
                sums[t].second += sums[t + left].second;
            }
        }
        VB_BARRIER();
    }
}

/* `end` makes of a channel's two sums what it is for. */
template <void (*end)(const struct vb_norm_end &, uint32_t, const struct both &)>
VB_DEVICE void end_channels(const struct vb_norm_end &a)
{
    VB_SHARED(struct both, sums, [VB_BLOCK]);
    add_parts(a, sums);
    VB_THREADS(t)
    {
        const uint32_t c = VB_BLOCK_X * ENDED + t / LANES;
        if (t % LANES == 0 && c < a.channels)
            end(a, c, sums[t]);
    }
}

VB_DEVICE void set_factors(const struct vb_norm_end &a, uint32_t c, double of_x, double of_gradient,
                           double shift)
{
    a.factors[c] = (float)of_x;
    a.factors[a.channels + c] = (float)of_gradient;
    a.factors[2 * a.channels + c] = (float)shift;
}

/* running = (1 - momentum) running + momentum value */
VB_DEVICE void set_running(const struct vb_norm_end &a, const struct vb_vector &running, uint32_t c,
                           double value)
{
    set_vector(running, c, (1 - a.momentum) * (double)vector_at(running, c) + a.momentum * value);
}

VB_DEVICE void end_forward(const struct vb_norm_end &a, uint32_t c, const struct both &sum)
{
    const double pixels = (double)a.pixels, off = sum.first / pixels;
    const double mean = (double)vector_at(a.about, c) + off;
    const double difference = sum.second / pixels - off * off;
    const double variance = difference < 0 ? 0 : difference;
    const double deviation = 1 / sqrt(variance + a.epsilon);
    const double scale = deviation * (double)vector_at(a.weight, c);
    set_running(a, a.running_mean, c, mean);
    set_running(a, a.running_variance, c,
                a.pixels > 1 ? variance * pixels / (pixels - 1) : variance);
    set_vector(a.mean, c, mean);
    set_vector(a.deviation, c, deviation);
    set_factors(a, c, scale, 0, (double)vector_at(a.bias, c) - mean * scale);
}

VB_KERNEL(norm_end, vb_norm_end)
{
    end_channels<end_forward>(a);
}

/* With m pixels, x's gradient is
 * weight / deviation (g - sum g / m - (x - mean) (sum g (x - mean)) / deviation ** 2 / m). */
VB_DEVICE void end_backward(const struct vb_norm_end &a, uint32_t c, const struct both &sum)
{
    const double pixels = (double)a.pixels, mean = (double)vector_at(a.mean, c);
    const double inverse = (double)vector_at(a.deviation, c);
    const double scale = inverse * (double)vector_at(a.weight, c);
    const double slope = sum.second * inverse * inverse / pixels;
    set_vector(a.bias_gradient, c, sum.first);
    set_vector(a.weight_gradient, c, sum.second * inverse);
    set_factors(a, c, -scale * slope, scale, scale * (slope * mean - sum.first / pixels));
}

VB_KERNEL(norm_end_backward, vb_norm_end)
{
    end_channels<end_backward>(a);
}

VB_KERNEL(norm_eval, vb_norm_end)
{
    VB_STRIDE(i, a.channels)
    {
        const uint32_t c = (uint32_t)i;
        const double variance = (double)vector_at(a.running_variance, c);
        const double scale = (double)vector_at(a.weight, c) / sqrt(variance + a.epsilon);
        set_factors(a, c, scale, 0,
                    (double)vector_at(a.bias, c) - (double)vector_at(a.running_mean, c) * scale);
    }
}

template <uint32_t CHANNELS, uint32_t PIXELS>
VB_DEVICE void run_apply(const struct vb_norm_apply &a)
{
    VB_THREADS(t)
    {
        enum { N = CHANNELS * PIXELS };
        const struct share share = share_of<CHANNELS>(a.plan, t);
        const float *factors = a.factors + (share.end > 0 ? share.channel : 0);
        const uint64_t channels = a.plan.channels;
        const struct vb_eight of_x = vb_get_some<CHANNELS>(factors, VB_FLOAT32, 0);
        const struct vb_eight of_g = vb_get_some<CHANNELS>(factors, VB_FLOAT32, channels);
        const struct vb_eight shift = vb_get_some<CHANNELS>(factors, VB_FLOAT32, 2 * channels);
        for (uint64_t i = share.begin; i < share.end; i += share.step) {
            const struct vb_coordinates place = vb_coordinates_of(a.plan.pixels, i);
            struct vb_eight y = vb_get_some<N>(a.x.pixels.data, a.x.pixels.dtype,
                                               offset_of(a.x, share.channel, place));
            VB_UNROLL(8)
            for (uint32_t k = 0; k < N; k++)
                y.x[k] = y.x[k] * of_x.x[k / PIXELS] + shift.x[k / PIXELS];
            if (a.has_gradient) {
                const struct vb_eight g = vb_get_some<N>(a.g.pixels.data, a.g.pixels.dtype,
                                                         offset_of(a.g, share.channel, place));
                VB_UNROLL(8)
                for (uint32_t k = 0; k < N; k++)
                    y.x[k] += g.x[k] * of_g.x[k / PIXELS];
            }
            vb_put_some<N>(a.y.pixels.data, a.y.pixels.dtype, offset_of(a.y, share.channel, place),
                           y);
        }
    }
}

VB_KERNEL(norm_apply, vb_norm_apply)
{
    run_apply<1, 1>(a);
}

VB_KERNEL(norm_apply_channels, vb_norm_apply)
{
    run_apply<VB_EIGHT, 1>(a);
}

VB_KERNEL(norm_apply_pixels, vb_norm_apply)
{
    run_apply<1, VB_EIGHT>(a);
}
