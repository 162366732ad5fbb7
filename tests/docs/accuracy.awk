# SPDX-License-Identifier: Apache-2.0
# What tests/docs/accuracy.sh writes, from what 'vrambench validate --format csv' says.   awk -v part=PART
#   part  stats: one line a group, comma-separated; table: the page's table of statistics;
#         page: results/accuracy/README.md; readme: README.md's section
#   runs, tables, published, cover, skipped, library, notes: files; accuracy.sh tells what is in them
# POSIX awk, tried with Debian's mawk. This file reads and counts, accuracy_page.awk prints.

# Splits a line of CSV, quotes and all; the number of fields.
function fields(line, out,    n, i, c, quoted) {
    n = 1
    out[1] = ""
    quoted = 0
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        if (c == "\"")
            quoted = !quoted
        else if (c == "," && !quoted)
            out[++n] = ""
        else
            out[n] = out[n] c
    }
    return n
}

function fail(text) {
    print "accuracy.awk: " text >"/dev/stderr"
    failed = 1
    exit 1
}

# Where each column stands, by its name: a column that is not there is an error, not a blank.
function header(file, names, at,    line, n, i, row, wanted) {
    if ((getline line <file) <= 0)
        fail(file ": nothing in it")
    n = fields(line, row)
    for (i = 1; i <= n; i++)
        at[row[i]] = i
    n = split(names, wanted, " ")
    for (i = 1; i <= n; i++)
        if (!(wanted[i] in at))
            fail(file ": no column '" wanted[i] "'")
}

# The judged rows of a validation into the arrays of its prefix: "r" of runs, "t" of tables.
function read_rows(file, prefix,    line, row, at, n) {
    header(file, "line state planned_bytes published_bytes batch imgsz trust gpu model torch repository", at)
    n = 0
    while ((getline line <file) > 0) {
        fields(line, row)
        if (row[at["state"]] != "judged")
            continue
        n++
        R[prefix, n, "line"] = row[at["line"]]
        R[prefix, n, "plan"] = row[at["planned_bytes"]] + 0
        R[prefix, n, "run"] = row[at["published_bytes"]] + 0
        R[prefix, n, "batch"] = row[at["batch"]] + 0
        R[prefix, n, "imgsz"] = row[at["imgsz"]] + 0
        R[prefix, n, "trust"] = row[at["trust"]]
        R[prefix, n, "gpu"] = row[at["gpu"]]
        R[prefix, n, "model"] = row[at["model"]]
        R[prefix, n, "torch"] = row[at["torch"]]
    }
    close(file)
    return n
}

# Parameters and boxes are the published file's own: by line, as validate names them.
function read_published(    line, row, at, number) {
    header(published, "params instances_last_batch", at)
    number = 1
    while ((getline line <published) > 0) {
        number++
        fields(line, row)
        params[number] = row[at["params"]] + 0
        boxes[number] = row[at["instances_last_batch"]]
    }
    close(published)
}

function percent(predicted, observed) {
    return (predicted / observed - 1) * 100
}

function sorted(values, n,    i, k, v) {
    for (i = 2; i <= n; i++) {
        v = values[i]
        for (k = i - 1; k >= 1 && values[k] > v; k--)
            values[k + 1] = values[k]
        values[k + 1] = v
    }
}

# Between the two nearest ranks, as validate does.
function quantile(values, n, q,    at, low) {
    at = 1 + (n - 1) * q
    low = int(at)
    if (low >= n)
        return values[n]
    return values[low] + (at - low) * (values[low + 1] - values[low])
}

# A group's statistics into S[name, ...], of E[1..n], the errors in percent.
function statistics(name, n,    i, size, signed, sum) {
    if (n == 0)
        fail("no row of '" name "' was judged")
    sum = 0
    for (i = 1; i <= n; i++) {
        signed[i] = E[i]
        size[i] = E[i] < 0 ? -E[i] : E[i]
        sum += size[i]
    }
    sorted(size, n)
    sorted(signed, n)
    S[name, "rows"] = n
    S[name, "median"] = quantile(size, n, 0.5)
    S[name, "mean"] = sum / n
    S[name, "p90"] = quantile(size, n, 0.9)
    S[name, "signed"] = quantile(signed, n, 0.5)
}

