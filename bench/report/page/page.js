/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting, filters and the calculator. Texts of the data reach the page as text alone. The arithmetic is that of
 * bench/fit/bands.c, calibration.c, calibration_find.c and estimate.c, on the same doubles. */
"use strict";
(function () {
    const GIB = 1073741824;
    const LEAST_PROBABILITY = 1e-6, ROUNDING = 1e-9, MAX_BATCH = 4096;
    const data = JSON.parse(document.getElementById("data").textContent);
    const byId = (id) => document.getElementById(id);

    function element(name, text, attributes) {
        const made = document.createElement(name);
        if (text !== undefined)
            made.textContent = text;
        for (const key in attributes || {})
            made.setAttribute(key, attributes[key]);
        return made;
    }

    /* Tables: a heading sorts by its column, again the other way round; what is empty stays last. */
    function valueOf(row, column, isNumber) {
        const text = row.cells[column].textContent;
        if (!isNumber)
            return text;
        return text === "" ? null : Number(text);
    }

    function sort(table, heading, column) {
        const isNumber = heading.classList.contains("n");
        const isDown = heading.getAttribute("aria-sort") === "ascending";
        const body = table.tBodies[0];
        const rows = Array.from(body.rows, (row) => [valueOf(row, column, isNumber), row]);
        const sign = isDown ? -1 : 1;
        const order = new Intl.Collator("en", { numeric: true }).compare;
        rows.sort(function (a, b) {
            if (a[0] === null || b[0] === null)
                return (a[0] === null) - (b[0] === null);
            return sign * (isNumber ? a[0] - b[0] : order(a[0], b[0]));
        });
        for (const other of table.tHead.rows[0].cells)
            other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", isDown ? "descending" : "ascending");
        const sorted = document.createDocumentFragment();
        rows.forEach((row) => sorted.append(row[1]));
        body.append(sorted);
    }

    function makeSortable(table) {
        Array.from(table.tHead.rows[0].cells).forEach(function (heading, column) {
            const button = element("button", heading.textContent, { type: "button" });
            heading.replaceChildren(button);
            button.addEventListener("click", () => sort(table, heading, column));
        });
    }

    /* Filters: of rows by their kind, of charts by their series. */
    function chosen(name) {
        const boxes = document.querySelectorAll("#filters input[name=" + name + "]");
        return new Set(Array.from(boxes).filter((box) => box.checked).map((box) => box.value));
    }

    function filter() {
        const models = chosen("model"), precisions = chosen("precision");
        let shown = 0, all = 0;
        for (const row of document.querySelectorAll("tr[data-k]")) {
            const kind = data.kinds[row.dataset.k];
            row.hidden = !(models.has(kind.model) && precisions.has(kind.precision));
            if (row.closest("#points")) {
                all++;
                shown += row.hidden ? 0 : 1;
            }
        }
        for (const series of document.querySelectorAll(".series"))
            series.hidden = !(models.has(series.dataset.model) && precisions.has(series.dataset.precision));
        byId("shown").textContent = shown + " of " + all + " points are shown";
    }

    /* Bands: bounds and probabilities from steps of [log ratio, weight], ascending. */
    function bound(band, sign, outside) {
        const steps = band.steps, n = steps.length, all = band.repositories + 1;
        const fromSide = (i) => steps[sign > 0 ? i : n - 1 - i];
        const scale = band.shape[sign > 0 ? 2 : 1];
        let beyond = 1, i = n;
        if (beyond > outside * all + ROUNDING)
            return sign * fromSide(n - 1)[0] + scale * Math.log(beyond / (outside * all));
        for (; i > 1; i--) {
            const inner = sign * fromSide(i - 2)[0], [ratio, weight] = fromSide(i - 1);
            if (beyond + weight >= outside * all - ROUNDING)
                return sign * ratio - (sign * ratio - inner) * (outside * all - beyond) / weight;
            beyond += weight;
        }
        return sign * fromSide(0)[0];
    }

    function interval(band, widening, bytes, share) {
        const outside = (1 - share) / 2, middle = band.shape[0];
        const at = (distance) => bytes * Math.exp(middle + widening * (distance - middle));
        return [at(-bound(band, -1, outside)), at(bound(band, 1, outside))];
    }

    function probability(band, widening, bytes, usable) {
        const [middle, low, high] = band.shape, steps = band.steps, all = band.repositories + 1;
        const at = middle + (Math.log(Math.max(usable, 1) / bytes) - middle) / widening;
        const first = steps[0], last = steps[steps.length - 1];
        let fits = 0;
        if (at > last[0])
            fits = 1 - Math.exp(-(at - last[0]) / high) / all;
        else if (at <= first[0])
            fits = first[1] * Math.exp(-(first[0] - at) / low) / all;
        else {
            let i = 0;
            for (; steps[i][0] < at; i++)
                fits += steps[i][1] / all;
            fits += steps[i][1] / all * (at - steps[i - 1][0]) / (steps[i][0] - steps[i - 1][0]);
        }
        return Math.min(Math.max(fits, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY);
    }

    /* Plans: nodes by image size; [batch, planned, apart, ran out] each. */
    function groupNodes(ask) {
        ask.sizes = [];
        for (const [imgsz, ...node] of ask.nodes) {
            const last = ask.sizes[ask.sizes.length - 1];
            if (last && last.imgsz === imgsz)
                last.nodes.push(node);
            else
                ask.sizes.push({ imgsz: imgsz, nodes: [node] });
        }
    }

    /* Of ascending keys, the places of the two between which `key` lies, or that are nearest. */
    function around(keys, key) {
        let high = 1;
        while (high < keys.length - 1 && keys[high] < key)
            high++;
        return [high - 1, high];
    }

    /* How far a key lies outside of others, as a share of the nearest. */
    function outside(key, least, most) {
        if (key > most)
            return key / most - 1;
        return key < least && key > 0 ? 1 - key / least : 0;
    }

    const line = (x, x0, x1, y0, y1) => y0 + (y1 - y0) * ((x - x0) / (x1 - x0));

    /* null: there are too few plans. */
    function planAtSize(size, batch) {
        const nodes = size.nodes, keys = nodes.map((node) => node[0]);
        const same = nodes.find((node) => node[0] === batch);
        if (same)
            return { planned: same[1], apart: same[2], ranOut: same[3] === 1, isPlanned: true, outside: 0 };
        if (nodes.length < 2)
            return null;
        const [low, high] = around(keys, batch);
        const at = (k) => line(batch, keys[low], keys[high], nodes[low][k], nodes[high][k]);
        return { planned: at(1), apart: at(2), ranOut: false, isPlanned: false,
                 outside: outside(batch, keys[0], keys[keys.length - 1]) };
    }

    function plan(ask, imgsz, batch) {
        const same = ask.sizes.find((size) => size.imgsz === imgsz);
        if (same)
            return planAtSize(same, batch);
        if (ask.sizes.length < 2)
            return null;
        const keys = ask.sizes.map((size) => size.imgsz * size.imgsz);
        const [low, high] = around(keys, imgsz * imgsz);
        const a = planAtSize(ask.sizes[low], batch), b = planAtSize(ask.sizes[high], batch);
        if (!a || !b)
            return null;
        const at = (k) => line(imgsz * imgsz, keys[low], keys[high], a[k], b[k]);
        const beyond = outside(imgsz * imgsz, keys[0], keys[keys.length - 1]);
        return { planned: at("planned"), apart: at("apart"), ranOut: false, isPlanned: false,
                 outside: Math.max(beyond, a.outside, b.outside) };
    }

    /* A calibration's value for a point, and how far the fit alone is sure of it. */
    function calibrated(ask, planned, imgsz, batch) {
        const of = ask.calibration, p = planned ? planned.planned + ask.context : 0;
        const apart = planned ? planned.apart + ask.context : 0, pixels = batch * imgsz * imgsz;
        const rows = { apart: [apart, p - apart, GIB], plan: [p, GIB], pixels: [pixels, GIB], batch: [batch, GIB] };
        const sizes = { apart: p, plan: p, pixels: pixels, batch: batch };
        const row = rows[of.form], n = row.length;
        let value = 0, square = 0;
        for (let k = 0; k < n; k++) {
            value += of.coefficients[k] * row[k];
            for (let m = 0; m < n; m++)
                square += row[k] * of.covariance[k * n + m] * row[m];
        }
        return { bytes: value, sure: value > 0 ? Math.sqrt(Math.max(square, 0)) / value / of.spread : 0,
                 outside: outside(sizes[of.form], ask.range[0], ask.range[1]) };
    }

    const needsPlan = (ask) => !ask.calibration || ask.calibration.form === "apart" || ask.calibration.form === "plan";

    function ranOut(ask, planned, imgsz, batch) {
        if (!planned || planned.isPlanned)
            return planned !== null && planned.ranOut;
        return planned.planned > ask.usable || ask.ran_out.some((of) => of[0] === imgsz && batch >= of[1]);
    }

    /* The answer for one batch; null: nothing can be said. */
    function answer(ask, asked, batch) {
        const planned = plan(ask, asked.imgsz, batch);
        if (!planned && needsPlan(ask))
            return null;
        const unlike = ask.unlike.slice(), of = ask.calibration ? calibrated(ask, planned, asked.imgsz, batch)
                                                                 : { bytes: planned.planned, sure: 0, outside: 0 };
        if (!(of.bytes > 0))
            return null;
        if (of.outside > 0)
            unlike.push("outside the measured range");
        if (!ask.calibration && (of.bytes < ask.range[0] || of.bytes > ask.range[1]))
            unlike.push("size of the plan");
        if (planned && !planned.isPlanned && needsPlan(ask))
            unlike.push(planned.outside > 0 ? "outside the planned points" : "between planned points");
        const context = ask.calibration ? ask.context : 0, limit = (asked.memory || ask.usable) + context;
        const out = { batch: batch, need: of.bytes - context, usable: limit - context, unlike: unlike,
                      outside: of.outside, planned: planned, ranOut: ranOut(ask, planned, asked.imgsz, batch),
                      verdict: "CANNOT TELL" };
        if (!ask.band)
            return out;
        out.widening = Math.sqrt((1 + unlike.length) * (1 + of.sure * of.sure));
        out.probability = probability(ask.band, out.widening, of.bytes, limit);
        const shifted = (pair) => [Math.max(pair[0] - context, 0), pair[1] - context];
        out.in50 = shifted(interval(ask.band, out.widening, of.bytes, 0.5));
        out.in90 = shifted(interval(ask.band, out.widening, of.bytes, 0.9));
        if (1 - out.probability <= asked.risk)
            out.verdict = !ask.calibration && out.ranOut ? "TIGHT" : "FITS";
        else
            out.verdict = out.probability >= 0.5 ? "TIGHT" : "DOES NOT FIT";
        return out;
    }

    function largestBatch(ask, asked) {
        for (let batch = MAX_BATCH; batch > 0; batch--) {
            const found = answer(ask, asked, batch);
            if (found && found.verdict === "FITS" && !found.ranOut)
                return batch;
        }
        return 0;
    }

    /* What is shown of it. */
    const gib = (bytes) => (bytes / GIB).toFixed(2) + " GiB";
    const percent = (share) => (share * 100).toFixed(share < 0.1 ? 1 : 0) + " %";

    function chance(p) {
        if (p < 0.001)
            return "< 0.001";
        if (p > 0.999)
            return "> 0.999";
        return "= " + p.toFixed(p > 0.99 || p < 0.01 ? 3 : 2);
    }

    const words = { "FITS": "Fits", "TIGHT": "Tight", "DOES NOT FIT": "Does not fit", "CANNOT TELL": "Cannot tell" };

    function scale(found) {
        const most = Math.max(found.in90[1], found.usable) * 1.05, made = element("div", "", { class: "scale" });
        const put = function (name, from, to) {
            const bar = element("i", "", { class: name });
            bar.style.left = 100 * from / most + "%";
            if (to !== undefined)
                bar.style.width = 100 * (to - from) / most + "%";
            made.append(bar);
        };
        made.setAttribute("aria-hidden", "true");
        put("in90", found.in90[0], found.in90[1]);
        put("in50", found.in50[0], found.in50[1]);
        put("need", found.need);
        put("limit", found.usable);
        return made;
    }

    function basis(ask) {
        const kind = data.kinds[ask.kind], stack = data.stacks[kind.stack], of = ask.calibration;
        if (of)
            return "modelled: calibrated on " + of.points + " points measured on " + of.gpu + ", driver " +
                (of.driver || "unknown") + ", cuDNN " + (of.cudnn || "unknown") + ", " + of.date + "; form " + of.form +
                ", coefficients " + of.coefficients.map((value) => value.toPrecision(4)).join(", ");
        return "planned for " + stack.gpu + (stack.cudnn ? ", cuDNN " + stack.cudnn : "") +
            (ask.band ? "; band from how far plans were off for " + ask.band.steps.length + " published runs" : "");
    }

    /* What is not as in the points that the answer rests on; nothing is extrapolated in silence. */
    function cautions(ask, found) {
        const list = [];
        if (found.outside > 0)
            list.push("Extrapolated: the question lies " + percent(found.outside) + " outside the measured range.");
        if (found.planned && !found.planned.isPlanned && needsPlan(ask))
            list.push(found.planned.outside > 0
                ? "Extrapolated: the question lies " + percent(found.planned.outside) + " outside the planned points."
                : "Between planned points: the plan is interpolated.");
        if (found.ranOut)
            list.push("The plan itself runs out of the GPU's memory.");
        if (found.unlike.length > 0 && found.widening)
            list.push("Unlike what it rests on: " + found.unlike.join(", ") + "; bands are " +
                found.widening.toFixed(2) + " times as wide.");
        return list;
    }

    function show(ask, asked, found, largest) {
        const box = byId("answer"), list = element("dl"), verdict = element("p", undefined, { class: "verdict" });
        const tell = (name, text) => list.append(element("dt", name), element("dd", text));
        box.replaceChildren(verdict);
        box.dataset.verdict = found.verdict;
        verdict.append(element("strong", words[found.verdict]),
            ": " + gib(found.need) + " of " + gib(found.usable) + (asked.memory ? " allowed" : " usable"));
        for (const key of ["need", "usable", "probability", "widening"])
            box.dataset[key] = found[key] === undefined ? "" : found[key];
        box.dataset.outside = found.outside || (found.planned ? found.planned.outside : 0);
        box.dataset.in90 = (found.in90 || []).join(" ");
        box.dataset.in50 = (found.in50 || []).join(" ");
        box.dataset.largest = largest;
        if (ask.band) {
            box.append(scale(found));
            tell("Chance that it fits", "P " + chance(found.probability) + ", at a risk of " + asked.risk * 100 + " %");
            tell("50 % band", gib(found.in50[0]) + " to " + gib(found.in50[1]));
            tell("90 % band", gib(found.in90[0]) + " to " + gib(found.in90[1]));
            tell("Largest batch that fits", largest > 0 ? String(largest) : "none");
        } else {
            tell("No band", ask.reason);
        }
        tell("Figures are", basis(ask));
        cautions(ask, found).forEach((text) => list.append(element("dt", "Caution"), element("dd", text, { class: "warn" })));
        box.append(list);
    }

    function calculate(form, ask) {
        const fields = form.elements, box = byId("answer");
        const asked = { imgsz: Number(fields.imgsz.value), risk: Number(fields.risk.value) / 100,
                        memory: Math.round(Number(fields.memory.value) * GIB) };
        const bad = Array.from(fields).find((field) => !field.checkValidity());
        const found = bad ? null : answer(ask, asked, Number(fields.batch.value));
        if (found) {
            show(ask, asked, found, ask.band ? largestBatch(ask, asked) : 0);
            return;
        }
        for (const key of Object.keys(box.dataset))
            delete box.dataset[key];
        box.replaceChildren(element("p", bad
            ? bad.labels[0].firstChild.textContent.trim() + ": " + bad.validationMessage
            : "Nothing is known of such a point: there are plans for too few batches and image sizes."));
    }

    /* The fields: models, their precisions, what else tells what can be asked apart. */
    function fill(select, values, texts) {
        const before = select.value;
        select.replaceChildren(...values.map((value, i) => element("option", texts[i], { value: value })));
        if (values.map(String).includes(before))
            select.value = before;
    }

    const distinct = (values) => Array.from(new Set(values));

    function chooseFields(form) {
        const fields = form.elements, kindOf = (ask) => data.kinds[ask.kind];
        const ofModel = data.asks.filter((ask) => kindOf(ask).model === fields.model.value);
        const precisions = distinct(ofModel.map((ask) => kindOf(ask).precision));
        fill(fields.precision, precisions, precisions);
        const left = ofModel.filter((ask) => kindOf(ask).precision === fields.precision.value);
        fill(fields.ask, left.map((ask) => data.asks.indexOf(ask)), left.map(function (ask) {
            const stack = data.stacks[kindOf(ask).stack];
            return kindOf(ask).settings + "; " + stack.provenance + ", " + (stack.gpu || stack.device) +
                (data.stacks.length > 1 ? " (source " + (kindOf(ask).stack + 1) + ")" : "");
        }));
    }

    function update(form) {
        chooseFields(form);
        const ask = data.asks[form.elements.ask.value];
        byId("sizes").replaceChildren(...ask.sizes.map((size) => element("option", undefined, { value: size.imgsz })));
        form.elements.memory.placeholder = (ask.usable / GIB).toFixed(2);
        calculate(form, ask);
    }

    function startCalculator() {
        const form = byId("calculator");
        byId("unasked").hidden = data.asks.length > 0;
        form.addEventListener("submit", (event) => event.preventDefault());
        if (data.asks.length === 0)
            return;
        data.asks.forEach(groupNodes);
        const models = distinct(data.asks.map((ask) => data.kinds[ask.kind].model));
        fill(form.elements.model, models, models);
        chooseFields(form);
        const ask = data.asks[form.elements.ask.value], size = ask.sizes[ask.sizes.length >> 1];
        const batches = size ? size.nodes.map((node) => node[0]) : [16];
        form.elements.imgsz.value = size ? size.imgsz : 640;
        form.elements.batch.value = batches.includes(16) ? 16 : batches[batches.length >> 1];
        form.hidden = false;
        form.addEventListener("input", () => update(form));
        update(form);
    }

    document.querySelectorAll("table").forEach(makeSortable);
    byId("filters").hidden = false;
    byId("filters").addEventListener("input", filter);
    filter();
    startCalculator();
})();
