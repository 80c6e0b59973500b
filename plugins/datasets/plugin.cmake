target_link_libraries(${plugin} PRIVATE drift::spng drift::turbojpeg drift::zlib)
