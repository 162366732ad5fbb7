/* SPDX-License-Identifier: Apache-2.0 */
/* Judges what became of each call that walk.c had fail:   judge FOLDER RECORD [idle]
 * RECORD is that of the run in which none failed; idle: the children computed nothing.
 *
 * A child ends by itself, leaves nothing, and either refuses the device in one line or prints a
 * record. One that is no answer says what failed; one that is an answer says nothing else than the
 * run's own, except that it may lack what it says that it lacks. */
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FUNCTIONS = 128, MOST_SHOWN = 40, MOST_TEXT = 1 << 20 };
enum { ENDS_REFUSED, ENDS_OK, ENDS_LOWER_BOUND, ENDS_OOM, ENDS_UNSUPPORTED, ENDS_ERROR, N_ENDS };
static const char *const ends[N_ENDS] = { "refused", "ok",          "lower-bound",
                                          "oom",     "unsupported", "error" };

struct child {
    unsigned long long n, nth;
    char function[64];
    int injected, status, signal;
    double seconds;
};
static struct {
    char function[64];
    unsigned n[N_ENDS];
} rows[MOST_FUNCTIONS];
static unsigned n_rows, n_faults;
static bool is_idle;
static char *texts[3]; /* out, err, log */

static bool is_of(const struct child *child, const char *library)
{
    return strncmp(child->function, library, strlen(library)) == 0;
}

__attribute__((format(printf, 2, 3))) static void fail(const struct child *child,
                                                       const char *format, ...)
{
    va_list list;
    if (++n_faults > MOST_SHOWN)
        return;
    printf("FAILED: %llu: %s, call %llu, status %d: ", child->n, child->function, child->nth,
           child->injected);
    va_start(list, format);
    (void)vprintf(format, list);
    va_end(list);
    printf("\n");
}

static void read_text(const char *folder, const struct child *child, const char *ending, char *out)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%llu-%s.%s", folder, child->n, child->function, ending);
    FILE *file = fopen(path, "r");
    const size_t n = file != NULL ? fread(out, 1, MOST_TEXT - 1, file) : 0;
    out[n] = '\0';
    if (file != NULL)
        (void)fclose(file);
}

static bool is_one_line(const char *text)
{
    const char *end = strchr(text, '\n');
    return end != NULL && end != text && end[1] == '\0';
}

static uint64_t launches(const json_t *on_gpu)
{
    uint64_t n = 0;
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(on_gpu, "kernels"), i, row)
    {
        n += (uint64_t)json_integer_value(json_object_get(row, "launches"));
    }
    return n;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* Another plan of a convolution, as time may choose one too, takes another workspace; a pool that
 * was refused memory gives back what it has. */
static bool may_vary(const struct child *child, const json_t *usual)
{
    return is_of(child, "cudnn") || is_of(child, "cuMemAlloc") ||
           strcmp(text_of(usual, "benchmark"), "on") == 0;
}

/* What of a record is the same in each run. */
static void compare(const struct child *child, const json_t *record, const json_t *usual)
{
    enum { N_LOSSES = 2 };
    static const char *const exact[] = { "loss_first", "loss_last", "peak_requested_bytes",
                                         "peak_allocated_bytes", "peak_reserved_bytes" };
    /* Where no kernel is recorded there are fewer steps. */
    const bool has_kernels = launches(json_object_get(record, "on_gpu")) > 0;
    const size_t n = may_vary(child, usual) ? N_LOSSES : sizeof exact / sizeof *exact;
    for (size_t i = is_idle ? N_LOSSES : 0; i < n; i++) {
        const double a = json_number_value(json_object_get(record, exact[i]));
        const double b = json_number_value(json_object_get(usual, exact[i]));
        if (fabs(a - b) > 1e-6 * fabs(b) && (i != 1 || has_kernels))
            fail(child, "%s is %.9g, else %.9g", exact[i], a, b);
    }
}

