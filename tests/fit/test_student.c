/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>

#include "fit/student.h"

/* The share below t by Simpson's rule over the density: shares no code with the continued fraction.
 */
static double by_density(double t, double freedom)
{
    enum { STEPS = 20000 };
    double front = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) /
                   sqrt(freedom * 3.14159265358979323846);
    double sum = 0, width = t / STEPS;
    for (int i = 0; i <= STEPS; i++) {
        double x = i * width, weight = i == 0 || i == STEPS ? 1 : i % 2 == 1 ? 4 : 2;
        sum += weight * front * pow(1 + x * x / freedom, -(freedom + 1) / 2);
    }
    return 0.5 + sum * width / 3;
}

Test(student, shares_are_those_of_the_density)
{
    static const double freedoms[] = { 1, 2.5, 5, 13, 60, 194 };
    static const double ts[] = { -6, -2, -0.3, 0, 0.1, 1, 2.5, 8 };
    for (size_t f = 0; f < sizeof freedoms / sizeof *freedoms; f++) {
        for (size_t i = 0; i < sizeof ts / sizeof *ts; i++) {
            double share = vb_student_share(ts[i], freedoms[f]);
            cr_expect(lt(dbl, fabs(share - by_density(ts[i], freedoms[f])), 1e-9), "%g at %g",
                      ts[i], freedoms[f]);
        }
    }
}

/* Source: the tables of any textbook. */
Test(student, quantiles_are_the_tables)
{
    static const double rows[][3] = { { 0.95, 1, 6.314 },   { 0.95, 5, 2.015 },
                                      { 0.975, 10, 2.228 }, { 0.995, 30, 2.750 },
                                      { 0.05, 5, -2.015 },  { 0.5, 3, 0 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect(lt(dbl, fabs(vb_student_quantile(rows[i][0], rows[i][1]) - rows[i][2]), 5e-4),
                  "%g at %g", rows[i][0], rows[i][1]);
}
