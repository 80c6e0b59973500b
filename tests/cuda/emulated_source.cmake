# cmake -DFROM=NAME.cu -DTO=NAME.cpp -P emulated_source.cmake: the same text, for a C++ compiler. emulated.h makes static what
# is __global__, so that the static memory in it is of this file alone, which AddressSanitizer asks for; some says so itself.
file(READ ${FROM} text)
string(REPLACE "static __global__" "__global__" text "${text}")
file(WRITE ${TO} "#line 1 \"${FROM}\"\n${text}")
