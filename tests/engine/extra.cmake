set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/engine/mutate_test.cpp PROPERTIES
  COMPILE_DEFINITIONS "ETALON_CMAKE=\"${CMAKE_COMMAND}\"")
