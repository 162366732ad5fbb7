# SPDX-License-Identifier: Apache-2.0
# How the accuracy page and README.md's section read: the words and tables, of what accuracy.awk counted.

function row_of(label, name) {
    return sprintf("| %-48s | %4d | %6.1f | %6.1f | %6.1f | %+7.1f |", label, S[name, "rows"], S[name, "median"],
                   S[name, "mean"], S[name, "p90"], S[name, "signed"])
}

# Met or missed, by the figures as they are printed: one digit after the point.
function verdict(value, target,    shown) {
    shown = sprintf("%.1f", value < 0 ? -value : value) + 0
    if (shown <= target)
        return sprintf("met, by %.1f", target - shown)
    return sprintf("missed, by %.1f", shown - target)
}

# A paragraph, or a list's item, of lines up to 118 columns.
function wrapped(text, indent,    n, words, i, line) {
    n = split(text, words, " ")
    line = words[1]
    for (i = 2; i <= n; i++)
        if (length(line) + 1 + length(words[i]) > 118) {
            print line
            line = indent words[i]
        } else
            line = line " " words[i]
    print line
}

function copied(file,    line) {
    while ((getline line <file) > 0)
        print line
    close(file)
}

function gib(bytes) {
    return bytes / 1073741824
}

function print_heading() {
    print "| error in %                                       | rows | median |   mean |   90 % |  signed |"
    print "| :----------------------------------------------- | ---: | -----: | -----: | -----: | ------: |"
}

function print_statistics() {
    print_heading()
    print row_of("own processes, under 200 boxes in the last batch", "A<200")
    print row_of("own processes (trust A)", "A")
    print row_of("own processes and notebooks (trust A and B)", "A and B")
    print row_of("AutoBatch's clean tables", "tables")
}

function target_row(what, value, target) {
    printf "| %-58s | %6.1f | %6.1f | %-15s |\n", what, value, target, verdict(value, target)
}

function print_targets() {
    print "| target in %                                                | is     | at most | so              |"
    print "| :--------------------------------------------------------- | -----: | -----: | :-------------- |"
    target_row("own processes, under 200 boxes: median", S["A<200", "median"], 3.5)
    target_row("own processes, under 200 boxes: 90th percentile", S["A<200", "p90"], 10)
    target_row("own processes and notebooks: median", S["A and B", "median"], 5)
    target_row("AutoBatch's clean tables: median", S["tables", "median"], 6)
    target_row("AutoBatch's clean tables: median with its sign", S["tables", "signed"], 4)
}

function print_sixteen(    i) {
    print "| table                  | read at 16, GiB | line of 1 to 8 | our plan |"
    print "| :--------------------- | --------------: | -------------: | -------: |"
    for (i = 1; i <= n_tables; i++)
        if (is_table(i)) {
            fit(i, 4)
            printf "| %-22s | %15.2f | %+12.1f %% | %+6.1f %% |\n",
                   R["t", i, "model"] "@" R["t", i, "imgsz"] " " R["t", i, "gpu"], gib(R["t", i + 4, "run"]),
                   percent(base + 16 * slope, R["t", i + 4, "run"]),
                   percent(R["t", i + 4, "plan"], R["t", i + 4, "run"])
        }
}

# Training runs of a table's model, image size and GPU, by the line through all five of its points.
function print_trained(    i, k, found) {
    found = 0
    for (i = 1; i <= n_tables; i++) {
        if (!is_table(i))
            continue
        fit(i, 5)
        for (k = 1; k <= n_runs; k++) {
            if (R["r", k, "model"] != R["t", i, "model"] || R["r", k, "imgsz"] != R["t", i, "imgsz"] ||
                R["r", k, "gpu"] != R["t", i, "gpu"])
                continue
            if (!found++) {
                print "| line | run              | boxes | printed, GiB | AutoBatch's line | our plan |"
                print "| ---: | :--------------- | ----: | -----------: | ---------------: | -------: |"
            }
            printf "| %4d | %-16s | %5s | %12.2f | %+14.1f %% | %+6.1f %% |\n", R["r", k, "line"],
                   R["r", k, "model"] " " R["r", k, "batch"] "@" R["r", k, "imgsz"] " " R["r", k, "gpu"],
                   boxes[R["r", k, "line"]], gib(R["r", k, "run"]),
                   percent(base + R["r", k, "batch"] * slope, R["r", k, "run"]),
                   percent(R["r", k, "plan"], R["r", k, "run"])
        }
    }
    if (!found)
        print "No published run has the model, the image size and the GPU of such a table."
}

