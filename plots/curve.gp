# One step over time, memory by category stacked. Settings: data, title, subtitle, n_categories, phases.
set title title.", ".subtitle
set xlabel 'instruction of the step'
set ylabel 'allocated (GiB)'
set yrange [0 : *]
set grid y linecolor '#dddddd'
set key outside right top reverse Left invert samplen 1.5
set border 3
set tics nomirror
array colour[10] = ['#0072b2', '#56b4e9', '#004b6b', '#e69f00', '#009e73', '#999999', '#f0e442', '#cc79a7', '#d55e00', '#bbbbbb']
plot for [c = n_categories : 1 : -1] data using 1 : (column(c + 1)) with filledcurves y1=0 \
         linecolor rgb colour[c] title columnheader(c + 1)
