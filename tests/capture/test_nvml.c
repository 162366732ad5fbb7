/* SPDX-License-Identifier: Apache-2.0 */
/* NVML's figures, each of which may be missing, over one that does as it is told (fake/nvml.c). */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/nvml.h"

#define CARD "0000:01:00.0"

static struct vb_nvml *open_fake(const char *folder, const char *bus_id, const char *told)
{
    struct vb_nvml *nvml = NULL;
    cr_assert_eq(setenv("VRAMBENCH_CUDA_LIBS", folder, 1), 0);
    cr_assert_eq(setenv("VB_FAKE_NVML", told, 1), 0);
    cr_assert_eq(vb_nvml_open(bus_id, &nvml, NULL), VB_OK);
    return nvml;
}

static struct vb_nvml_reading read_told(struct vb_nvml *nvml, const char *told)
{
    struct vb_nvml_reading reading;
    memset(&reading, 0x55, sizeof reading);
    cr_assert_eq(setenv("VB_FAKE_NVML", told, 1), 0);
    vb_nvml_read(nvml, &reading);
    return reading;
}

Test(nvml, tells_every_figure_with_its_unit)
{
    uint64_t at_start = 0;
    struct vb_nvml *nvml = open_fake(VB_TEST_LIBRARIES, CARD, "used=100");
    cr_assert_str_eq(vb_nvml_why(nvml), "");
    cr_assert_str_eq(vb_nvml_driver_version(nvml), "580.65.06");
    cr_assert(vb_nvml_used_at_start(nvml, &at_start));
    cr_assert_eq(at_start, 100);
    struct vb_nvml_reading reading = read_told(nvml, "used=900,process=500");
    cr_assert(reading.has_used && reading.has_total && reading.has_process);
    cr_assert_eq(reading.used_bytes, 900);
    cr_assert_eq(reading.total_bytes, 10000);
    cr_assert_eq(reading.process_source, VB_NVML_PROCESS);
    cr_assert_eq(reading.process_bytes, 500);
    cr_assert(reading.has_sm_clock && reading.has_memory_clock && reading.has_temperature);
    cr_assert_eq(reading.sm_clock_mhz, 1500);
    cr_assert_eq(reading.memory_clock_mhz, 9000);
    cr_assert_eq(reading.temperature_celsius, 65);
    cr_assert(reading.has_power && reading.has_power_limit);
    cr_assert_eq(reading.power_mw, 300000);
    cr_assert_eq(reading.power_limit_mw, 350000);
    cr_assert(reading.has_throttle && reading.has_ecc);
    cr_assert_eq(reading.throttle_reasons, VB_THROTTLE_POWER_CAP | VB_THROTTLE_HW_THERMAL);
    cr_assert(reading.ecc_is_on);
    vb_nvml_close(nvml);
}

Test(nvml, a_process_that_is_not_listed_is_told_by_the_device)
{
    struct vb_nvml *nvml = open_fake(VB_TEST_LIBRARIES, CARD, "used=100");
    struct vb_nvml_reading reading = read_told(nvml, "used=900");
    cr_assert(reading.has_process);
    cr_assert_eq(reading.process_source, VB_NVML_DEVICE);
    cr_assert_eq(reading.process_bytes, 800);
    reading = read_told(nvml, "used=60"); /* another process ended */
    cr_assert(reading.has_process);
    cr_assert_eq(reading.process_bytes, 0);
    reading = read_told(nvml, "used=900,process=18446744073709551615"); /* listed without bytes */
    cr_assert_eq(reading.process_source, VB_NVML_DEVICE);
    reading = read_told(nvml, "nvmlDeviceGetMemoryInfo=3");
    cr_assert_not(reading.has_process);
    vb_nvml_close(nvml);
}

Test(nvml, our_id_before_we_can_be_listed_is_anothers)
{
    struct vb_nvml *nvml = open_fake(VB_TEST_LIBRARIES, CARD, "used=100,process=70");
    struct vb_nvml_reading reading = read_told(nvml, "used=900,process=70");
    cr_assert_eq(reading.process_source, VB_NVML_DEVICE);
    cr_assert_eq(reading.process_bytes, 800);
    vb_nvml_close(nvml);
}

