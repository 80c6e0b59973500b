/* cudnn_graph.c: being written. */
#include "libraries.h"
dr_cudnn *dr_cudnn_open(cuda *c) { return (dr_cudnn *)c; }
void dr_cudnn_close(dr_cudnn *d) { (void)d; }
