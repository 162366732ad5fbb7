/* SPDX-License-Identifier: Apache-2.0 */
#include "libraries.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct libraries on;

#define NAME(name) #name
#define SYMBOL(name) { NAME(name), offsetof(struct libraries, name) },
struct symbol {
    const char *name;
    size_t where;
};
static const struct symbol cuda[] = { CUDA_FUNCTIONS(SYMBOL){ NULL, 0 } };
static const struct symbol cupti[] = { CUPTI_FUNCTIONS(SYMBOL){ NULL, 0 } };
static const struct symbol cudnn[] = { CUDNN_FUNCTIONS(SYMBOL){ NULL, 0 } };
static const struct symbol nvml[] = { NVML_FUNCTIONS(SYMBOL){ NULL, 0 } };
static const struct {
    const char *file;
    const struct symbol *symbols;
} files[] = { { "libcuda.so.1", cuda },
              { "libcupti.so.13", cupti },
              { "libcudnn.so.9", cudnn },
              { "libnvidia-ml.so.1", nvml } };

static void open_all(const char *folder)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i].file);
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL, "%s", dlerror());
        for (const struct symbol *at = files[i].symbols; at->name != NULL; at++) {
            void *address = dlsym(library, at->name);
            CHECK(address != NULL, "%s: no %s", path, at->name);
            memcpy((char *)&on + at->where, &address, sizeof address);
        }
    }
}

CUstream start(void)
{
    CUcontext context = NULL;
    CUstream stream = NULL;
    CHECK(on.cuInit(0) == CUDA_SUCCESS);
    CHECK(on.cuDevicePrimaryCtxRetain(&context, 0) == CUDA_SUCCESS);
    CHECK(on.cuCtxSetCurrent(context) == CUDA_SUCCESS);
    CHECK(on.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS);
    return stream;
}

void stop(CUstream stream)
{
    CHECK(on.cuStreamDestroy(stream) == CUDA_SUCCESS);
    CHECK(on.cuCtxSetCurrent(NULL) == CUDA_SUCCESS);
    CHECK(on.cuDevicePrimaryCtxRelease(0) == CUDA_SUCCESS);
}

/* Every line is one that the case expects, and each of those is there. */
static bool check_log(const char *path, const struct test_case *test)
{
    bool seen[MAX_LINES] = { false }, is_right = true;
    char line[1024];
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        bool is_known = false;
        for (int i = 0; i < MAX_LINES && test->lines[i] != NULL; i++) {
            const bool is_it = strstr(line, test->lines[i]) != NULL;
            seen[i] = seen[i] || is_it;
            is_known = is_known || is_it;
        }
        if (!is_known)
            (void)fprintf(stderr, "%s: the log has: %s", test->law, line);
        is_right = is_right && is_known;
    }
    if (file != NULL)
        (void)fclose(file);
    for (int i = 0; i < MAX_LINES && test->lines[i] != NULL; i++) {
        if (!seen[i])
            (void)fprintf(stderr, "%s: the log has no: %s\n", test->law, test->lines[i]);
        is_right = is_right && seen[i];
    }
    return is_right;
}

/* "NAME=value" */
static void set(const char *setting)
{
    char name[64];
    const size_t length = strcspn(setting, "=");
    CHECK(length < sizeof name && setting[length] == '=');
    (void)snprintf(name, sizeof name, "%.*s", (int)length, setting);
    CHECK(setenv(name, setting + length + 1, 1) == 0);
}

static bool run_case(const char *folder, const struct test_case *test)
{
    char log[64];
    int status = 0;
    (void)snprintf(log, sizeof log, "/tmp/vrambench_emulated_%d.log", (int)getpid());
    (void)unlink(log);
    (void)fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)setenv("VRAMBENCH_EMULATED_LOG", log, 1);
        for (int i = 0; i < MAX_SETTINGS && test->settings[i] != NULL; i++)
            set(test->settings[i]);
        open_all(folder);
        test->run();
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    const bool is_right = check_log(log, test) && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    (void)unlink(log);
    (void)printf("%s: %s\n", is_right ? "ok" : "FAILED", test->law);
    return is_right;
}

int run_cases(const char *folder, const struct test_case *cases, size_t n)
{
    int failed = 0;
    for (size_t i = 0; i < n; i++)
        failed += !run_case(folder, &cases[i]);
    return failed;
}
