# Peak memory against batch at one resolution, a curve for each mosaic. Settings: data, title, usable (GiB), n_kinds.
set title title
set xlabel 'batch (images)'
set ylabel 'reserved at the peak (GiB)'
set yrange [0 : usable * 1.15]
set xrange [0 : *]
set grid linecolor '#dddddd'
set key right bottom reverse Left
set border 3
set tics nomirror
array colour[3] = ['#0072b2', '#d55e00', '#009e73']
array mark[3] = [7, 5, 9]
array dash[3] = [1, 2, 4]
set arrow 1 from graph 0, first usable to graph 1, first usable nohead linewidth 2 linecolor '#cc0000'
set label 1 sprintf('usable: %.1f GiB', usable) at graph 0.02, first usable offset 0, 0.7 textcolor '#cc0000'
plot for [i = 0 : n_kinds - 1] data index i using 1 : 2 with linespoints linewidth 2 pointtype mark[i + 1] \
         dashtype dash[i + 1] linecolor rgb colour[i + 1] title columnheader(2)
