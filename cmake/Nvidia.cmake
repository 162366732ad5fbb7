# What there is of NVIDIA's at configure time. Only headers are used in the build: the libraries are
# opened at run time, so that one binary runs on any machine.
find_package(CUDAToolkit QUIET)

find_path(VB_CUDNN_INCLUDE cudnn_graph.h
    HINTS ${CUDAToolkit_INCLUDE_DIRS} PATHS /usr/local/cuda/include)
find_path(VB_CUPTI_INCLUDE cupti.h
    HINTS ${CUDAToolkit_INCLUDE_DIRS} ${CUDAToolkit_LIBRARY_ROOT}/extras/CUPTI/include)

set(VB_CUDA_LIBRARY_DIR "${CUDAToolkit_LIBRARY_DIR}")
find_program(VB_NVCC nvcc HINTS ${CUDAToolkit_BIN_DIR})
if(CUDAToolkit_FOUND AND VB_NVCC)
    set(VB_CUDA_FOUND TRUE)
else()
    set(VB_CUDA_FOUND FALSE)
endif()
foreach(part VB_CUDA_FOUND:CUDA VB_CUDNN_INCLUDE:CUDNN VB_CUPTI_INCLUDE:CUPTI)
    string(REPLACE ":" ";" part ${part})
    list(GET part 0 found)
    list(GET part 1 name)
    if(${found})
        set(VB_HAVE_${name} 1)
    else()
        set(VB_HAVE_${name} 0)
    endif()
endforeach()
if(NOT VB_CUDA_FOUND)
    message(STATUS "nvcc: not found; everything but the cuda device is built")
endif()
