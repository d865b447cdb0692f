if(ETALON_FAST)
  target_link_libraries(${program} PRIVATE etalon_fast_laws)
endif()
