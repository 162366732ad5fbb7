/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_FIT_STUDENT_H
#define VB_FIT_STUDENT_H

/* Student's t: how far a mean of few observations may lie from what it estimates. */

/* The share of the distribution with so many degrees of freedom (above 0, no whole number needed)
 * that lies below t. */
double vb_student_share(double t, double freedom);

/* The t below which lies `share`, from 1e-9 to 1 - 1e-9. */
double vb_student_quantile(double share, double freedom);

#endif
