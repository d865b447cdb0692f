# Mutants: texts with one seeded fault each. proofs/<family>/<name>.mutants.json lists them as patches that must
# match exactly once; each becomes a program that runs the entry's laws on the mutated text and says which caught it.

add_library(etalon_mutant_main OBJECT engine/mutant_main.cpp)
target_link_libraries(etalon_mutant_main PUBLIC etalon_entries etalon_runner)
etalon_with_engine_headers(etalon_mutant_main)

# A mutant is compiled without optimisation, since there are many and each runs once, and by clang where there is one: it
# needs half the time of g++ for that. This takes commands of our own, because CMake knows one compiler a language.
find_program(ETALON_MUTANT_COMPILER NAMES clang++ clang++-14 DOC "What compiles the mutants")
if(NOT ETALON_MUTANT_COMPILER)
  set(ETALON_MUTANT_COMPILER ${CMAKE_CXX_COMPILER})
endif()
message(STATUS "The mutants are compiled by ${ETALON_MUTANT_COMPILER}")
# Warnings are for the true texts.
set(mutant_flags -std=c++20 -O0 -fPIC -w -ffp-contract=off)

# The headers that all mutants share, compiled once; by clang also the code of what they define, as a library.
set(mutant_headers ${CMAKE_CURRENT_SOURCE_DIR}/engine/mutant_headers.hpp)
execute_process(COMMAND ${ETALON_MUTANT_COMPILER} --version OUTPUT_VARIABLE mutant_compiler_version)
if(mutant_compiler_version MATCHES "clang")
  set(precompiled ${CMAKE_CURRENT_BINARY_DIR}/mutant_headers.hpp.pch)
  set(precompile -fpch-codegen -Xclang -fpch-instantiate-templates)
  set(with_precompiled -include-pch ${precompiled})
  set(precompiled_library ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/libetalon_mutant_headers.so)
  add_custom_command(
    OUTPUT ${precompiled_library}
    COMMAND ${ETALON_MUTANT_COMPILER} ${mutant_flags} -c ${precompiled} -o ${precompiled}.o
    COMMAND ${ETALON_MUTANT_COMPILER} -shared ${precompiled}.o -o ${precompiled_library}
    DEPENDS ${precompiled}
    COMMENT "Compiling what the headers of the mutants define"
    VERBATIM)
else()
  set(precompiled ${CMAKE_CURRENT_BINARY_DIR}/mutant_headers.hpp.gch)
  set(precompile)
  set(with_precompiled -include ${CMAKE_CURRENT_BINARY_DIR}/mutant_headers.hpp)
  set(precompiled_library)
endif()
add_custom_command(
  OUTPUT ${precompiled}
  COMMAND ${ETALON_MUTANT_COMPILER} ${mutant_flags} ${precompile} -I${PROJECT_SOURCE_DIR} -x c++-header
          ${mutant_headers} -o ${precompiled} -MD -MT ${precompiled} -MF ${precompiled}.d
  DEPENDS ${mutant_headers}
  DEPFILE ${precompiled}.d
  COMMENT "Precompiling the headers of the mutants"
  VERBATIM)

# Linked by gold where there is one, which takes two thirds of the time.
find_program(ETALON_GOLD ld.gold DOC "What links the mutants")
set(mutant_link -no-pie $<$<BOOL:${ETALON_GOLD}>:-fuse-ld=gold>)

# etalon_mutant_program(ENTRY_FILE FOLDER TEXT GROUP): the entry with the text of that folder, and a main; `program` is
# set to its path. In the group `mutant` the forms are compiled, and judged by the laws of the true entry. A fault that
# these cannot see says in "laws" what is compiled beside: gradients of the forms, or, where only a law that calls the
# text itself sees it, the laws in one arithmetic, or the fixed ones.
function(etalon_mutant_program entry_file folder text group)
  etalon_entry_source(${entry_file} ${group} source)
  set(program ${folder}/mutant)
  set(object ${folder}/mutant.o)
  set(seeded)
  if(NOT folder MATCHES "/control$")
    set(seeded ${folder}/${text})
  endif()
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${ETALON_MUTANT_COMPILER} ${mutant_flags} ${with_precompiled} -I${folder} -I${PROJECT_SOURCE_DIR}
            -c ${source} -o ${object} -MD -MT ${object} -MF ${object}.d
    DEPENDS ${source} ${seeded} ${precompiled}
    DEPFILE ${object}.d
    COMMENT "Compiling ${folder}"
    VERBATIM)
  # The shared libraries stand in the command only: a mutant need not be linked anew when one of them is.
  add_custom_command(
    OUTPUT ${program}
    COMMAND ${ETALON_MUTANT_COMPILER} ${mutant_link} $<TARGET_OBJECTS:etalon_mutant_main> ${object} -o ${program}
            ${precompiled_library} -Wl,--no-as-needed -Wl,-rpath,${CMAKE_LIBRARY_OUTPUT_DIRECTORY}
            $<TARGET_FILE:etalon_entries> $<TARGET_FILE:etalon_runner> $<TARGET_FILE:etalon_engine> ${MPFR_LIBRARY} ${GMP_LIBRARY}
            $<TARGET_FILE:rapidcheck>
    DEPENDS ${object} ${precompiled_library} $<TARGET_OBJECTS:etalon_mutant_main> etalon_runner
    COMMENT "Linking ${program}"
    COMMAND_EXPAND_LISTS
    VERBATIM)
  set(program ${program} PARENT_SCOPE)
endfunction()

set(mutant_programs)
set(control_programs)
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
  etalon_mutant_program(${entry_file} ${CMAKE_BINARY_DIR}/mutants/${name}/control ${text} control)
  list(APPEND control_programs ${program})
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
    string(JSON laws ERROR_VARIABLE absent GET ${list} mutants ${number} laws)
    if(absent)
      set(group mutant)
    else()
      set(group mutant_${laws})
    endif()
    etalon_mutant_program(${entry_file} ${folder} ${text} ${group})
    list(APPEND mutant_programs ${program})
    set_property(GLOBAL APPEND PROPERTY ETALON_MUTANTS "${name}/${mutant}")
  endforeach()
endforeach()
add_custom_target(mutants ALL DEPENDS ${mutant_programs})
add_custom_target(controls ALL DEPENDS ${control_programs})  # apart, because only the tests run them