/* A capture that is called full has what a full one has. */
static void compare_capture(const struct child *child, const json_t *record, const json_t *usual)
{
    static const char *const members[] = { "captured_peak_bytes", "pool_bytes", "cudnn_bytes",
                                           "rest_bytes" };
    const json_t *on_gpu = json_object_get(record, "on_gpu");
    const json_t *other = json_object_get(usual, "on_gpu");
    const char *state = text_of(on_gpu, "capture");
    if (strcmp(state, "full") != 0) {
        if (text_of(on_gpu, "capture_why")[0] == '\0')
            fail(child, "capture is '%s' without a reason", state);
        return;
    }
    for (size_t i = 0; i < sizeof members / sizeof *members && !may_vary(child, usual); i++) {
        const json_int_t a = json_integer_value(json_object_get(on_gpu, members[i]));
        const json_int_t b = json_integer_value(json_object_get(other, members[i]));
        if (a != b)
            fail(child, "capture is full, %s %lld, else %lld", members[i], (long long)a,
                 (long long)b);
    }
    /* Not to the last one: an operator's are those of a step, rounded down. */
    const double n = (double)launches(on_gpu), usual_n = (double)launches(other);
    if (fabs(n - usual_n) > 0.05 * usual_n)
        fail(child, "capture is full, %.0f launches a step, else %.0f", n, usual_n);
}

/* What NVML tells is there, or the warning says that it is not. */
static void compare_sensors(const struct child *child, const json_t *record, const json_t *usual)
{
    const json_t *on_gpu = json_object_get(record, "on_gpu");
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(json_object_get(usual, "on_gpu"), "before"), key, value)
    {
        if (json_object_get(json_object_get(on_gpu, "before"), key) == NULL &&
            !is_of(child, "nvml"))
            fail(child, "%s is not told", key);
    }
    if (json_object_get(on_gpu, "before") == NULL && text_of(on_gpu, "warning")[0] == '\0')
        fail(child, "no clocks, and no warning says why");
}

/* The reason names what failed: the library's error, or what was asked for. */
static void judge_reason(const struct child *child, const char *reason, int end)
{
    if (strlen(reason) < 10)
        fail(child, "the reason is '%s'", reason);
    else if (end == ENDS_OOM && strstr(reason, "asked for") == NULL)
        fail(child, "an oom without what was asked for: %s", reason);
    else if (end != ENDS_OOM && is_of(child, "cudnn") && strstr(reason, "cuDNN") == NULL &&
             strstr(reason, "CUDA_ERROR_") == NULL)
        fail(child, "the reason names no error of cuDNN: %s", reason);
    else if (end != ENDS_OOM && isupper((unsigned char)child->function[2]) &&
             strstr(reason, "CUDA_ERROR_") == NULL &&
             (child->injected < 700 || strstr(reason, "cuDNN") == NULL)) /* it is lost for both */
        fail(child, "the reason names no error of CUDA: %s", reason);
    else if (strncmp(child->function, "cupti", 5) == 0 || is_of(child, "nvml"))
        fail(child, "what is optional ended the run: %s", reason);
}

static int judge_record(const struct child *child, const json_t *usual)
{
    static const int statuses[N_ENDS] = { -1, 0, 0, 1, 3, 3 };
    json_t *record = json_loads(texts[0], JSON_REJECT_DUPLICATES, NULL);
    const char *state = text_of(record, "state");
    int end = ENDS_OK;
    while (end < N_ENDS && strcmp(state, ends[end]) != 0)
        end++;
    if (!is_one_line(texts[0]) || record == NULL || end == N_ENDS) {
        fail(child, "no record of one line: %.200s", texts[0]);
        end = ENDS_ERROR;
    } else if (child->status != statuses[end]) {
        fail(child, "exit status %d of a record that is %s", child->status, state);
    } else if (end == ENDS_OK) {
        compare(child, record, usual);
        compare_capture(child, record, usual);
        compare_sensors(child, record, usual);
    } else if (end == ENDS_LOWER_BOUND) {
        if (text_of(record, "reason")[0] == '\0' || strncmp(child->function, "cupti", 5) != 0)
            fail(child, "a lower bound: %s", text_of(record, "reason"));
    } else {
        judge_reason(child, text_of(record, "reason"), end);
    }
    json_decref(record);
    return end;
}

