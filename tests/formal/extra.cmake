# What reads the Coq files for tools/prove, and the house-keeping of the proofs. No Coq is needed.
add_test(NAME formal.sources
         COMMAND ${CMAKE_COMMAND} -E env PYTHONPATH=${PROJECT_SOURCE_DIR}/tools PYTHONDONTWRITEBYTECODE=1
                 /usr/bin/python3 -m unittest discover --start-directory ${CMAKE_CURRENT_SOURCE_DIR}/formal
                 --pattern *_test.py)
set_tests_properties(formal.sources PROPERTIES LABELS formal)
