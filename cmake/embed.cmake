# cmake -DINPUT=FILE -DOUTPUT=FILE.c -DNAME=symbol -P embed.cmake: a file to an array of C that ends in 0.
cmake_minimum_required(VERSION 3.25)
file(READ "${INPUT}" hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE "${OUTPUT}" "/* SPDX-License-Identifier: Apache-2.0 */\n/* Written by CMake from ${INPUT}. */\n"
    "extern const unsigned char ${NAME}[];\nconst unsigned char ${NAME}[] = {\n${bytes}\n0x00};\n")