# Whether a row of runs belongs to a group of rows.
function belongs(i, name) {
    if (name == "A<200")
        return R["r", i, "trust"] == "A" && boxes[R["r", i, "line"]] + 0 < 200
    return name == "A" ? R["r", i, "trust"] == "A" : 1
}

function thumb(i) {
    return params[R["r", i, "line"]] * 12 + R["r", i, "batch"] * 3 * R["r", i, "imgsz"] * R["r", i, "imgsz"] * 4
}

function collect(    g, i, n, m) {
    for (g = 1; g <= 3; g++) {
        n = 0
        for (i = 1; i <= n_runs; i++)
            if (belongs(i, G[g]))
                E[++n] = percent(R["r", i, "plan"], R["r", i, "run"])
        statistics(G[g], n)
        m = 0
        for (i = 1; i <= n_runs; i++)
            if (belongs(i, G[g]))
                E[++m] = percent(thumb(i), R["r", i, "run"])
        statistics("thumb " G[g], m)
    }
    for (i = 1; i <= n_tables; i++)
        E[i] = percent(R["t", i, "plan"], R["t", i, "run"])
    statistics("tables", n_tables)
}

# The least-squares line through the first n batches of a table, as AutoBatch fits it, into slope and base.
function fit(first, n,    i, x, y, xx, xy) {
    x = y = xx = xy = 0
    for (i = first; i < first + n; i++) {
        x += R["t", i, "batch"]
        y += R["t", i, "run"]
        xx += R["t", i, "batch"] * R["t", i, "batch"]
        xy += R["t", i, "batch"] * R["t", i, "run"]
    }
    slope = (n * xy - x * y) / (n * xx - x * x)
    base = (y - slope * x) / n
}

# Whether five rows from here are one table, of batches 1, 2, 4, 8 and 16.
function is_table(i,    k, size) {
    size = 1
    for (k = i; k < i + 5; k++) {
        if (k > n_tables || R["t", k, "batch"] != size || R["t", k, "model"] != R["t", i, "model"] ||
            R["t", k, "gpu"] != R["t", i, "gpu"])
            return 0
        size *= 2
    }
    return 1
}

# A note goes on in the lines that begin with a blank.
function read_notes(    line, row) {
    while ((getline line <notes) > 0) {
        if (line ~ /^#/)
            continue
        if (line ~ /^ /)
            note[row[1], row[2]] = note[row[1], row[2]] line
        else if (split(line, row, "|") == 3)
            note[row[1], row[2]] = row[3]
        else
            fail(notes ": '" line "' is no LINE|MODEL|NOTE")
    }
    close(notes)
}

# GPUs of own processes, and what of the rows is older than the code that plans them.
function count_rows(    i, seen, number) {
    gpus = ""
    n_own = old = pascal = 0
    for (i = 1; i <= n_runs; i++) {
        split(R["r", i, "torch"], number, ".")
        old += number[1] + 0 == 1 && number[2] + 0 <= 12
        pascal += R["r", i, "gpu"] == "p100"
        if (R["r", i, "trust"] != "A")
            continue
        n_own++
        if (!seen[R["r", i, "gpu"]]++)
            gpus = gpus (gpus == "" ? "" : ", ") R["r", i, "gpu"]
    }
}

BEGIN {
    split("A<200,A,A and B", G, ",")
    n_runs = read_rows(runs, "r")
    n_tables = read_rows(tables, "t")
    read_published()
    collect()
    count_rows()
    read_notes()
    if (part == "stats")
        for (i = 1; i <= 3; i++)
            printf "%s,%d,%.1f,%.1f,%.1f,%+.1f\n", G[i], S[G[i], "rows"], S[G[i], "median"], S[G[i], "mean"],
                   S[G[i], "p90"], S[G[i], "signed"]
    else if (part == "table")
        print_statistics()
    else if (part == "page")
        print_page()
    else
        print_readme()
    exit failed
}
