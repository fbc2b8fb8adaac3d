# Makes memory errors harder to exploit, in every optimised build and so in the package: canaries on the stack, checked
# calls of libc and of the standard library's containers, marked targets of indirect jumps, an executable at a random
# address, and tables of the linker that are read-only once the program runs. tests/end_to_end/hardening.py reads them
# from the binary.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES CXX)
# -U first: a distribution's compiler may define another level.
add_compile_options(-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|i.86")
  add_compile_options(-fcf-protection)
endif()
add_link_options(-Wl,-z,relro,-z,now)
