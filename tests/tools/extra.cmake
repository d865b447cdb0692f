# The program under test, and the same program with an entry whose laws are false, which shows that it says so.
add_executable(etalon_with_false_law tools/false_law.cpp)
target_link_libraries(etalon_with_false_law PRIVATE etalon_program)
target_compile_definitions(${program} PRIVATE
  ETALON_PROGRAM="$<TARGET_FILE:etalon>" ETALON_WITH_FALSE_LAW="$<TARGET_FILE:etalon_with_false_law>")
target_link_libraries(${program} PRIVATE nlohmann_json::nlohmann_json)
add_dependencies(${program} etalon etalon_with_false_law)
