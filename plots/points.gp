# Error of a calibration against the number of points that it rests on. Settings: data, title, terminal and output.
# Columns of data: points, then for picked, random and AutoBatch's points median, nine in ten, worst, nine in ten, met.
set title title
set xlabel 'points measured'
set ylabel 'error of the grid (%), log scale'
set logscale y
set ytics (0.5, 1, 1.5, 3, 6, 10, 20, 50, 100, 200, 500)
set yrange [0.5 : 500]
set xrange [3 : 33]
set xtics (4, 8, 12, 16, 20, 24, 32)
set grid linecolor '#dddddd'
set border 3
set tics nomirror
set key outside bottom center maxrows 3 reverse Left
set arrow 1 from graph 0, first 1.5 to graph 1, first 1.5 nohead dashtype 3 linecolor '#666666'
set arrow 2 from graph 0, first 6 to graph 1, first 6 nohead dashtype 3 linecolor '#666666'
set label 1 'target: median' at graph 0.99, first 1.5 right offset 0, 0.6 textcolor '#666666'
set label 2 'target: worst' at graph 0.99, first 6 right offset 0, 0.6 textcolor '#666666'
plot data using 1 : 2 with linespoints linewidth 2 pointtype 7 linecolor rgb '#0072b2' title 'picked, median', \
     data using 1 : 7 with linespoints linewidth 2 pointtype 5 linecolor rgb '#009e73' title 'random, median', \
     data using 1 : 12 with linespoints linewidth 2 pointtype 9 linecolor rgb '#d55e00' title "AutoBatch's, median", \
     data using 1 : 4 with linespoints linewidth 2 dashtype 2 pointtype 6 linecolor rgb '#0072b2' title 'picked, worst', \
     data using 1 : 9 with linespoints linewidth 2 dashtype 2 pointtype 4 linecolor rgb '#009e73' title 'random, worst', \
     data using 1 : 14 with linespoints linewidth 2 dashtype 2 pointtype 8 linecolor rgb '#d55e00' title "AutoBatch's, worst"
