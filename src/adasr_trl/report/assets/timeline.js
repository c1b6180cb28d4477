"use strict";
// One rollout: its time line, the answer latency enlarged, and what was read and written, in order.
// Whatever a model or a data set wrote goes on the page as text, never as markup.
const drawing = (() => {
  const seconds = (value) => `${value.toFixed(2)} s`;
  const count = (n) => `${n} token${n === 1 ? "" : "s"}`;
  const percent = (share) => `${Math.round(100 * share)} %`;
  const verdict = (rollout) => (rollout.right ? "✓ right" : "✗ wrong");
  const lastArrival = (rollout) => rollout.arrive[rollout.arrive.length - 1];
  const failures = { out_of_tokens: "cut off at the cap", malformed: "malformed" };

  function element(tag, className, ...content) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...content); // a string becomes a text node
    return node;
  }

  // ---- bars: the numbers are in their labels and in the list below them

  function bar(kind, from, to, total, text = "") {
    const node = element("span", `bar ${kind}`, text);
    node.style.left = `${(100 * from) / total}%`;
    node.style.width = `${(100 * Math.max(0, to - from)) / total}%`;
    return node;
  }

  function scale(total) {
    return [element("span", "scale start", "0 s"), element("span", "scale stop", seconds(total))];
  }

  function picture(className, label, ...bars) {
    const node = element("div", className, ...bars);
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", label);
    return node;
  }

  function timeline(rollout, total) {
    const last = lastArrival(rollout);
    const bars = rollout.arrive.map((arrived, k) => {
      const from = k ? rollout.arrive[k - 1] : 0;
      return bar("input", from, arrived, total, (arrived - from) / total > 0.04 ? `${k + 1}` : "");
    });
    rollout.ends.forEach((_, k) => {
      const [start, finish] = [rollout.start[k], rollout.finish[k]];
      if (start < last) bars.push(bar("hidden", start, Math.min(finish, last), total));
      if (finish > last) bars.push(bar("waited", Math.max(start, last), finish, total));
    });
    bars.push(bar("waited", last + rollout.backlog, last + rollout.end, total));
    const ended = element("span", "ended");
    ended.style.left = `${(100 * last) / total}%`;
    const label =
      `The input ends at ${seconds(last)}; the answer comes ${seconds(rollout.answerLatency)} later. ` +
      `${percent(rollout.overlap)} of the writing was hidden behind reading.`;
    return picture("timeline", label, ...bars, ended, ...scale(total));
  }

  function enlarged(rollout, total) {
    const parts = [
      ["backlog", 0, rollout.backlog, "thoughts unfinished"],
      ["reading", rollout.backlog, rollout.deepStart, "reading the end"],
      ["waited", rollout.deepStart, rollout.answerLatency, "deep part, up to the answer"],
      ["after", rollout.answerLatency, rollout.end, "after the answer"],
    ].filter(([, from, to]) => to - from >= 0.005);
    const texts = parts.map(([, from, to, name]) => `${name} ${seconds(to - from)}`);
    const bars = parts.map(([kind, from, to]) => bar(kind, from, to, total));
    const key = element(
      "p",
      "legend parts",
      ...parts.map(([kind], n) => element("span", kind, texts[n])),
    );
    const label = `The answer latency, enlarged: ${texts.join(", ")}.`;
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

  function thought(rollout, k) {
    const behind = rollout.finish[k] - lastArrival(rollout);
    const node = element("p", behind > 0 ? "thought waited" : "thought");
    if (rollout.ends[k] === "skip") {
      node.append(element("span", "note", `skipped (${count(rollout.tokens[k])})`));
      return node;
    }
    if (rollout.thoughts[k]) node.append(element("span", "words", rollout.thoughts[k]), " ");
    if (failures[rollout.ends[k]]) node.append(element("span", "failed", failures[rollout.ends[k]]), " ");
    const where = behind > 0 ? `${seconds(behind)} behind the last sentence` : "hidden behind reading";
    node.append(
      element("span", "note", `${count(rollout.tokens[k])}, done at ${seconds(rollout.finish[k])}, ${where}`),
    );
    return node;
  }

  function sentence(chunk, k) {
    return element("p", "sentence", element("span", "number", `${k + 1} `), chunk);
  }

  function events(question, rollout) {
    const last = lastArrival(rollout);
    const node = element("ol", "events");
    question.chunks.forEach((chunk, k) => {
      const written = k < rollout.ends.length ? [thought(rollout, k)] : [];
      node.append(event(rollout.arrive[k], sentence(chunk, k), ...written));
    });
    const note = element("span", "note", `deep part, ${count(rollout.deepTokens)}`);
    const deep = element("p", "thought waited", element("span", "words", rollout.deep), " ", note);
    node.append(event(last + rollout.deepStart, deep));
    const answer = element("p", "", rollout.answer === "" ? "no answer " : `answer ${rollout.answer} `);
    if (failures[rollout.ending]) answer.append(element("span", "failed", failures[rollout.ending]), " ");
    answer.append(element("span", "note", `expected ${question.gold}`));
    node.append(event(last + rollout.answerLatency, answer));
    return node;
  }

  // Two rollouts beside each other are drawn to the same scale.
  function article(name, question, rollout, shown) {
    const whole = Math.max(...shown.map((each) => lastArrival(each) + each.end)) || 1;
    const waiting = Math.max(...shown.map((each) => each.end)) || 1;
    const mark = element("span", `verdict ${rollout.right ? "right" : "wrong"}`, verdict(rollout));
    const facts =
      `answer latency ${seconds(rollout.answerLatency)}, of it backlog ${seconds(rollout.backlog)}; ` +
      `${percent(rollout.overlap)} of the writing hidden`;
    return element(
      "article",
      "",
      element("h3", "", element("span", "", name), " ", mark),
      element("p", "facts", facts),
      timeline(rollout, whole),
      legend(),
      ...enlarged(rollout, waiting),
      events(question, rollout),
    );
  }

  return { element, article, seconds, verdict };
})();
