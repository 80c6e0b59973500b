/* cuda_calls.h: every function of CUDA's runtime, cuDNN and cuBLASLt that Drift calls, as one table. The runtime is
 * linked in and works without a driver, far enough to say that there is none; cuDNN and cuBLASLt are opened when a
 * device is, so that the plugin loads where they are missing. A test puts a table of its own in this one's place.
 * CUDA C launches kernels with <<<>>>, which is the one call that does not come through here (see cuda_kernel.h). */
#ifndef DRIFT_CUDA_CALLS_H
#define DRIFT_CUDA_CALLS_H

#include "cuda_backend.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#define DR_CUDA_RUNTIME_CALLS(CALL) \
    CALL(cudaGetDeviceCount) CALL(cudaSetDevice) CALL(cudaGetDeviceProperties) CALL(cudaDriverGetVersion) \
    CALL(cudaRuntimeGetVersion) CALL(cudaMemGetInfo) CALL(cudaMalloc) CALL(cudaFree) CALL(cudaHostAlloc) CALL(cudaFreeHost) \
    CALL(cudaMemcpyAsync) CALL(cudaMemsetAsync) \
    CALL(cudaStreamCreateWithFlags) CALL(cudaStreamDestroy) CALL(cudaStreamSynchronize) CALL(cudaStreamWaitEvent) \
    CALL(cudaEventCreateWithFlags) CALL(cudaEventDestroy) CALL(cudaEventRecord) CALL(cudaEventQuery) \
    CALL(cudaEventSynchronize) CALL(cudaEventElapsedTime) \
    CALL(cudaStreamBeginCapture) CALL(cudaStreamEndCapture) CALL(cudaGraphInstantiate) CALL(cudaGraphLaunch) \
    CALL(cudaGraphExecDestroy) CALL(cudaGraphDestroy) CALL(cudaGraphGetNodes) \
    CALL(cudaGetLastError) CALL(cudaPeekAtLastError) CALL(cudaGetErrorName) CALL(cudaGetErrorString)

#define DR_CUDNN_CALLS(CALL) \
    CALL(cudnnGetVersion) CALL(cudnnGetErrorString) CALL(cudnnGetLastErrorString) CALL(cudnnCreate) CALL(cudnnDestroy) \
    CALL(cudnnSetStream) CALL(cudnnBackendCreateDescriptor) CALL(cudnnBackendDestroyDescriptor) \
    CALL(cudnnBackendSetAttribute) CALL(cudnnBackendGetAttribute) CALL(cudnnBackendFinalize) CALL(cudnnBackendExecute)

#define DR_CUBLASLT_CALLS(CALL) \
    CALL(cublasLtGetVersion) CALL(cublasLtGetStatusString) CALL(cublasLtCreate) CALL(cublasLtDestroy) CALL(cublasLtMatmul) \
    CALL(cublasLtMatmulDescCreate) CALL(cublasLtMatmulDescDestroy) CALL(cublasLtMatmulDescSetAttribute) \
    CALL(cublasLtMatrixLayoutCreate) CALL(cublasLtMatrixLayoutDestroy) CALL(cublasLtMatrixLayoutSetAttribute) \
    CALL(cublasLtMatmulPreferenceCreate) CALL(cublasLtMatmulPreferenceDestroy) \
    CALL(cublasLtMatmulPreferenceSetAttribute) CALL(cublasLtMatmulAlgoGetHeuristic)

typedef struct dr_cuda_calls {
#define DR_CUDA_CALL_(name) __typeof__(&name) name;
    DR_CUDA_RUNTIME_CALLS(DR_CUDA_CALL_)
    DR_CUDNN_CALLS(DR_CUDA_CALL_)      /* NULL until dr_cuda_open_libraries() */
    DR_CUBLASLT_CALLS(DR_CUDA_CALL_)
#undef DR_CUDA_CALL_
} dr_cuda_calls;

/* The table, with the runtime's part filled in. Never NULL, never freed. */
dr_cuda_calls *dr_cuda_calls_table(void);

/* Opens cuDNN 9 and cuBLASLt, from where the system's loader finds them or from the folders of pip's wheels, and fills in
 * their parts. Fails with DR_EUNSUPPORTED and a message that says what is missing and how to get it. */
dr_status dr_cuda_open_libraries(dr_cuda_calls *calls);

#endif
