# Installs to a fresh prefix, builds the example against it with find_package(tenon), runs it.
add_test(NAME package.install_and_train
         COMMAND ${CMAKE_COMMAND} -DBUILD=${PROJECT_BINARY_DIR} -DCONFIG=$<CONFIG>
                 -DCOMPILER=${CMAKE_CXX_COMPILER} "-DSANITIZE=${TENON_SANITIZE}"
                 -DEXAMPLE=${CMAKE_CURRENT_SOURCE_DIR}/package/example
                 -DWORK=${CMAKE_CURRENT_BINARY_DIR}/package
                 -P ${CMAKE_CURRENT_SOURCE_DIR}/package/install_and_train.cmake)
set_tests_properties(package.install_and_train PROPERTIES TIMEOUT 300)
