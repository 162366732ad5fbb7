/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CPU_CLONES_H
#define VB_CPU_CLONES_H

/* VB_CLONES before a function of simple loops: it is compiled for wider vectors as well, and the
 * loader picks what the processor has, so that one binary is fast and runs on any. Not where a
 * sanitizer watches: its run time is not there yet when the loader picks. clang 14 picks wrongly
 * among the levels x86-64-v3 and -v4, which have multiplication and addition in one, so there it
 * is told by vectors alone; and it shows the linker what static functions are picked by, so no two
 * of this folder have one name. */

#ifndef __has_feature /* clang's way to say it */
#define __has_feature(feature) 0
#endif

#if !defined(__x86_64__) || !defined(__gnu_linux__) || defined(__SANITIZE_ADDRESS__) ||            \
    defined(__SANITIZE_THREAD__) || __has_feature(address_sanitizer) ||                            \
    __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define VB_CLONES
#elif defined(__clang__) || __GNUC__ < 12
#define VB_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VB_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif

#endif
