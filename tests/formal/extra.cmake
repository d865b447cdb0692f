# What reads the Coq files for tools/prove, and the house-keeping of the proofs. No Coq is needed.
add_test(NAME formal.sources
         COMMAND ${CMAKE_COMMAND} -E env PYTHONPATH=${PROJECT_SOURCE_DIR}/tools PYTHONDONTWRITEBYTECODE=1
                 /usr/bin/python3 -m unittest discover --start-directory ${CMAKE_CURRENT_SOURCE_DIR}/formal
                 --pattern *_test.py)
set_tests_properties(formal.sources PROPERTIES LABELS formal)

# Where Coq is installed the theorems are compiled and their seeded faults tried; elsewhere tools/prove does that.
find_program(COQC coqc)
if(COQC)
  add_test(NAME formal.prove COMMAND ${PROJECT_SOURCE_DIR}/tools/prove --faults)
  set_tests_properties(formal.prove PROPERTIES LABELS formal TIMEOUT 1800)
else()
  message(STATUS "Coq is not installed: the theorems are not compiled (tools/prove installs it)")
endif()
