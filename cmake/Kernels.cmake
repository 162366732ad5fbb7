# The CUDA kernels: each kernels/*.cu to a fat binary of every architecture that CUDA 13 still builds for,
# with PTX for those to come, embedded in the target. Without nvcc there is nothing to embed. What ptxas says
# of registers and stack is beside each: tests/kernels/ptxas.sh.
set(VB_CUDA_ARCHITECTURES "75;80;86;89;90;100;120" CACHE STRING "Architectures that kernels are compiled for")

function(vb_embed_kernels target)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*.cu)
    file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*.h)
    set(flags -gencode arch=compute_75,code=compute_75)
    foreach(architecture ${VB_CUDA_ARCHITECTURES})
        list(APPEND flags -gencode arch=compute_${architecture},code=sm_${architecture})
    endforeach()
    set(declared "")
    set(listed "")
    foreach(source ${sources})
        get_filename_component(name ${source} NAME_WE)
        set(image ${CMAKE_CURRENT_BINARY_DIR}/kernels/${name}.fatbin)
        add_custom_command(OUTPUT ${image}
            BYPRODUCTS ${image}.log
            COMMAND ${CMAKE_SOURCE_DIR}/cmake/with_log.sh ${image}.log ${VB_NVCC} -fatbin -Xptxas -v -O3 -std=c++17 ${flags} -Werror all-warnings
                -I${CMAKE_SOURCE_DIR} -I${CMAKE_SOURCE_DIR}/bench ${source} -o ${image}
            DEPENDS ${source} ${headers} ${CMAKE_SOURCE_DIR}/bench/step/operator.h ${CMAKE_SOURCE_DIR}/bench/step/program.h
            COMMENT "Compiling kernels/${name}.cu for a GPU" VERBATIM)
        list(APPEND images ${image})
        string(APPEND declared "IMAGE(${name}, \"${image}\")\n")
        string(APPEND listed "    vb_image_${name},\n")
    endforeach()
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/kernels)
    set(VB_IMAGES_DECLARED "${declared}")
    set(VB_IMAGES_LISTED "${listed}")
    set(embedded ${CMAKE_CURRENT_BINARY_DIR}/kernels/images.c)
    configure_file(${CMAKE_SOURCE_DIR}/kernels/images.c.in ${embedded} @ONLY)
    set_source_files_properties(${embedded} PROPERTIES OBJECT_DEPENDS "${images}")
    target_sources(${target} PRIVATE ${embedded})
endfunction()
