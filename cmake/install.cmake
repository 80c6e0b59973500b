# cmake --install BUILD --prefix PREFIX: an installation that finds everything from the program's own place
# (core/installation.c), so that it may be moved as a whole:
#
#   PREFIX/bin/drift, drift-check         PREFIX/include/drift/          headers of plugins
#   PREFIX/lib/drift/plugins/*.so         PREFIX/lib/pkgconfig/drift.pc
#   PREFIX/share/drift/                   the home: lua/, docs/, plugins/template, the scripts by which plugins fetch
#                                         data, and the small MNIST that is used where the whole is not to be had
#   PREFIX/lib/drift/libdnnl.so.3         where oneDNN is not the system's
foreach(program drift drift_check)
    if(TARGET ${program})
        install(TARGETS ${program} RUNTIME DESTINATION bin)
    endif()
endforeach()
foreach(name IN LISTS plugin_names)
    install(TARGETS plugin_${name} LIBRARY DESTINATION lib/drift/plugins)
endforeach()
get_target_property(onednn_file drift::dnnl IMPORTED_LOCATION)
if(onednn_file AND TARGET plugin_backend_cpu)
    get_filename_component(onednn_whole ${onednn_file} REALPATH)
    get_filename_component(onednn_name ${onednn_file} NAME)
    install(FILES ${onednn_whole} DESTINATION lib/drift RENAME ${onednn_name})
    set_target_properties(plugin_backend_cpu PROPERTIES INSTALL_RPATH "$ORIGIN/..")
endif()

install(DIRECTORY core/include/drift DESTINATION include)
install(DIRECTORY lua/drift DESTINATION share/drift/lua)
install(DIRECTORY docs/ DESTINATION share/drift/docs PATTERN decisions EXCLUDE)
install(DIRECTORY plugins/template DESTINATION share/drift/plugins)
file(GLOB fetchers CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} plugins/*/*.py)
foreach(fetcher IN LISTS fetchers)
    get_filename_component(folder ${fetcher} DIRECTORY)
    install(PROGRAMS ${fetcher} DESTINATION share/drift/${folder})
endforeach()
install(DIRECTORY tests/data/mnist DESTINATION share/drift/tests/data)

set(DRIFT_VERSION 0)
if(EXISTS ${CMAKE_SOURCE_DIR}/core/drift.h)
    file(STRINGS ${CMAKE_SOURCE_DIR}/core/drift.h version REGEX "^#define DR_VERSION ")
    string(REGEX REPLACE ".*\"(.*)\".*" "\\1" DRIFT_VERSION "${version}")
endif()
configure_file(cmake/drift.pc.in ${CMAKE_BINARY_DIR}/drift.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/drift.pc DESTINATION lib/pkgconfig)
