/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_CLONES_H
#define VB_CPU_CLONES_H

/* VB_CLONES before a function of simple loops: it is compiled for wider vectors as well, and the
 * loader picks what the processor has, so that one binary is fast and runs on any. Not where a
 * sanitizer watches: its run time is not there yet when the loader picks. Nor with clang 14, whose
 * resolvers of static functions clash where two files have one of the same name. */

#if !defined(__x86_64__) || !defined(__gnu_linux__) || defined(__clang__) || __GNUC__ < 12 ||      \
    defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VB_CLONES
#else
#define VB_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif

#endif
