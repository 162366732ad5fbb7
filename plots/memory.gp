# Peak memory against batch, a curve a resolution, with the fit and its interval.
# Settings: data, title, usable (GiB), n_sizes, n_oom, form, has_fit.
set title title
set xlabel 'batch (images)'
set ylabel 'reserved at the peak (GiB)'
set logscale x 2
set logscale y 2
set yrange [0.125 : usable * 1.5]
set format y '%g'
set grid linecolor '#dddddd'
set key outside right top reverse Left samplen 2
set border 3
set tics nomirror
array colour[8] = ['#000000', '#e69f00', '#56b4e9', '#009e73', '#d55e00', '#0072b2', '#cc79a7', '#999999']
set arrow 1 from graph 0, first usable to graph 1, first usable nohead linewidth 2 linecolor '#cc0000'
set label 1 sprintf('usable: %.1f GiB', usable) at graph 0.02, first usable offset 0, -0.7 textcolor '#cc0000'
plot for [i = 0 : n_sizes - 1] data index i using 1 : (has_fit ? $4 : NaN) : 5 every ::1 with filledcurves \
         linecolor rgb colour[i % 8 + 1] fillstyle transparent solid 0.12 notitle, \
     for [i = 0 : n_sizes - 1] data index i using 1 : (has_fit ? $3 : NaN) every ::1 with lines \
         linecolor rgb colour[i % 8 + 1] dashtype 3 notitle, \
     for [i = 0 : n_sizes - 1] data index i using 1 : 2 with linespoints linewidth 1.6 pointtype 7 \
         pointsize 0.7 linecolor rgb colour[i % 8 + 1] title columnheader(2), \
     (n_oom > 0 ? data : '/dev/null') index (n_oom > 0 ? n_sizes : 0) using 1 : 2 every ::1 with points pointtype 2 \
         pointsize 1.2 linecolor rgb '#cc0000' title 'out of memory', \
     NaN with lines dashtype 3 linecolor rgb '#333333' title 'fit'