# The ten rows that are farthest off, then what is known of each.
function print_worst(    i, k, worst, used, rank, key) {
    print "| line | trust | GPU      | model    | batch@size | planned | printed | error    |"
    print "| ---: | :---: | :------- | :------- | ---------: | ------: | ------: | -------: |"
    for (rank = 1; rank <= 10 && rank <= n_runs; rank++) {
        worst = 0
        for (i = 1; i <= n_runs; i++) {
            off[i] = percent(R["r", i, "plan"], R["r", i, "run"])
            if (!(i in used) && (!worst || off[i] * off[i] > off[worst] * off[worst]))
                worst = i
        }
        used[worst] = 1
        order[rank] = worst
        printf "| %4d |   %s   | %-8s | %-8s | %10s | %7.2f | %7.2f | %+6.1f %% |\n", R["r", worst, "line"],
               R["r", worst, "trust"], R["r", worst, "gpu"], R["r", worst, "model"],
               R["r", worst, "batch"] "@" R["r", worst, "imgsz"], gib(R["r", worst, "plan"]),
               gib(R["r", worst, "run"]), off[worst]
    }
    print ""
    for (k = 1; k < rank; k++) {
        key = R["r", order[k], "line"] SUBSEP R["r", order[k], "model"]
        wrapped("- Line " R["r", order[k], "line"] ": " ((key in note) ? note[key] : "unknown."), "  ")
    }
}

function print_head() {
    print "# Accuracy: plans beside what published runs printed"
    print ""
    print "<!-- Written by tests/docs/accuracy.sh; CI runs it with --check. Do not edit. -->"
    print ""
    wrapped("The runs are those of [train_logs_best.csv](../../sweeps/published/train_logs_best.csv): other " \
            "people's training logs, read as they were published. \"Printed\" is the GPU_mem of the first epoch, " \
            "in GiB; \"planned\" is what vrambench works out for it with no GPU. Trust A is a process of its own, " \
            "trust B a notebook's kernel or an IDE's console. No constant of a plan was fitted to these rows.", "")
    print ""
    wrapped("The plans of this page ask no cuDNN library (`VRAMBENCH_CUDNN=off`): they rest on the answers of cuDNN " \
            "in [sweeps/workspaces](../../sweeps/workspaces/README.md), which everyone has, so everyone gets the " \
            "same page. In " fitted " of the " n_runs " rows some workspace is in no table, and comes from a fit " \
            "of the tables. A machine with cuDNN asks it, and gets the second table of statistics.", "")
    print "\n![Planned against printed memory](predicted-against-published.svg)"
}

function print_judged() {
    print "\n## Statistics\n"
    print_statistics()
    print ""
    wrapped("Median, mean and 90th percentile are of the error's size; \"signed\" is the median with its sign, below " \
            "0 where the plan is too low. The targets are the project's own:", "")
    print ""
    print_targets()
    print "\nThe same with the library. CI has no cuDNN and does not check this table:\n"
    copied(library)
    print "\n## Intervals\n"
    wrapped("Runs inside their 50 and 90 % intervals, in percent. A run's own repository is left out of what its " \
            "intervals are from. A run for which there is no interval counts as a row, but in neither share.", "")
    print ""
    print "| runs                                             | rows |   50 % |   90 % |"
    print "| :----------------------------------------------- | ---: | -----: | -----: |"
    copied(cover)
}

function print_baselines() {
    print "\n## Beside simpler answers, on the same rows\n"
    wrapped("**The rule of thumb** that is copied from page to page: parameters x 4 B x 3, and the batch's images in " \
            "fp32. It has no activations and no workspaces.", "")
    print ""
    print_heading()
    print row_of("rule of thumb: own processes, under 200 boxes", "thumb A<200")
    print row_of("rule of thumb: own processes", "thumb A")
    print row_of("rule of thumb: own processes and notebooks", "thumb A and B")
    print ""
    wrapped("**AutoBatch's line** needs the GPU: it measures batches 1, 2, 4, 8 and 16 and draws a line through " \
            "them. These published runs have the model, the image size and the GPU of a published table, though " \
            "not its data set or versions. A training step also holds the loss, the optimizer and the averaged " \
            "weights:", "")
    print ""
    print_trained()
    print ""
    wrapped("And how well the line through a table's 1, 2, 4 and 8 tells the table's own 16, beside our plan of that " \
            "16, which measured nothing:", "")
    print ""
    print_sixteen()
    print ""
    wrapped("**PyTorch's fake-tensor memory tracker** was not run. It runs the training code itself on tensors " \
            "without storage, so it needs that code, and PyTorch, in the version of each row.", "")
}

