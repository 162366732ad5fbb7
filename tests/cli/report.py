#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page of 'vrambench report' in a browser: what it sorts, filters and answers, by real clicks and keys, against
what 'vrambench estimate' says; that it asks nobody for anything, fits its window, and survives hostile texts.
    report.py PROGRAM FOLDER    FOLDER has results that report.sh made, each with its report.html"""
import json
import subprocess
import sys

import browser

FAILURES = 0
WIDTHS = ((1280, False), (390, True))


def check(is_so, what):
    global FAILURES
    if not is_so:
        FAILURES += 1
        print("FAILED: " + what)


def rows(page, column):
    """Texts of a column of the points that are shown."""
    return page.evaluate("""Array.from(document.querySelectorAll("#points tbody tr")).filter((row) => !row.hidden)
        .map((row) => row.cells[%d].textContent)""" % column)


def heading(column):
    return "#points th:nth-child(%d) button" % (column + 1)


def sort_of(page, column):
    return page.evaluate("document.querySelector('#points th:nth-child(%d)').getAttribute('aria-sort')" % (column + 1))


def check_requests(page, path):
    """Nothing but the page itself and what is written in it."""
    asked = [event["params"]["request"]["url"] for event in page.events
             if event.get("method") == "Network.requestWillBeSent"]
    elsewhere = [url for url in asked if not url.startswith(("file://" + path, "data:"))]
    check(asked and not elsewhere, "%s asks for %s" % (path, elsewhere or "nothing, not even itself"))
    faults = [event["params"] for event in page.events
              if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening")]
    check(not faults, "%s: %s" % (path, json.dumps(faults)[:500]))


def check_sorting(page):
    batch, reserved, model = 4, 7, 0
    page.click(heading(batch))
    values = [int(text) for text in rows(page, batch)]
    check(sort_of(page, batch) == "ascending" and values == sorted(values) and len(set(values)) > 1,
          "a click does not sort by batch")
    page.click(heading(batch))
    values = [int(text) for text in rows(page, batch)]
    check(sort_of(page, batch) == "descending" and values == sorted(values, reverse=True),
          "a second click does not sort the other way round")
    for key, code, text, way in (("Enter", 13, "\r", "ascending"), (" ", 32, " ", "descending")):
        page.evaluate("document.querySelector('%s').focus()" % heading(reserved))
        page.key(key, code, text)
        texts = rows(page, reserved)
        values = [float(text) for text in texts if text]
        check(sort_of(page, reserved) == way and values == sorted(values, reverse=way == "descending"),
              "the key '%s' does not sort by memory, %s" % (key, way))
        check("" in texts and "" not in texts[:len(values)], "what ran out of memory does not stand last")
    check(sort_of(page, batch) is None, "two columns say that they are sorted by")
    page.click(heading(model))
    check(rows(page, model) == sorted(rows(page, model)), "a click does not sort by model")


def check_filters(page):
    precisions, models = set(rows(page, 1)), set(rows(page, 0))
    n = len(rows(page, 0))
    check(precisions == {"fp32", "fp16"} and models == {"yolov5n", "yolov8n"}, "the page has not all that was swept")
    page.click("#filters input[value=fp32]")
    check(set(rows(page, 1)) == {"fp16"}, "fp32 is shown though it is not asked for")
    check(page.evaluate("document.querySelector('#shown').textContent") == "%d of %d points are shown"
          % (len(rows(page, 0)), n), "the count is wrong")
    shown = page.evaluate("""Array.from(document.querySelectorAll(".series")).filter((of) => !of.hidden)
        .map((of) => of.dataset.precision)""")
    check(set(shown) <= {"fp16"}, "charts of fp32 are shown")
    page.evaluate("document.querySelector('#filters input[value=yolov8n]').focus()")
    page.key(" ", 32, " ")
    check(set(rows(page, 0)) == {"yolov5n"}, "the key ' ' does not filter by model")
    page.click("#filters input[value=fp32]")
    page.click("#filters input[value=yolov8n]")
    check(len(rows(page, 0)) == n, "not all points are back")


def ask(page, model, precision, imgsz, batch, memory="", risk="5"):
    page.choose("#calculator [name=model]", model)
    page.choose("#calculator [name=precision]", precision)
    for name, text in (("imgsz", imgsz), ("batch", batch), ("memory", memory), ("risk", risk)):
        page.type("#calculator [name=%s]" % name, str(text))
    return page.evaluate("""({text: document.querySelector("#answer").innerText,
        ...document.querySelector("#answer").dataset})""")


def estimate(program, gpu, model, precision, imgsz, batch, memory="", risk="5", calibration=None):
    command = [program, "estimate", "--model", model, "--precision", precision, "--imgsz", str(imgsz), "--batch",
               str(batch), "--gpu", gpu, "--workload", "train", "--risk", risk + "%", "--json"]
    command += ["--budget", memory + "GiB"] if memory else []
    command += ["--calibration", calibration] if calibration else []
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def check_answer(page, truth, question, is_dense=False):
    """To the byte, as far as 'estimate' prints: it rounds to whole ones."""
    got = ask(page, *question)
    what = "asked about %s, the page and 'estimate' differ in " % (question,)
    check(got.get("verdict") == truth["verdict"], what + "the verdict: %s, %s" % (got.get("verdict"), truth["verdict"]))
    low90, high90, low50, high50 = (float(text) for name in ("in90", "in50") for text in got[name].split(" "))
    for name, ours, theirs, allowed in (
            ("need", float(got["need"]), truth["need_bytes"], 0.501), ("low", low90, truth["low_bytes"], 0.501),
            ("high", high90, truth["high_bytes"], 0.501), ("low 50 %", low50, truth["low50_bytes"], 0.501),
            ("high 50 %", high50, truth["high50_bytes"], 0.501),
            ("probability", float(got["probability"]), truth["probability"], 0.501e-6)):
        check(abs(ours - theirs) <= allowed + 1e-12 * abs(theirs), what + "%s: %r, %r" % (name, ours, theirs))
    told = truth.get("calibration", truth.get("band", {}))
    check(abs(float(got["widening"]) - told["widening"]) <= 0.501e-4, what + "the widening")
    check((float(got["outside"]) > 0) == (told.get("outside", 0) > 0), what + "whether it is outside")
    if is_dense:  # from 16 on 'estimate' is content with one of two
        largest, step = int(got["largest"]), 2 if truth["largest_batch"] >= 16 else 0
        check(abs(largest - truth["largest_batch"]) <= step,
              what + "the largest batch: %d, %d" % (largest, truth["largest_batch"]))
    return got


def check_calculator(page, program, folder):
    questions = [("yolov5n", "fp16", 640, 16), ("yolov5n", "fp32", 320, 1), ("yolov8n", "fp32", 640, 8, "1.6"),
                 ("yolov8n", "fp16", 320, 64, "2"), ("yolov5n", "fp32", 640, 64, "", "1"),
                 ("yolov8n", "fp32", 640, 128)]
    for name, calibration in (("plan", None), ("run", folder + "/run")):
        page.open(folder + "/%s/report.html" % name)
        for question in questions:
            got = check_answer(page, estimate(program, "t4", *question, calibration=calibration), question)
            check(("measured" if calibration else "planned for Tesla T4") in got["text"],
                  "%s: what the figures are is not told: %s" % (name, got["text"]))
    got = ask(page, "yolov5n", "fp16", 640, 512)
    check("outside the measured range" in got["text"] and float(got["outside"]) > 1,
          "a question far outside is not told of: " + got["text"])
    got = ask(page, "yolov5n", "fp16", 480, 11)
    check("Between planned points" in got["text"], "what lies between plans is not told of: " + got["text"])
    got = ask(page, "yolov5n", "fp16", 1920, 4)
    check("outside the planned points" in got["text"], "an image size beyond all plans is not told of")
    for text in ("", "0", "4097", "1.5"):
        got = ask(page, "yolov5n", "fp16", 640, text)
        check("verdict" not in got and got["text"].startswith("Batch:"), "batch '%s' is answered" % text)
    page.open(folder + "/dense/report.html")
    for memory in ("", "3", "1.5", "0.5"):
        question = ("yolov5n", "fp16", 320, 20, memory)
        check_answer(page, estimate(program, "t4", *question), question, memory != "")


def check_unplanned(page, folder):
    """Of a GPU that nothing plans for the form is a plain one: 'estimate' has none, so the file of 'fit' is the truth."""
    page.open(folder + "/unheard/report.html")
    with open(folder + "/unheard/calibration.json", encoding="utf-8") as file:
        of = next(of for of in json.load(file)["calibrations"] if (of["model"], of["precision"]) == ("yolov8n", "fp16"))
    fit = next(fit for fit in of["forms"] if fit["form"] == of["chosen"])
    check(of["chosen"] == "batch-pixels", "form %s was not expected" % of["chosen"])
    # What is beside the pool is the context of the kind's first record.
    with open(folder + "/unheard/rows.jsonl", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    first = next(record for record in records if (record["model"], record["precision"]) == ("yolov8n", "fp16"))
    context = first["peak_device_bytes"] - first["peak_reserved_bytes"]
    for imgsz, batch in ((640, 16), (480, 5), (1280, 64)):
        got = ask(page, "yolov8n", "fp16", imgsz, batch)
        bytes_ = fit["coefficients"][0] * batch * imgsz ** 2 + fit["coefficients"][1] * 2 ** 30
        check(abs(float(got["need"]) - (bytes_ - context)) <= 1e-9 * bytes_, "without plans: %s" % got)
        most = max(point[0] * point[1] ** 2 for point in of["points"])
        check(abs(float(got["outside"]) - max(batch * imgsz ** 2 / most - 1, 0)) < 1e-12, "outside, without plans")


def check_layout(page, path):
    papers = []
    for width, is_mobile in WIDTHS:
        for scheme in ("light", "dark"):
            page.size(width, 900, is_mobile)
            page.media(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
            page.open(path)
            page.evaluate("document.querySelectorAll('details').forEach((of) => of.open = true)")
            wide = page.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
            check(wide <= width, "at %d px, %s, the page is %d px wide" % (width, scheme, wide))
            papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            for selector in ("body", ".note", "#answer dt", "#answer dd", "th", ".s-oom", "nav a", ".verdict strong"):
                contrast = page.evaluate(CONTRAST % json.dumps(selector))
                check(contrast is None or contrast >= 4.5, "%s: the contrast of %s is %s" % (scheme, selector, contrast))
            check(page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto" and
                  page.evaluate("getComputedStyle(document.querySelector('.scale i')).transitionDuration") == "0s",
                  "what asks for less motion gets some")
            small = page.evaluate("""Array.from(document.querySelectorAll("#calculator input, #calculator select"))
                .filter((of) => of.getBoundingClientRect().height < 36).length""")
            check(small == 0, "%d fields are too low for a finger" % small)
    check(papers[0] == papers[2] != papers[1] == papers[3], "dark is not dark: %s" % papers)
    page.media()
    page.size(1280, 900)


# Of the text against what is painted behind it: WCAG 2.1, 1.4.3.
CONTRAST = """((selector) => {
    const numbers = (text) => text.match(/[0-9.]+/g).map(Number);
    const luminance = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
        .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    let at = document.querySelector(selector);
    if (at === null)
        return null;
    const ink = luminance(numbers(getComputedStyle(at).color));
    let paper = numbers(getComputedStyle(at).backgroundColor);
    while (paper.length > 3 && paper[3] === 0) {
        at = at.parentElement;
        paper = numbers(getComputedStyle(at).backgroundColor);
    }
    const other = luminance(paper);
    return (Math.max(ink, other) + 0.05) / (Math.min(ink, other) + 0.05);
})(%s)"""


def check_access(page):
    unnamed = page.evaluate("""Array.from(document.querySelectorAll("input, select, button"))
        .filter((of) => !(of.labels && of.labels.length) && !of.textContent.trim()).length""")
    check(unnamed == 0, "%d fields have no name" % unnamed)
    page.evaluate("document.activeElement.blur()")
    page.key("Tab", 9)
    check(page.evaluate("document.activeElement.className") == "skip", "the first Tab is not the way past the top")
    page.key("Enter", 13, "\r")
    check(page.evaluate("location.hash") == "#points-section", "the way past the top leads nowhere")


def check_without_scripts(page, path):
    page.scripts(False)
    page.open(path)
    shown = page.evaluate("Array.from(document.querySelectorAll('#points tbody tr')).filter((row) => row.offsetHeight > 0).length")
    dead = page.evaluate("Array.from(document.querySelectorAll('button, input, select')).filter((of) => of.offsetHeight > 0).length")
    page.scripts(True)
    check(shown > 0, "without scripts there is no table")
    check(dead == 0, "without scripts %d controls are shown that do nothing" % dead)


def check_hostile(page, folder):
    """Texts as report.sh put them into the records."""
    page.open(folder + "/hostile/report.html")
    check_requests(page, folder + "/hostile/report.html")
    check(page.evaluate("window.caught === undefined && document.querySelectorAll('script').length === 2 && "
                        "document.querySelectorAll('img, iframe, object, link:not([rel=icon])').length === 0"),
          "a text of a record became part of the page")
    with open(folder + "/hostile/rows.jsonl", encoding="utf-8") as lines:
        models = {json.loads(line)["model"] for line in lines}
    check(set(rows(page, 0)) == models, "%s is shown as %s" % (models, set(rows(page, 0))))
    check({*page.evaluate("data = JSON.parse(document.getElementById('data').textContent).kinds.map((of) => of.model)")}
          == models, "the data have other names")
    page.evaluate("document.querySelectorAll('#filters input').forEach((box) => box.click())")
    check(rows(page, 0) == [], "hostile names cannot be filtered")


def main():
    program, folder = sys.argv[1:]
    if browser.program() is None:
        print("no Chromium here")
        sys.exit(77)
    page = browser.Browser()
    try:
        page.size(1280, 900)
        page.media(prefers_reduced_motion="reduce")
        page.open(folder + "/plan/report.html")
        check_requests(page, folder + "/plan/report.html")
        check_access(page)
        check_sorting(page)
        check_filters(page)
        check_calculator(page, program, folder)
        check_unplanned(page, folder)
        check_layout(page, folder + "/plan/report.html")
        check_layout(page, folder + "/run/report.html")
        check_without_scripts(page, folder + "/plan/report.html")
        check_hostile(page, folder)
    finally:
        page.close()
    print("%d failures" % FAILURES)
    sys.exit(FAILURES > 0)


main()
