# Allocated device memory of a watched program over time. Settings: data, title, n_curves.
# Data: a block a curve: seconds, GiB from then on; its first line names it.
set title title
set xlabel 'time (s)'
set ylabel 'allocated (GiB)'
set xrange [0 : *]
set yrange [0 : *]
set grid y linecolor '#dddddd'
set key outside bottom center maxrows 4 reverse Left
set border 3
set tics nomirror
array colour[8] = ['#0072b2', '#d55e00', '#009e73', '#e69f00', '#56b4e9', '#cc79a7', '#004b6b', '#999999']
plot for [c = 0 : n_curves - 1] data index c using 1 : 2 with steps linewidth (c == 0 ? 2 : 1) \
         linecolor rgb colour[c % 8 + 1] title columnheader(1)
