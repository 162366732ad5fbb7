# What fits: batch by resolution, GiB in each cell; cells that ran out are left blank and say so.
# Settings: data, title, usable (GiB), n_batches, n_sizes, tics.
set title title
set xlabel 'batch (images)'
set ylabel 'image size (pixels a side)'
set xrange [-0.5 : n_batches - 0.5]
set yrange [-0.5 : n_sizes - 0.5]
set cbrange [0 : usable]
set cblabel 'reserved at the peak (GiB)'
set palette defined (0 '#f7fbff', 0.5 '#6baed6', 0.8 '#2171b5', 1 '#08306b')
set tics nomirror scale 0
unset key
set border 0
set style fill solid 1 border rgb '#ffffff'
plot data using 1 : 2 : (0.5) : (0.5) : 3 with boxxyerror linecolor palette, \
     data using 1 : 2 : (strcol(4)) : ($3 > 0.55 * usable ? 0xffffff : strcol(4) eq 'oom' ? 0xcc0000 : 0x222222) \
         with labels textcolor rgb variable
