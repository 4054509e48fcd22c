# The comparison script against made-up programs; nothing is timed.
find_package(Python3 3.8 COMPONENTS Interpreter QUIET)
if(Python3_Interpreter_FOUND)
  add_test(NAME bench.compare COMMAND ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1
           ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/bench/compare_test.py)
  set_tests_properties(bench.compare PROPERTIES TIMEOUT 120)
endif()
