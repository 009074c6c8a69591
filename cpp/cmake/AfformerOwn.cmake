# How this project's own code is compiled. None of it is forced upon programs that use the library.
function(afformer_own target)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF C_STANDARD 99 C_EXTENSIONS OFF)
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 $<$<BOOL:${AFFORMER_WERROR}>:/WX>)
  else()
    # Python's bits on processors that can multiply and add in one rounding.
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -ffp-contract=off
                                             $<$<BOOL:${AFFORMER_WERROR}>:-Werror>)
  endif()
  if(AFFORMER_SANITIZE)
    set(flags -fsanitize=${AFFORMER_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(${target} PRIVATE ${flags})
    target_link_options(${target} PRIVATE ${flags})
  endif()
endfunction()