static int judge_refusal(const struct child *child)
{
    if (child->status != 2 && child->status != 3)
        fail(child, "exit status %d", child->status);
    else if (!is_one_line(texts[1]) || strncmp(texts[1], "vrambench: error: ", 18) != 0)
        fail(child, "not refused in one line: %.400s", texts[1]);
    else
        judge_reason(child, texts[1], ENDS_REFUSED);
    return ENDS_REFUSED;
}

static void judge_child(const char *folder, const struct child *child, const json_t *usual)
{
    static const char *const endings[] = { "out", "err", "log" };
    unsigned i = 0;
    for (int k = 0; k < 3; k++)
        read_text(folder, child, endings[k], texts[k]);
    while (i < n_rows && strcmp(rows[i].function, child->function) != 0)
        i++;
    if (i == MOST_FUNCTIONS)
        abort();
    if (i == n_rows)
        (void)snprintf(rows[n_rows++].function, sizeof rows[i].function, "%s", child->function);
    if (child->signal != 0)
        fail(child, "ended by signal %d: %.400s", child->signal, texts[1]);
    else if (strstr(texts[1], "Sanitizer") != NULL || strstr(texts[1], "runtime error") != NULL)
        fail(child, "%.1500s", texts[1]);
    if (texts[2][0] != '\0')
        fail(child, "the stand-ins say: %.400s", texts[2]);
    if (child->signal != 0)
        return;
    const int end = texts[0][0] != '\0' ? judge_record(child, usual) : judge_refusal(child);
    rows[i].n[end]++;
    if (end != ENDS_REFUSED && texts[1][0] != '\0' && strstr(texts[1], "Sanitizer") == NULL)
        fail(child, "a record and on stderr: %.300s", texts[1]);
}

static void print_rows(void)
{
    printf("%-42s", "calls that failed");
    for (int k = 0; k < N_ENDS; k++)
        printf("%12s", ends[k]);
    printf("\n");
    for (unsigned i = 0; i < n_rows; i++) {
        printf("%-42s", rows[i].function);
        for (int k = 0; k < N_ENDS; k++)
            printf("%12u", rows[i].n[k]);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    char path[4096];
    struct child child = { 0 };
    unsigned n = 0;
    double seconds = 0;
    is_idle = argc == 4 && strcmp(argv[3], "idle") == 0;
    if (argc != 3 && !is_idle)
        return 2;
    json_t *usual = json_load_file(argv[2], 0, NULL);
    (void)snprintf(path, sizeof path, "%s/calls", argv[1]);
    FILE *calls = fopen(path, "r");
    for (int k = 0; k < 3; k++)
        texts[k] = calloc(1, MOST_TEXT);
    if (usual == NULL || calls == NULL || strcmp(text_of(usual, "state"), "ok") != 0 ||
        texts[0] == NULL || texts[1] == NULL || texts[2] == NULL) {
        printf("FAILED: no walk in %s, or its own run was not ok\n", argv[1]);
        return 1;
    }
    while (fscanf(calls, "%llu %63s %llu %d %d %d %lf", &child.n, child.function, &child.nth,
                  &child.injected, &child.status, &child.signal, &child.seconds) == 7) {
        judge_child(argv[1], &child, usual);
        seconds += child.seconds;
        n++;
    }
    (void)fclose(calls);
    print_rows();
    printf("%u calls of %u functions failed in a process each, %.0f s of them; %u faults\n", n,
           n_rows, seconds, n_faults);
    json_decref(usual);
    for (int k = 0; k < 3; k++)
        free(texts[k]);
    return n_faults > 0 || n == 0;
}
