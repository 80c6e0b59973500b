/* cuda_calls.c: where the calls' addresses come from. The runtime's are linked; cuDNN and cuBLASLt are looked for in
 * $DRIFT_CUDA_LIBRARIES (folders, FOLDER:FOLDER), then by the system's loader, then in pip's wheels: the folders
 * nvidia/.../lib in $VIRTUAL_ENV, in the site-packages of python3, and beside the plugin. */
#include "cuda_backend.h"
#include "cuda_calls.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static dr_cuda_calls table = {
#define DR_CUDA_ADDRESS_(name) .name = name,
    DR_CUDA_RUNTIME_CALLS(DR_CUDA_ADDRESS_)
#undef DR_CUDA_ADDRESS_
};

dr_cuda_calls *dr_cuda_calls_table(void) { return &table; }

/* Where pip puts NVIDIA's libraries, as patterns for glob. */
static const char *const wheels[] = {
    "%s/lib/python3*/site-packages/nvidia/*/lib/%s",
    "%s/lib/python3*/dist-packages/nvidia/*/lib/%s",
    "%s/local/lib/python3*/dist-packages/nvidia/*/lib/%s",
    "%s/lib64/python3*/site-packages/nvidia/*/lib/%s",
};

static void *open_matching(const char *pattern)
{
    glob_t found;
    void *library = NULL;
    if (glob(pattern, 0, NULL, &found) != 0) return NULL;
    for (size_t i = 0; i < found.gl_pathc && !library; i++) library = dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_GLOBAL);
    globfree(&found);
    return library;
}

static void *open_in_wheels(const char *root, const char *name)
{
    char pattern[1024];
    for (size_t i = 0; i < sizeof wheels / sizeof *wheels && root && *root; i++) {
        snprintf(pattern, sizeof pattern, wheels[i], root, name);
        void *library = open_matching(pattern);
        if (library) return library;
    }
    return NULL;
}

static void *open_in_folders(const char *folders, const char *name)
{
    char path[1024];
    while (folders && *folders) {
        const size_t length = strcspn(folders, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)length, folders, name);
        void *library = open_matching(path);
        if (library) return library;
        folders += length + (folders[length] == ':');
    }
    return NULL;
}

/* Later libraries find earlier ones by their name, wherever those came from. */
static void *open_library(const char *name)
{
    char user[512] = "";
    if (getenv("HOME")) snprintf(user, sizeof user, "%s/.local", getenv("HOME"));
    void *library = open_in_folders(getenv("DRIFT_CUDA_LIBRARIES"), name);
    if (!library) library = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
    if (!library) library = open_in_folders("/usr/local/cuda/lib64", name);
    if (!library) library = open_in_wheels(getenv("VIRTUAL_ENV"), name);
    if (!library) library = open_in_wheels(user, name);
    if (!library) library = open_in_wheels("/usr/local", name);
    if (!library) library = open_in_wheels("/usr", name);
    return library;
}

static void *open_first(const char *const *names)
{
    void *library = NULL;
    for (int i = 0; names[i] && !library; i++) library = open_library(names[i]);
    return library;
}

typedef struct wanted {
    const char *name;
    void **to;
} wanted;

static dr_status find_all(void *library, const char *what, const wanted *list)
{
    for (; list->name; list++) {
        *list->to = dlsym(library, list->name);
        if (!*list->to) {
            return dr_fail(DR_EUNSUPPORTED, "backend cuda: %s is too old: it has no %s", what, list->name);
        }
    }
    return DR_OK;
}

#define DR_CUDA_WANTED_(f) { #f, (void **)&calls->f },

dr_status dr_cuda_open_libraries(dr_cuda_calls *calls)
{
    static const char *const cublaslt[] = { "libcublasLt.so.13", "libcublasLt.so.12", NULL };
    static const char *const cudnn[] = { "libcudnn.so.9", NULL };
    static const char *const nvrtc[] = { "libnvrtc.so.13", "libnvrtc.so.12", NULL };
    if (calls->cudnnCreate) return DR_OK;
    void *products = open_first(cublaslt);
    if (!products) {
        return dr_fail(DR_EUNSUPPORTED, "backend cuda: libcublasLt.so.13 (or .12) is not there. It comes with the CUDA toolkit, or: pip install "
                                        "nvidia-cublas; DRIFT_CUDA_LIBRARIES=FOLDER says where it lies");
    }
    (void)open_first(nvrtc); /* cuDNN compiles fused graphs with it, where it is there */
    void *convolutions = open_first(cudnn);
    if (!convolutions) {
        return dr_fail(DR_EUNSUPPORTED, "backend cuda: libcudnn.so.9 is not there. Debian's and NVIDIA's packages have it, or: pip install "
                                        "nvidia-cudnn-cu13; DRIFT_CUDA_LIBRARIES=FOLDER says where it lies");
    }
    const wanted of_cublaslt[] = { DR_CUBLASLT_CALLS(DR_CUDA_WANTED_){ NULL, NULL } };
    const wanted of_cudnn[] = { DR_CUDNN_CALLS(DR_CUDA_WANTED_){ NULL, NULL } };
    if (find_all(products, "cuBLASLt", of_cublaslt) != DR_OK) return dr_failed();
    return find_all(convolutions, "cuDNN", of_cudnn);
}
