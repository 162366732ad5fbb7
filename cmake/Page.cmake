# The page of 'vrambench report': its template, style and script, embedded in the target as they are.
function(vb_embed_page target)
    foreach(file page.html page.css page.js)
        set(source ${CMAKE_CURRENT_SOURCE_DIR}/report/page/${file})
        set(embedded ${CMAKE_CURRENT_BINARY_DIR}/page/${file}.c)
        string(REPLACE "." "_" name vb_${file})
        add_custom_command(OUTPUT ${embedded}
            COMMAND ${CMAKE_COMMAND} -DINPUT=${source} -DOUTPUT=${embedded} -DNAME=${name}
                -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
            DEPENDS ${source} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
            COMMENT "Embedding ${file}" VERBATIM)
        target_sources(${target} PRIVATE ${embedded})
    endforeach()
endfunction()
