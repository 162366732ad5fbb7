/* SPDX-License-Identifier: Apache-2.0 */
#include "device/cudnn_library.h"

#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "config.h"

#define LIBRARY_NAME "libcudnn.so.9"
/* Where a wheel puts it, below what Python calls its prefix. */
#define WHEEL_PATTERN "lib/python3*/*-packages/nvidia/cudnn/lib/" LIBRARY_NAME

/* Each function that is called, and where its address goes. All are required: each has been in
 * every release of cuDNN 9. */
static const struct symbol {
    const char *name;
    size_t where;
} symbols[] = {
    { "cudnnGetVersion", offsetof(struct vb_cudnn, get_version) },
    { "cudnnGetLastErrorString", offsetof(struct vb_cudnn, get_last_error) },
    { "cudnnBackendCreateDescriptor", offsetof(struct vb_cudnn, create) },
    { "cudnnBackendDestroyDescriptor", offsetof(struct vb_cudnn, destroy) },
    { "cudnnBackendFinalize", offsetof(struct vb_cudnn, finalize) },
    { "cudnnBackendSetAttribute", offsetof(struct vb_cudnn, set) },
    { "cudnnBackendGetAttribute", offsetof(struct vb_cudnn, get) },
    { "cudnnCreate", offsetof(struct vb_cudnn, create_handle) },
    { "cudnnDestroy", offsetof(struct vb_cudnn, destroy_handle) },
    { "cudnnSetStream", offsetof(struct vb_cudnn, set_stream) },
    { "cudnnBackendExecute", offsetof(struct vb_cudnn, execute) },
};

bool vb_cudnn_allowed(void)
{
    const char *choice = getenv("VRAMBENCH_CUDNN");
    return choice == NULL || strcmp(choice, "off") != 0;
}

uint64_t vb_cudnn_surroundings(void)
{
    static const char *const variables[] = { "VRAMBENCH_CUDA_LIBS", "LD_LIBRARY_PATH", "PATH",
                                             "HOME" };
    static const char *const files[] = { "/etc/ld.so.cache", VB_CUDA_LIBRARY_DIR,
                                         VB_SOURCE_DIR "/.venv" };

    uint64_t hash = vb_hash(VB_HASH_START, VB_CUDA_LIBRARY_DIR, sizeof VB_CUDA_LIBRARY_DIR);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        hash = vb_hash(hash, value != NULL ? "=" : "-", 1);
        if (value != NULL)
            hash = vb_hash(hash, value, strlen(value) + 1);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct stat info;
        if (stat(files[i], &info) == 0)
            hash = vb_hash(hash, &info.st_mtim.tv_sec, sizeof info.st_mtim.tv_sec);
    }
    return hash;
}

/* Loads `folder`/`name`; false where it is not there or does not load. */
static bool load_beside(const char *folder, const char *name)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path &&
           access(path, F_OK) == 0 && dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE) != NULL;
}

/* cuDNN loads its own parts by their names when it first needs them, and the loader would take
 * those of another version that LD_LIBRARY_PATH names. A part that is loaded already is taken
 * instead. Each is below those that it needs. */
