# The kernels of ref, one of which it will spoil.
file(GLOB ref_kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/ref/*.c)
target_sources(${plugin} PRIVATE ${ref_kernels})
target_include_directories(${plugin} PRIVATE ${CMAKE_SOURCE_DIR}/kernels/ref)
