# Copies a source with one safeguard taken out: FROM (exact text) becomes TO. Fails when FROM is not there, so that a
# mutation that no longer hits what it is meant to hit is noticed.
file(READ ${SOURCE} text)
string(FIND "${text}" "${FROM}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${SOURCE} no longer holds: ${FROM}")
endif()
string(REPLACE "${FROM}" "${TO}" text "${text}")
file(WRITE ${OUT} "${text}")
