# Script: fills build_info.cpp.in. Run at configure and at each build.
set(COMMIT "unknown")
set(DIRTY 0)
if(GIT AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --short=12 HEAD
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND ${GIT} -C ${SOURCE} --no-optional-locks status --porcelain -uno
                  OUTPUT_VARIABLE changes ERROR_QUIET)
  if(commit)
    set(COMMIT ${commit})
  endif()
  if(changes)
    set(DIRTY 1)
  endif()
endif()
string(REGEX REPLACE " +" " " FLAGS "${FLAGS}")
file(READ ${TESTED} TESTED_TEXT)
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)
