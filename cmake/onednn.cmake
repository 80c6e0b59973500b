# drift::dnnl: oneDNN with its v3 C API. The system's where it has one (Debian 12 has 2.6), else the pinned wheels that
# get_onednn.sh fetches once into the user's cache and links into the build folder.
find_package(dnnl 3 CONFIG QUIET)
if(dnnl_FOUND)
    message(STATUS "oneDNN: the system's, ${dnnl_VERSION}")
    add_library(drift_dnnl INTERFACE)
    target_link_libraries(drift_dnnl INTERFACE DNNL::dnnl)
    add_library(drift::dnnl ALIAS drift_dnnl)
    return()
endif()

set(onednn ${CMAKE_BINARY_DIR}/onednn)
execute_process(COMMAND sh ${CMAKE_CURRENT_LIST_DIR}/get_onednn.sh ${onednn} RESULT_VARIABLE status)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "oneDNN 3 is not there (see above)")
endif()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/get_onednn.sh)
message(STATUS "oneDNN: ${onednn}")
add_library(drift::dnnl SHARED IMPORTED GLOBAL)
set_target_properties(drift::dnnl PROPERTIES
    IMPORTED_LOCATION ${onednn}/lib/libdnnl.so.3
    IMPORTED_SONAME libdnnl.so.3
    INTERFACE_INCLUDE_DIRECTORIES ${onednn}/include)
