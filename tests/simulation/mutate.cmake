# Copies a source file with one safeguard removed: FROM (exact string) becomes TO. Fails if FROM is not found, so that a
# mutation that no longer applies is noticed.
file(READ ${SOURCE} text)
string(FIND "${text}" "${FROM}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${SOURCE} no longer contains: ${FROM}")
endif()
string(REPLACE "${FROM}" "${TO}" text "${text}")
file(WRITE ${OUT} "${text}")