Test(nvml, many_processes_fit)
{
    struct vb_nvml *nvml = open_fake(VB_TEST_LIBRARIES, CARD, "others=63");
    for (unsigned n = 62; n < 400; n += 1) {
        char told[64];
        (void)snprintf(told, sizeof told, "others=%u,process=5", n);
        struct vb_nvml_reading reading = read_told(nvml, told);
        cr_assert_eq(reading.process_source, VB_NVML_PROCESS, "%u", n);
        cr_assert_eq(reading.process_bytes, 5);
    }
    vb_nvml_close(nvml);
}

static void expect_nothing(const struct vb_nvml_reading *reading)
{
    cr_assert_not(reading->has_process || reading->has_used || reading->has_total ||
                  reading->has_sm_clock || reading->has_memory_clock || reading->has_temperature ||
                  reading->has_power || reading->has_power_limit || reading->has_throttle ||
                  reading->has_ecc);
}

Test(nvml, what_is_missing_has_no_flag)
{
    struct vb_nvml *nvml = open_fake(VB_TEST_LIBRARIES, CARD, "all=3");
    struct vb_nvml_reading reading = read_told(nvml, "all=3");
    uint64_t bytes;
    expect_nothing(&reading);
    cr_assert_not(vb_nvml_used_at_start(nvml, &bytes));
    cr_assert_str_eq(vb_nvml_driver_version(nvml), "");
    reading = read_told(nvml, "nvmlDeviceGetPowerUsage=4");
    cr_assert_not(reading.has_power);
    cr_assert(reading.has_power_limit && reading.has_used && reading.has_ecc);
    cr_assert_not(reading.has_process); /* what was in use at the start is not known */
    vb_nvml_close(nvml);

    nvml = open_fake(VB_TEST_LIBRARIES "/bare", CARD, "");
    cr_assert_str_eq(vb_nvml_why(nvml), "");
    reading = read_told(nvml, "");
    expect_nothing(&reading);
    vb_nvml_close(nvml);
}

Test(nvml, without_one_there_is_a_reason)
{
    struct vb_nvml_reading reading;
    uint64_t bytes;
    vb_nvml_read(NULL, &reading);
    expect_nothing(&reading);
    cr_assert_not(vb_nvml_used_at_start(NULL, &bytes));
    cr_assert_str_neq(vb_nvml_why(NULL), "");
    vb_nvml_close(NULL);

    struct vb_nvml *nvml = open_fake("/nowhere", CARD, "");
    cr_assert_not_null(strstr(vb_nvml_why(nvml), "libnvidia-ml.so.1: not found"));
    vb_nvml_read(nvml, &reading);
    expect_nothing(&reading);
    vb_nvml_close(nvml);

    nvml = open_fake(VB_TEST_LIBRARIES, "0000:99:00.0", "");
    cr_assert_not_null(strstr(vb_nvml_why(nvml), "0000:99:00.0) says Not Found (6)"), "%s",
                       vb_nvml_why(nvml));
    vb_nvml_close(nvml);

    nvml = open_fake(VB_TEST_LIBRARIES, CARD, "nvmlInit_v2=9");
    cr_assert_not_null(strstr(vb_nvml_why(nvml), "nvmlInit_v2 says Some Error (9)"));
    vb_nvml_close(nvml);
}

struct list_case {
    uint64_t reasons;
    size_t room;
    const char *text;
};

Test(throttle, reasons_are_listed)
{
    static const struct list_case cases[] = {
        { 0, 64, "none" },
        { 0x1, 64, "idle" },
        { 0x44, 64, "power cap, heat (hardware)" },
        { 0x1000000004, 64, "power cap, unknown 0x1000000000" },
        { 0x44, 12, "power cap, " },
        { 0x44, 1, "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        vb_throttle_list(cases[i].reasons, text, cases[i].room);
        cr_expect_str_eq(text, cases[i].text);
    }
    cr_assert_eq(vb_throttle_harmful(0x3), 0);
    cr_assert_eq(vb_throttle_harmful(0x47), 0x44);
}
