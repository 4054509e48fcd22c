# The vector code's initialisers run on any processor; only binutils can see that.
find_program(OBJDUMP objdump)
find_program(NM nm)
if(OBJDUMP AND NM AND TENON_VARIANT_OBJECTS)
  add_test(NAME house.variants COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/check_variants.sh
           ${PROJECT_BINARY_DIR})
  add_test(NAME house.variants_self_test COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/check_variants.sh
           --self-test ${CMAKE_CXX_COMPILER})
endif()
