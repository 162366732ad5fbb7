/* SPDX-License-Identifier: Apache-2.0 */
#include "fit/student.h"

#include <math.h>

enum { MAX_FRACTIONS = 400, MAX_HALVINGS = 200 };

/* The continued fraction of the incomplete beta function, by Lentz's method. Source: NIST Digital
 * Library of Mathematical Functions, 8.17.22. */
static double beta_fraction(double x, double a, double b)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) > tiny ? d : tiny);
    double value = d;
    for (int m = 1; m < MAX_FRACTIONS; m++) {
        for (int odd = 0; odd < 2; odd++) {
            double step = odd == 0 ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                                   : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
            d = 1 + step * d;
            d = 1 / (fabs(d) > tiny ? d : tiny);
            c = 1 + step / c;
            c = fabs(c) > tiny ? c : tiny;
            value *= c * d;
        }
        if (fabs(c * d - 1) < 1e-15)
            break;
    }
    return value;
}

static double incomplete_beta(double x, double a, double b)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(x, a, b) / a;
    return 1 - front * beta_fraction(1 - x, b, a) / b;
}

double vb_student_share(double t, double freedom)
{
    double outside = incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2;
    return t > 0 ? 1 - outside : outside;
}

double vb_student_quantile(double share, double freedom)
{
    double low = -1, high = 1;
    while (vb_student_share(low, freedom) > share && low > -1e12)
        low *= 2;
    while (vb_student_share(high, freedom) < share && high < 1e12)
        high *= 2;
    for (int i = 0; i < MAX_HALVINGS && high - low > 1e-12 * (1 + fabs(low)); i++) {
        double middle = (low + high) / 2;
        if (vb_student_share(middle, freedom) < share)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}
