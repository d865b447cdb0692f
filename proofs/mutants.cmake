# Mutants: texts with one seeded fault each. proofs/<family>/<name>.mutants.json lists them as patches that must
# match exactly once; each becomes a program that runs the entry's laws on the mutated text and says which caught it.

add_library(etalon_mutant_main OBJECT engine/mutant_main.cpp)
target_link_libraries(etalon_mutant_main PUBLIC etalon_entries etalon_runner)

# Compiled without optimisation: there are many, and each runs once.
add_library(etalon_mutant_headers OBJECT engine/mutant_headers.cpp)
target_compile_options(etalon_mutant_headers PRIVATE -O0)
target_link_libraries(etalon_mutant_headers PUBLIC etalon_entries)
set_target_properties(etalon_mutant_headers PROPERTIES POSITION_INDEPENDENT_CODE OFF)
target_precompile_headers(etalon_mutant_headers PRIVATE engine/instances.hpp)

# Texts that the engine's headers include themselves: a mutant must not meet the true text among the precompiled ones.
set(precompiled_texts reference/approximation/l_mul.hpp)

# etalon_mutant_program(NAME ENTRY_FILE FOLDER TEXT GROUP): the entry with the text of that folder, and a main. In the
# group `mutant` its forms are compiled, and judged by the laws of the true entry; in the group `thorough_mutant` its
# laws are compiled too, for those that call the text beside the forms.
function(etalon_mutant_program program entry_file folder text group)
  etalon_entry_source(${entry_file} ${group} source)
  add_executable(${program} ${source})
  set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${folder} OUTPUT_NAME mutant
                        POSITION_INDEPENDENT_CODE OFF)
  target_include_directories(${program} BEFORE PRIVATE ${folder})
  target_compile_options(${program} PRIVATE -O0)
  if(NOT text IN_LIST precompiled_texts)
    target_precompile_headers(${program} REUSE_FROM etalon_mutant_headers)
  endif()
  target_link_libraries(${program} PRIVATE etalon_mutant_main)
  set_property(GLOBAL APPEND PROPERTY ETALON_MUTANT_PROGRAMS ${program})
endfunction()

foreach(entry_file IN LISTS entry_files)
  cmake_path(REPLACE_EXTENSION entry_file LAST_ONLY .mutants.json OUTPUT_VARIABLE list_file)
  if(NOT EXISTS ${list_file})
    message(FATAL_ERROR "${entry_file} has no mutants: expected ${list_file}")
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${list_file})
  cmake_path(GET entry_file STEM name)
  file(READ ${list_file} list)
  string(JSON count LENGTH ${list} mutants)
  if(count LESS 5)
    message(FATAL_ERROR "${list_file} has ${count} mutants, expected at least 5")
  endif()
  string(JSON text GET ${list} text)
  # The control: what catches a mutant must hold for the true text, compiled the same way.
  etalon_mutant_program(control-${name} ${entry_file} ${CMAKE_BINARY_DIR}/mutants/${name}/control ${text}
                        thorough_mutant)
  set_property(GLOBAL APPEND PROPERTY ETALON_CONTROLS ${name})
  math(EXPR last "${count} - 1")
  foreach(number RANGE ${last})
    string(JSON mutant GET ${list} mutants ${number} name)
    set(folder ${CMAKE_BINARY_DIR}/mutants/${name}/${mutant})
    add_custom_command(
      OUTPUT ${folder}/${text}
      COMMAND ${CMAKE_COMMAND} -DLIST=${list_file} -DNUMBER=${number} -DSOURCE=${PROJECT_SOURCE_DIR}
              -DFOLDER=${folder} -P ${CMAKE_CURRENT_SOURCE_DIR}/mutate.cmake
      DEPENDS ${list_file} ${PROJECT_SOURCE_DIR}/${text} ${CMAKE_CURRENT_SOURCE_DIR}/mutate.cmake
      COMMENT "Seeding ${name}: ${mutant}")
    string(JSON thorough ERROR_VARIABLE absent GET ${list} mutants ${number} thorough)
    if(thorough)
      set(group thorough_mutant)
    else()
      set(group mutant)
    endif()
    etalon_mutant_program(mutant-${name}-${mutant} ${entry_file} ${folder} ${text} ${group})
    target_sources(mutant-${name}-${mutant} PRIVATE ${folder}/${text})
    set_property(GLOBAL APPEND PROPERTY ETALON_MUTANTS "${name}/${mutant}")
  endforeach()
endforeach()
get_property(mutant_programs GLOBAL PROPERTY ETALON_MUTANT_PROGRAMS)
add_custom_target(mutants DEPENDS ${mutant_programs})
