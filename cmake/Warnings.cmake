# One interface target carries the warnings, so that no library of ours is built with fewer.
add_library(vb_warnings INTERFACE)
target_compile_options(vb_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wundef -Wvla -Wformat=2 -Wdouble-promotion -Wswitch-enum -Wcast-qual
    $<$<BOOL:${VB_WERROR}>:-Werror>)