function print_left_out() {
    print "\n## What these numbers leave out\n"
    wrapped("- YOLO's GPU_mem is of the whole process. Where another model or an earlier training still held memory, " \
            "as in a notebook, it prints more than this training's.", "  ")
    wrapped("- It is the first epoch's, at the last batch. Validation and later epochs are planned, but not judged " \
            "here.", "  ")
    wrapped("- The " n_own " own processes ran on these GPUs: " gpus "." (gpus == "t4, rtx2070" ? \
            " Both are Turing. Other architectures are judged by notebooks only." : ""), "  ")
    wrapped("- Workspaces are of cuDNN 9.19.0, on Pascal of 9.10.2 (" pascal " rows). The runs had cuDNN 7, 8 or 9, " \
            "whichever their PyTorch came with.", "  ")
    wrapped("- " old " rows ran PyTorch 1.12 or older, which called cuDNN's v7 interface, where deterministic " \
            "convolutions have fixed algorithms. On Turing the library is asked for the engines that stand for them " \
            "([results/fixed-algorithms](../fixed-algorithms/README.md)), without it their workspaces are worked " \
            "out; other GPUs have cuDNN 9's ranking in their place.", "  ")
    wrapped("- How many boxes the fullest image had is in no log; that of the last batch stands for it. YOLOv8's " \
            "assigner grows with it.", "  ")
    wrapped("- Printed values have three digits: 1 % below 10.", "  ")
    wrapped("- Rows of one repository are mostly one configuration again; here each counts as a row.", "  ")
    print "\nRows of train_logs_best.csv that are not judged:\n"
    copied(skipped)
}

function print_page() {
    print_head()
    print_judged()
    print_baselines()
    print "\n## The worst ten\n"
    print_worst()
    print_left_out()
    print "\n## To get this page again\n"
    print "    tests/docs/accuracy.sh              # writes it, the chart and README.md's section"
    print "    tests/docs/accuracy.sh --check      # fails where they are not what is committed"
    print "    tests/docs/accuracy.sh --library    # asks cuDNN for the second table of statistics, then writes"
}

# With the library asked, as its table of the page has it: L[name, "median"], "p90" and "signed".
function read_library(    line, row, name) {
    while ((getline line <library) > 0)
        if (split(line, row, "|") == 8 && row[3] + 0 > 0) {
            name = row[2] ~ /under 200/ ? "A<200" : row[2] ~ /notebooks/ ? "A and B" : \
                   row[2] ~ /AutoBatch/ ? "tables" : "A"
            L[name, "median"] = row[4]
            L[name, "p90"] = row[6]
            L[name, "signed"] = row[7]
        }
    close(library)
}

function readme_row(label, name, target) {
    printf "| %s | %d | %.1f | %.1f | %+.1f | %.1f | %.1f | %s |\n", label, S[name, "rows"], L[name, "median"],
           L[name, "p90"], L[name, "signed"], S[name, "median"], S[name, "p90"], target
}

# The intervals' row of all runs, in one line.
function print_held(    line, row) {
    while ((getline line <cover) > 0)
        if (line ~ /notebooks/) {
            split(line, row, "|")
            printf "Of all runs %.1f %% lie inside their 90 %% interval and %.1f %% inside their 50 %% interval, " \
                   "each judged by\nthe runs of other repositories.\n", row[5], row[4]
        }
    close(cover)
}

function print_readme() {
    read_library()
    print "Plans beside what published runs printed, with no calibration: errors in percent. First as planned where"
    print "cuDNN 9.19.0 is there to be asked, then without it, from the tables that ship, which CI checks. The targets"
    print "are judged with the library:"
    print ""
    print "| runs | rows | median | 90 % | signed | tables: median | 90 % | target |"
    print "| :--- | ---: | -----: | ---: | -----: | -------------: | ---: | :----- |"
    readme_row("own processes, under 200 boxes", "A<200", "median 3.5: " verdict(L["A<200", "median"], 3.5) \
               "; 90 % 10: " verdict(L["A<200", "p90"], 10))
    readme_row("own processes", "A", "")
    readme_row("own processes and notebooks", "A and B", "median 5: " verdict(L["A and B", "median"], 5))
    readme_row("AutoBatch's clean tables", "tables", "median 6: " verdict(L["tables", "median"], 6) \
               "; signed 4: " verdict(L["tables", "signed"], 4))
    print ""
    printf "The copied rule of thumb is off by %.1f %% in the median of all runs.\n", S["thumb A and B", "median"]
    print ""
    print_held()
    print ""
    print "![Planned against printed memory](results/accuracy/predicted-against-published.svg)"
    print ""
    print "[The accuracy page](results/accuracy/README.md) has all of it: simpler answers too, and the worst ten."
}
