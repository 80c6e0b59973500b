# oneDNN for convolutions and products; the kernels are kernels/cpu/*.c (see the CMakeLists.txt above).
target_link_libraries(${plugin} PRIVATE drift::dnnl)
target_include_directories(${plugin} PRIVATE ${CMAKE_SOURCE_DIR}/kernels/cpu)
# OpenMP's threads outlive the last parallel region: unloading its code under them would crash, so it stays loaded.
target_link_options(${plugin} PRIVATE -Wl,-z,nodelete)
