# Planned against observed, a colour an architecture; on the line both are equal, in the band they differ by 10 %.
# Settings: data, title, n_groups, low, high (GiB).
set title title
set xlabel 'printed by the run (GiB)'
set ylabel 'planned (GiB)'
set logscale xy 2
set xrange [low : high]
set yrange [low : high]
set format xy '%g'
set size ratio -1
set grid linecolor '#dddddd'
set key outside right top reverse Left samplen 2
set border 3
set tics nomirror
set samples 100
array colour[8] = ['#0072b2', '#e69f00', '#009e73', '#d55e00', '#56b4e9', '#cc79a7', '#000000', '#999999']
array shape[4] = [7, 5, 9, 13]
plot '+' using ($1) : ($1 / 1.1) : ($1 * 1.1) with filledcurves linecolor rgb '#bbbbbb' \
         fillstyle transparent solid 0.35 title 'within 10 %', \
     x with lines linecolor rgb '#666666' title 'equal', \
     for [i = 0 : n_groups - 1] data index i using 1 : 2 with points pointtype shape[i % 4 + 1] \
         pointsize 0.9 linecolor rgb colour[i % 8 + 1] title columnheader(2)
