target_link_libraries(${plugin} PRIVATE drift::jansson)
# Without libsentencepiece the components are there and say what is missing when they are opened.
if(DRIFT_HAS_SENTENCEPIECE)
    target_sources(${plugin} PRIVATE ${folder}/library.cc)
    target_compile_definitions(${plugin} PRIVATE DRIFT_HAS_SENTENCEPIECE)
    target_link_libraries(${plugin} PRIVATE PkgConfig::SENTENCEPIECE)
    target_link_options(${plugin} PRIVATE -Wl,-z,nodelete)     # the library registers what runs at exit
    set_target_properties(${plugin} PROPERTIES CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_VISIBILITY_PRESET hidden)
endif()
