/* cpu_bf16_matches_ref.c: every op that cpu has a kernel for in bf16, on all its cases: bf16_matches_ref.c. */
#include "matches_ref.h"

int main(void) { return run_bf16_tests(&cpu, open_both); }
