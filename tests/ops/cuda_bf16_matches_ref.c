/* cuda_bf16_matches_ref.c: every op that cuda has a kernel for in bf16, on all its cases: bf16_matches_ref.c.
 * label: cuda */
#include "matches_ref.h"

int main(void) { return there_is_cuda() ? run_bf16_tests(&cuda, open_ref_and_cuda) : 77; }
