"use strict";
// One rollout: its time line, the answer latency enlarged, and what was read and written, in order.
// Whatever a model or a data set wrote goes on the page as text, never as markup.
const drawing = (() => {
  const seconds = (value) => `${value.toFixed(2)} s`;
  const count = (n) => `${n} token${n === 1 ? "" : "s"}`;
  const percent = (share) => `${Math.round(100 * share)} %`;
  const verdict = (one) => (one.right ? "✓ right" : "✗ wrong");
  const lastArrival = (one) => one.arrive[one.arrive.length - 1];
  const failures = { out_of_tokens: "cut off at the cap", malformed: "malformed" };

  function element(tag, className, ...content) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...content); // a string becomes a text node
    return made;
  }

  // ---- pictures: the numbers are in their labels and in the list below them

  function bar(kind, from, to, total, text = "") {
    const made = element("span", `bar ${kind}`, text);
    made.style.left = `${(100 * from) / total}%`;
    made.style.width = `${(100 * Math.max(0, to - from)) / total}%`;
    return made;
  }

  function scale(total) {
    return [element("span", "scale start", "0 s"), element("span", "scale stop", seconds(total))];
  }

  function picture(className, label, ...bars) {
    const made = element("div", className, ...bars);
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", label);
    return made;
  }

  function timeline(one, total) {
    const last = lastArrival(one);
    const bars = one.arrive.map((arrived, k) => {
      const from = k ? one.arrive[k - 1] : 0;
      return bar("input", from, arrived, total, (arrived - from) / total > 0.04 ? `${k + 1}` : "");
    });
    one.ends.forEach((_, k) => {
      const [start, finish] = [one.start[k], one.finish[k]];
      if (start < last) bars.push(bar("hidden", start, Math.min(finish, last), total));
      if (finish > last) bars.push(bar("waited", Math.max(start, last), finish, total));
    });
    bars.push(bar("waited", last + one.backlog, last + one.end, total));
    const ended = element("span", "ended");
    ended.style.left = `${(100 * last) / total}%`;
    const label =
      `The input ends at ${seconds(last)}; the answer comes ${seconds(one.answerLatency)} later. ` +
      `${percent(one.overlap)} of the writing was hidden behind reading.`;
    return picture("timeline", label, ...bars, ended, ...scale(total));
  }

  function enlarged(one, total) {
    const parts = [
      ["backlog", 0, one.backlog, "thoughts unfinished"],
      ["reading", one.backlog, one.deepStart, "reading the end"],
      ["waited", one.deepStart, one.answerLatency, "deep part, up to the answer"],
      ["after", one.answerLatency, one.end, "after the answer"],
    ].filter(([, from, to]) => to - from >= 0.005);
    const said = parts.map(([, from, to, name]) => `${name} ${seconds(to - from)}`);
    const bars = parts.map(([kind, from, to]) => bar(kind, from, to, total));
    const key = element(
      "p",
      "legend parts",
      ...parts.map(([kind], n) => element("span", kind, said[n])),
    );
    const label = `The answer latency, enlarged: ${said.join(", ")}.`;
    const title = element("p", "enlarged", "The answer latency, enlarged");
    return [title, picture("timeline zoomed", label, ...bars, ...scale(total)), key];
  }

  function legend() {
    return element(
      "p",
      "legend",
      element("span", "input", "sentences arrive"),
      element("span", "hidden", "writes, hidden behind reading"),
      element("span", "waited", "writes while the user waits"),
    );
  }

  // ---- words

  function event(when, ...parts) {
    return element("li", "", element("time", "", seconds(when)), element("div", "", ...parts));
  }

  function thought(one, k) {
    const behind = one.finish[k] - lastArrival(one);
    const made = element("p", behind > 0 ? "thought waited" : "thought");
    if (one.ends[k] === "skip") made.append(element("span", "note", "skips"), " ");
    else if (one.thoughts[k]) made.append(element("span", "words", one.thoughts[k]), " ");
    if (failures[one.ends[k]]) made.append(element("span", "failed", failures[one.ends[k]]), " ");
    const where = behind > 0 ? `${seconds(behind)} behind the last sentence` : "hidden behind reading";
    made.append(
      element("span", "note", `${count(one.tokens[k])}, done at ${seconds(one.finish[k])}, ${where}`),
    );
    return made;
  }

  function sentence(chunk, k) {
    return element("p", "sentence", element("span", "number", `${k + 1} `), chunk);
  }

  function events(question, one) {
    const last = lastArrival(one);
    const made = element("ol", "events");
    question.chunks.forEach((chunk, k) => {
      const written = k < one.ends.length ? [thought(one, k)] : [];
      made.append(event(one.arrive[k], sentence(chunk, k), ...written));
    });
    const note = element("span", "note", `deep part, ${count(one.deepTokens)}`);
    const deep = element("p", "thought waited", element("span", "words", one.deep), " ", note);
    made.append(event(last + one.deepStart, deep));
    const answer = element("p", "", one.answer === "" ? "no answer " : `answer ${one.answer} `);
    if (failures[one.ending]) answer.append(element("span", "failed", failures[one.ending]), " ");
    answer.append(element("span", "note", `expected ${question.gold}`));
    made.append(event(last + one.answerLatency, answer));
    return made;
  }

  // Two rollouts beside each other are drawn to the same scale.
  function article(name, question, one, shown) {
    const whole = Math.max(...shown.map((each) => lastArrival(each) + each.end)) || 1;
    const waiting = Math.max(...shown.map((each) => each.end)) || 1;
    const mark = element("span", `verdict ${one.right ? "right" : "wrong"}`, verdict(one));
    const facts =
      `answer latency ${seconds(one.answerLatency)}, of it backlog ${seconds(one.backlog)}; ` +
      `${percent(one.overlap)} of the writing hidden`;
    return element(
      "article",
      "",
      element("h3", "", element("span", "", name), " ", mark),
      element("p", "facts", facts),
      timeline(one, whole),
      legend(),
      ...enlarged(one, waiting),
      events(question, one),
    );
  }

  return { element, article, seconds, verdict };
})();
