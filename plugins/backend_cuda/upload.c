/* upload.c: copies that the host does not wait for. What goes to the device is put into a ring of pinned pieces, one copy
 * behind the other; when a piece is full an event says when all of it has left. What comes back lies in a pinned cell
 * until it is read. */
#include "upload.h"

#include <stdlib.h>
#include <string.h>

enum { PIECES = 8, PIECE = 1 << 20, ALIGN = 256, CELL = 64 };

typedef struct reading {
    cudaEvent_t arrived;
    void *cell; /* pinned */
    size_t bytes;
    struct reading *next;
} reading;

struct dr_cuda_upload {
    cuda *cuda;
    char *piece[PIECES]; /* pinned */
    cudaEvent_t left[PIECES];
    bool used[PIECES];  /* left[i] has been recorded, and not waited for */
    int at;             /* the piece that is being filled, */
    size_t filled;      /* and how far */
    reading *idle;
};

void dr_cuda_upload_close(dr_cuda_upload *u)
{
    if (!u) return;
    const dr_cuda_calls *f = u->cuda->calls;
    for (int i = 0; i < PIECES; i++) {
        if (u->piece[i]) f->cudaFreeHost(u->piece[i]);
        if (u->left[i]) f->cudaEventDestroy(u->left[i]);
    }
    while (u->idle) {
        reading *r = u->idle;
        u->idle = r->next;
        f->cudaEventDestroy(r->arrived);
        f->cudaFreeHost(r->cell);
        free(r);
    }
    free(u);
}

dr_cuda_upload *dr_cuda_upload_open(cuda *c)
{
    const dr_cuda_calls *f = c->calls;
    dr_cuda_upload *u = calloc(1, sizeof *u);
    if (!u) {
        dr_fail(DR_ENOMEM, "backend cuda: out of memory");
        return NULL;
    }
    u->cuda = c;
    for (int i = 0; i < PIECES; i++) {
        void *memory = NULL;
        cudaError_t error = f->cudaHostAlloc(&memory, PIECE, cudaHostAllocPortable);
        u->piece[i] = memory;
        if (error == cudaSuccess) error = f->cudaEventCreateWithFlags(&u->left[i], cudaEventDisableTiming);
        if (dr_cuda_error(c, error, "backend cuda: pinned memory") == DR_OK) continue;
        dr_cuda_upload_close(u);
        return NULL;
    }
    return u;
}

/* ---- to the device ------------------------------------------------------------------------------------------------ */

static dr_status copy_into_graph(cuda *c, void *to, const void *from, size_t bytes)
{
    void *kept = dr_cuda_graph_memory(c, bytes);
    if (!kept) return dr_failed();
    memcpy(kept, from, bytes);
    return dr_cuda_error(c, c->calls->cudaMemcpyAsync(to, kept, bytes, cudaMemcpyHostToDevice, c->stream),
                         "a copy to the device");
}

/* The next piece, when what it held has left. */
static cudaError_t turn(dr_cuda_upload *u)
{
    const dr_cuda_calls *f = u->cuda->calls;
    cudaError_t error = f->cudaEventRecord(u->left[u->at], u->cuda->stream);
    u->used[u->at] = error == cudaSuccess;
    u->at = (u->at + 1) % PIECES;
    u->filled = 0;
    if (error != cudaSuccess || !u->used[u->at]) return error;
    u->used[u->at] = false;
    if (f->cudaEventQuery(u->left[u->at]) == cudaSuccess) return cudaSuccess;
    (void)f->cudaGetLastError(); /* not yet */
    return f->cudaEventSynchronize(u->left[u->at]);
}

static dr_status copy_piece(dr_cuda_upload *u, char *to, const char *from, size_t bytes)
{
    const dr_cuda_calls *f = u->cuda->calls;
    cudaError_t error = u->filled + bytes > PIECE ? turn(u) : cudaSuccess;
    if (error == cudaSuccess) {
        char *pinned = u->piece[u->at] + u->filled;
        memcpy(pinned, from, bytes);
        u->filled += (bytes + ALIGN - 1) / ALIGN * ALIGN;
        error = f->cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice, u->cuda->stream);
    }
    return dr_cuda_error(u->cuda, error, "a copy to the device");
}

dr_status dr_cuda_upload_copy(dr_cuda_upload *u, void *to, const void *from, size_t bytes)
{
    if (u->cuda->capturing) return copy_into_graph(u->cuda, to, from, bytes);
    for (size_t done = 0; done < bytes;) {
        const size_t n = bytes - done < PIECE ? bytes - done : PIECE;
        if (copy_piece(u, (char *)to + done, (const char *)from + done, n) != DR_OK) return dr_failed();
        done += n;
    }
    return DR_OK;
}

/* ---- to the host -------------------------------------------------------------------------------------------------- */

static reading *new_reading(cuda *c)
{
    reading *r = calloc(1, sizeof *r);
    if (!r) {
        dr_fail(DR_ENOMEM, "backend cuda: out of memory");
        return NULL;
    }
    cudaError_t error = c->calls->cudaHostAlloc(&r->cell, CELL, cudaHostAllocPortable);
    if (error == cudaSuccess) error = c->calls->cudaEventCreateWithFlags(&r->arrived, cudaEventDisableTiming);
    if (dr_cuda_error(c, error, "backend cuda: pinned memory") == DR_OK) return r;
    if (r->cell) c->calls->cudaFreeHost(r->cell);
    free(r);
    return NULL;
}

void *dr_cuda_read_begin(void *self, const void *from, size_t bytes)
{
    cuda *c = self;
    reading *r = c->upload->idle;
    if (bytes > CELL) {
        dr_fail(DR_EINVAL, "backend cuda: %zu bytes are too many to be read later", bytes);
        return NULL;
    }
    if (r) c->upload->idle = r->next;
    else if (!(r = new_reading(c))) return NULL;
    r->bytes = bytes;
    cudaError_t error = c->calls->cudaMemcpyAsync(r->cell, from, bytes, cudaMemcpyDeviceToHost, c->stream);
    if (error == cudaSuccess) error = c->calls->cudaEventRecord(r->arrived, c->stream);
    if (dr_cuda_error(c, error, "a copy to the host") == DR_OK) return r;
    r->next = c->upload->idle;
    c->upload->idle = r;
    return NULL;
}

dr_status dr_cuda_read_end(void *self, void *handle, void *to)
{
    cuda *c = self;
    reading *r = handle;
    dr_status status = dr_cuda_error(c, c->calls->cudaEventSynchronize(r->arrived), "a copy to the host");
    if (status == DR_OK && to) memcpy(to, r->cell, r->bytes);
    r->next = c->upload->idle;
    c->upload->idle = r;
    return status == DR_OK ? dr_cuda_read_complaint(c) : status;
}
