# cmake -DFROM=NAME.cu -DTO=NAME.cpp -P emulated_source.cmake: the same text for a C++ compiler, with its kernels static: then
# the static memory in a kernel that is a template is of this file alone, and AddressSanitizer guards its ends.
file(READ ${FROM} text)
string(REPLACE "static __global__" "__global__" text "${text}")
string(REPLACE "__global__" "static __global__" text "${text}")
file(WRITE ${TO} "#line 1 \"${FROM}\"\n${text}")
