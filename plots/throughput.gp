# Images a second against batch, a curve a resolution. Settings: data, title, n_sizes.
set title title
set xlabel 'batch (images)'
set ylabel 'images a second'
set logscale x 2
set yrange [0 : *]
set grid linecolor '#dddddd'
set key outside right top reverse Left samplen 2
set border 3
set tics nomirror
array colour[8] = ['#000000', '#e69f00', '#56b4e9', '#009e73', '#d55e00', '#0072b2', '#cc79a7', '#999999']
plot for [i = 0 : n_sizes - 1] data index i using 1 : 2 with linespoints linewidth 1.6 pointtype 7 \
         pointsize 0.7 linecolor rgb colour[i % 8 + 1] title columnheader(2)