static void load_parts(const char *folder)
{
    static const char *const parts[] = { "libcudnn_graph.so.9",
                                         "libcudnn_ops.so.9",
                                         "libcudnn_cnn.so.9",
                                         "libcudnn_heuristic.so.9",
                                         "libcudnn_engines_precompiled.so.9",
                                         "libcudnn_engines_runtime_compiled.so.9" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        (void)load_beside(folder, parts[i]);
}

/* Loads what cuDNN looks for by `name`: from beside it, where a wheel has it, by the loader, from
 * the CUDA Toolkit of the build. */
static bool load_companion(const struct vb_cudnn *cudnn, const char *name)
{
    static const char *const places[] = { "", "/../../cublas/lib", "/../../cuda_nvrtc/lib",
                                          "/../../cu13/lib" };
    char place[PATH_MAX + 32];
    const char *slash = strrchr(cudnn->path, '/');
    for (size_t i = 0; i < sizeof places / sizeof *places && slash != NULL; i++) {
        (void)snprintf(place, sizeof place, "%.*s%s", (int)(slash - cudnn->path), cudnn->path,
                       places[i]);
        if (load_beside(place, name))
            return true;
    }
    return dlopen(name, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE) != NULL ||
           load_beside(VB_CUDA_LIBRARY_DIR, name);
}

/* The libraries of the CUDA version that cuDNN was built for. It ends the process where it does not
 * find cuBLASLt. NVRTC it loads and unloads again within many of its answers, three fifths of all
 * their time, unless it is there already; without one it answers all the same. */
static enum vb_status load_companions(const struct vb_cudnn *cudnn, struct vb_error *err)
{
    size_t (*get_cuda_version)(void) = NULL;
    void *address = dlsym(cudnn->handle, "cudnnGetCudartVersion");
    char cublas[64], nvrtc[64];
    if (address == NULL)
        return VB_OK;
    memcpy(&get_cuda_version, &address, sizeof address);
    const size_t cuda = get_cuda_version() / 1000;
    (void)snprintf(cublas, sizeof cublas, "libcublasLt.so.%zu", cuda);
    (void)snprintf(nvrtc, sizeof nvrtc, "libnvrtc.so.%zu", cuda);
    if (!load_companion(cudnn, cublas))
        return vb_fail(
            err, VB_E_UNSUPPORTED,
            "%.300s: needs %s, which is not there; 'pip install nvidia-cublas%s' brings it",
            cudnn->path, cublas, cuda == 12 ? "-cu12" : "");
    (void)load_companion(cudnn, nvrtc);
    return VB_OK;
}

/* Opens one file and takes the functions from it. `status` of a file that is not there is
 * UNSUPPORTED with whatever text was in `err` before, so that the text tells of the file that was
 * there. */
static enum vb_status open_file(const char *path, struct vb_cudnn *out, struct vb_error *err)
{
    struct vb_cudnn cudnn = { 0 };

    /* NODELETE: cuDNN starts threads and registers handlers that outlive dlclose(). */
    cudnn.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (cudnn.handle == NULL) {
        const char *why = dlerror();
        if (strchr(path, '/') != NULL && access(path, F_OK) == 0)
            return vb_fail(err, VB_E_UNSUPPORTED, "%s", why != NULL ? why : path);
        return VB_E_UNSUPPORTED;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *address = dlsym(cudnn.handle, symbols[i].name);
        if (address == NULL) {
            (void)dlclose(cudnn.handle);
            return vb_fail(err, VB_E_UNSUPPORTED, "%s: has no function %s; cuDNN 9 is needed", path,
                           symbols[i].name);
        }
        memcpy((char *)&cudnn + symbols[i].where, &address, sizeof address);
    }

    cudnn.version = cudnn.get_version();
    if (cudnn.version / 10000 != 9) {
        (void)dlclose(cudnn.handle);
        return vb_fail(err, VB_E_UNSUPPORTED, "%s: is version %llu; cuDNN 9 is needed", path,
                       (unsigned long long)cudnn.version);
    }

    /* The file itself, behind links and the loader's path. */
    Dl_info info;
    void *address = NULL;
    memcpy(&address, &cudnn.get_version, sizeof address);
    char resolved[PATH_MAX];
    const char *file = dladdr(address, &info) != 0 ? info.dli_fname : path;
    (void)snprintf(cudnn.path, sizeof cudnn.path, "%s",
                   realpath(file, resolved) != NULL ? resolved : file);
    enum vb_status status = load_companions(&cudnn, err);
    if (status != VB_OK) {
        (void)dlclose(cudnn.handle);
        return status;
    }
    *out = cudnn;
    return VB_OK;
}

static enum vb_status open_in_folder(const char *folder, struct vb_cudnn *out, struct vb_error *err)
{
    char path[PATH_MAX];
    if (folder == NULL || folder[0] == '\0')
        return VB_E_UNSUPPORTED;
    (void)snprintf(path, sizeof path, "%s/" LIBRARY_NAME, folder);
    return open_file(path, out, err);
}

/* `prefix` is a Python installation's or virtual environment's. */
static enum vb_status open_in_wheel(const char *prefix, struct vb_cudnn *out, struct vb_error *err)
{
    char pattern[2 * PATH_MAX];
    (void)snprintf(pattern, sizeof pattern, "%s/" WHEEL_PATTERN, prefix);

    glob_t found = { 0 };
    enum vb_status status = VB_E_UNSUPPORTED;
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && status != VB_OK; i++)
            status = open_file(found.gl_pathv[i], out, err);
    }
    globfree(&found);
    return status;
}

