# SPDX-License-Identifier: Apache-2.0
# The help of one command as a part of the man page; with keys=1, the table of keys.
function plain(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    sub(/^\./, "\\\\\\&.", text)
    sub(/^'/, "\\\\\\&'", text)
    return text
}

keys {
    split($0, cell, / *\| */)
    if (cell[2] == "" || cell[2] == "key" || cell[2] ~ /^---/)
        next
    printf ".TP\n\\fB%s\\fR = %s%s\n%s\n", plain(cell[2]), plain(cell[3]),
        cell[4] == "" ? "" : " (" plain(cell[4]) ")", plain(cell[5])
    next
}

/^usage: / {
    printf ".SS %s\n.B %s\n", plain(name), plain(substr($0, 8))
    printf ".PP\n"
    part = "summary"
    next
}
/^(options|examples):$/ {
    if (part == "examples")
        print ".EE"
    part = substr($0, 1, length($0) - 1)
    if (part == "examples")
        printf ".PP\nExamples:\n.PP\n.EX\n"
    next
}
part == "options" && /^  --/ {
    match($0, /^  [^ ]+( [^ ]+)?/)
    split(substr($0, 3, RLENGTH - 2), word, " ")
    text = substr($0, 3 + length(word[1]))
    argument = match(text, /^ [^ ]/) ? word[2] : ""
    sub(/^ +/, "", text)
    if (argument != "")
        text = substr(text, length(argument) + 1)
    sub(/^ +/, "", text)
    printf ".TP\n\\fB%s\\fR%s\n", plain(word[1]), argument == "" ? "" : " \\fI" plain(argument) "\\fR"
    if (text != "")
        print plain(text)
    next
}
part == "options" {
    sub(/^ +/, "")
    if ($0 != "")
        print plain($0)
    next
}
part == "summary" && $0 == "" { next }
{ print plain($0) }
END {
    if (part == "examples")
        print ".EE"
}
