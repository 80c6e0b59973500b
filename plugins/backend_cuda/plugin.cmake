# CUDA's runtime is linked in, so that the plugin loads, and can say what is missing, where no CUDA is installed; cuDNN and
# cuBLASLt are opened at run time (kernels/cuda/cuda_calls.c).
target_include_directories(${plugin} PRIVATE ${CMAKE_SOURCE_DIR}/kernels/cuda)
target_include_directories(${plugin} SYSTEM PRIVATE ${DRIFT_CUDA_INCLUDE_DIR})
set_target_properties(${plugin} PROPERTIES CUDA_VISIBILITY_PRESET hidden CUDA_RUNTIME_LIBRARY Static LINKER_LANGUAGE C)
target_link_libraries(${plugin} PRIVATE CUDA::cudart_static ${CMAKE_DL_LIBS} Threads::Threads rt stdc++)
# The runtime leaves handlers for the end of the program.
target_link_options(${plugin} PRIVATE -Wl,-z,nodelete)
