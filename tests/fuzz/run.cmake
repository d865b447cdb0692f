# Runs the fuzzer of the .npy reader from the corpus alone, so that every run tries the same inputs.
#   cmake -DFUZZER=<program> -DFOUND=<folder for inputs that it finds> -DCORPUS=<folder> -P run.cmake
file(REMOVE_RECURSE ${FOUND}/npy)
file(MAKE_DIRECTORY ${FOUND}/npy)
execute_process(COMMAND ${FUZZER} -runs=1000000 -max_len=512 -seed=1 -verbosity=0 -artifact_prefix=${FOUND}/
                        ${FOUND}/npy ${CORPUS}
                RESULT_VARIABLE failure)
if(NOT failure EQUAL 0)
  message(FATAL_ERROR "The reader of .npy files failed on an input that now lies in ${FOUND}")
endif()
