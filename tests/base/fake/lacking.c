/* SPDX-License-Identifier: Apache-2.0 */
/* A library with two functions, for tests/base/test_library.c. */
int vb_fake_first(void);
int vb_fake_second(void);

int vb_fake_first(void)
{
    return 1;
}

int vb_fake_second(void)
{
    return 2;
}
