# Writes revision.hpp from git at build time. The file is rewritten only when it changes, so that nothing recompiles.
function(ask_git variable)
  execute_process(COMMAND git -C ${SOURCE} ${ARGN}
    OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT answer)
    set(answer unknown)
  endif()
  set(${variable} ${answer} PARENT_SCOPE)
endfunction()

ask_git(revision rev-parse --short=12 HEAD)
ask_git(branch rev-parse --abbrev-ref HEAD)
string(CONCAT text
  "#pragma once\n"
  "#define PERJOULE_VERSION \"${VERSION}\"\n"
  "#define PERJOULE_REVISION \"${revision}\"\n"
  "#define PERJOULE_BRANCH \"${branch}\"\n")
if(EXISTS ${OUT})
  file(READ ${OUT} before)
endif()
if(NOT before STREQUAL text)
  file(WRITE ${OUT} "${text}")
endif()
