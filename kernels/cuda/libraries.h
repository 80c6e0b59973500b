/* libraries.h: cuDNN and cuBLASLt as the backend opens and closes them. */
#ifndef DRIFT_CUDA_LIBRARIES_H
#define DRIFT_CUDA_LIBRARIES_H

#include "cuda_backend.h"

dr_cudnn *dr_cudnn_open(cuda *c); /* NULL after dr_fail */
void dr_cudnn_close(dr_cudnn *d); /* NULL is fine */
dr_cublaslt *dr_cublaslt_open(cuda *c);
void dr_cublaslt_close(dr_cublaslt *b);

#endif