/* Looks for python3 along PATH, as a shell would, without running it: the first found decides. A
 * virtual environment's python3 is a link, whose own place is the prefix. */
static enum vb_status open_python_on_path(struct vb_cudnn *out, struct vb_error *err)
{
    const char *at = getenv("PATH");
    while (at != NULL && *at != '\0') {
        size_t length = strcspn(at, ":");
        char program[PATH_MAX];
        (void)snprintf(program, sizeof program, "%.*s/python3", (int)length, at);
        at += length + (at[length] == ':');
        if (access(program, X_OK) != 0)
            continue;

        char prefix[PATH_MAX + 8];
        (void)snprintf(prefix, sizeof prefix, "%.*s/..",
                       (int)(strlen(program) - strlen("/python3")), program);
        return open_in_wheel(prefix, out, err);
    }
    return VB_E_UNSUPPORTED;
}

static enum vb_status open_for_user(struct vb_cudnn *out, struct vb_error *err)
{
    char prefix[PATH_MAX];
    const char *home = getenv("HOME");
    if (home == NULL)
        return VB_E_UNSUPPORTED;
    (void)snprintf(prefix, sizeof prefix, "%s/.local", home);
    return open_in_wheel(prefix, out, err);
}

enum vb_status vb_cudnn_open(struct vb_cudnn *out, struct vb_error *err)
{
    if (!vb_cudnn_allowed())
        return vb_fail(err, VB_E_UNSUPPORTED,
                       LIBRARY_NAME ": not used, VRAMBENCH_CUDNN=off says so");

    enum vb_status status =
        vb_fail(err, VB_E_UNSUPPORTED,
                LIBRARY_NAME ": not found in VRAMBENCH_CUDA_LIBS, the loader's "
                             "path, the CUDA Toolkit or Python's packages; 'pip "
                             "install nvidia-cudnn-cu13' brings it");
    status = open_in_folder(getenv("VRAMBENCH_CUDA_LIBS"), out, err);
    if (status != VB_OK)
        status = open_file(LIBRARY_NAME, out, err);
    if (status != VB_OK)
        status = open_in_folder(VB_CUDA_LIBRARY_DIR, out, err);
    if (status != VB_OK)
        status = open_python_on_path(out, err);
    if (status != VB_OK)
        status = open_in_wheel(VB_SOURCE_DIR "/.venv", out, err);
    if (status != VB_OK)
        status = open_for_user(out, err);
    return status;
}

/* The library's file at `path`: itself, in that folder, or in that environment's wheel. */
static bool find_at(const char *path, char *file, size_t room)
{
    static const char *const places[] = { "", "/lib", "/nvidia/cudnn/lib", "/cudnn/lib" };
    struct stat info;
    if (stat(path, &info) != 0)
        return false;
    if (!S_ISDIR(info.st_mode))
        return snprintf(file, room, "%s", path) < (int)room;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        (void)snprintf(file, room, "%s%s/" LIBRARY_NAME, path, places[i]);
        if (access(file, F_OK) == 0)
            return true;
    }
    char pattern[2 * PATH_MAX];
    glob_t found = { 0 };
    (void)snprintf(pattern, sizeof pattern, "%s/" WHEEL_PATTERN, path);
    bool is_there = glob(pattern, 0, NULL, &found) == 0;
    if (is_there)
        (void)snprintf(file, room, "%s", found.gl_pathv[0]);
    globfree(&found);
    return is_there;
}

enum vb_status vb_cudnn_open_at(const char *path, struct vb_cudnn *out, struct vb_error *err)
{
    char file[2 * PATH_MAX];
    char resolved[PATH_MAX];
    if (!find_at(path, file, sizeof file) || realpath(file, resolved) == NULL)
        return vb_fail(err, VB_E_INPUT,
                       "%.300s: no " LIBRARY_NAME
                       " there; expected the file, its folder or a Python environment",
                       path);
    (void)snprintf(file, sizeof file, "%s", resolved);
    *strrchr(resolved, '/') = '\0';
    load_parts(resolved);
    return open_file(file, out, err);
}

void vb_cudnn_close(struct vb_cudnn *cudnn)
{
    if (cudnn->handle != NULL)
        (void)dlclose(cudnn->handle);
    *cudnn = (struct vb_cudnn){ 0 };
}
