"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const [first, second, filter, search, list, shown, status, theme] =
    ["first", "second", "filter", "search", "questions", "shown", "status", "theme"].map(byId);
  const rollout = (run, question) => data.runs[run].rollouts[question];

  // Whatever a model or a data set wrote goes on the page as text, never as markup.
  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function option(value, text) {
    const made = element("option", "", text);
    made.value = String(value);
    return made;
  }

  const seconds = (value) => `${value.toFixed(2)} s`;
  const count = (n) => `${n} token${n === 1 ? "" : "s"}`;
  const endings = { skip: "skipped", out_of_tokens: "cut off at the cap", malformed: "malformed" };

  // ---- which questions are listed

  const kept = {
    all: () => true,
    wait: () => true,
    wrong: (q) => !rollout(first.value, q).right,
    right: (q) => rollout(first.value, q).right,
    skipped: (q) => {
      const ends = rollout(first.value, q).ends;
      return ends.length > 0 && ends.every((end) => end === "skip");
    },
    disagree: (q) =>
      second.value !== "" && rollout(first.value, q).right !== rollout(second.value, q).right,
  };

  function listed() {
    const words = search.value.toLowerCase();
    const found = [];
    data.questions.forEach((question, q) => {
      const text = `${question.id} ${question.question} ${question.chunks.join(" ")}`;
      if (kept[filter.value](q) && text.toLowerCase().includes(words)) found.push(q);
    });
    if (filter.value === "wait") {
      found.sort((a, b) => rollout(first.value, b).wait - rollout(first.value, a).wait);
    }
    return found;
  }

  function fill() {
    const before = list.value;
    const found = listed();
    list.replaceChildren(
      ...found.map((q) => {
        const one = rollout(first.value, q);
        const mark = one.right ? "✓ right" : "✗ wrong";
        return option(q, `${mark}, ${seconds(one.wait)}: ${data.questions[q].question}`);
      }),
    );
    const stays = before !== "" && found.includes(Number(before));
    if (found.length > 0) list.value = stays ? before : String(found[0]);
    status.textContent = `${found.length} of ${data.questions.length} questions listed.`;
    show();
  }

  // ---- one rollout

  function bar(kind, from, to, total) {
    const made = element("span", `bar ${kind}`);
    made.style.left = `${(100 * from) / total}%`;
    made.style.width = `${(100 * Math.max(0, to - from)) / total}%`;
    return made;
  }

  function timeline(one) {
    const last = one.arrive[one.arrive.length - 1];
    const total = last + one.end || 1;
    const made = element("div", "timeline");
    made.setAttribute("role", "img");
    made.setAttribute(
      "aria-label",
      `The input ends at ${seconds(last)}; the answer comes ${seconds(one.wait)} later. ` +
        `${Math.round(100 * one.overlap)} % of the writing was hidden behind reading.`,
    );
    one.arrive.forEach((arrived, k) => made.append(bar("input", k ? one.arrive[k - 1] : 0, arrived, total)));
    one.ends.forEach((_, k) => {
      if (one.start[k] < last) made.append(bar("hidden", one.start[k], Math.min(one.finish[k], last), total));
      if (one.finish[k] > last) made.append(bar("waited", Math.max(one.start[k], last), one.finish[k], total));
    });
    made.append(bar("waited", last + one.backlog, last + one.end, total));
    const ended = element("span", "ended");
    ended.style.left = `${(100 * last) / total}%`;
    const start = element("span", "scale", "0 s");
    start.style.left = "0";
    const stop = element("span", "scale", seconds(total));
    stop.style.right = "0";
    made.append(ended, start, stop);
    return made;
  }

  function legend() {
    const made = element("p", "legend");
    made.append(
      element("span", "input", "sentences arrive"),
      element("span", "hidden", "writes, hidden behind reading"),
      element("span", "waited", "writes while the user waits"),
    );
    return made;
  }

  function event(when, ...parts) {
    const made = element("li");
    const body = element("div");
    body.append(...parts);
    made.append(element("time", "", when), body);
    return made;
  }

  function thought(one, k, last) {
    const waited = one.finish[k] > last;
    const how = endings[one.ends[k]];
    const made = element("p", waited ? "thought waited" : "thought");
    if (one.ends[k] === "skip") made.append(element("span", "note", "skips"));
    else made.append(element("span", "", one.thoughts[k]));
    if (how && one.ends[k] !== "skip") made.append(" ", element("span", "failed", how));
    const by = one.finish[k] - last;
    const where = waited ? `${seconds(by)} behind the last sentence` : "hidden behind reading";
    made.append(" ", element("span", "note", `${count(one.tokens[k])}, ${where}`));
    return made;
  }

  function events(question, one) {
    const made = element("ol", "events");
    const last = one.arrive[one.arrive.length - 1];
    question.chunks.forEach((chunk, k) => {
      const parts = [element("p", "sentence", chunk)];
      if (k < one.ends.length) parts.push(thought(one, k, last));
      made.append(event(seconds(one.arrive[k]), ...parts));
    });
    const deep = element("p", "thought waited");
    deep.append(element("span", "", one.deep), " ", element("span", "note", `deep part, ${count(one.deepTokens)}`));
    made.append(event(seconds(last + one.backlog), deep));
    const answer = element("p", "", one.answer === "" ? "no answer" : `answer ${one.answer}`);
    if (endings[one.ending]) answer.append(" ", element("span", "failed", endings[one.ending]));
    answer.append(" ", element("span", "note", `expected ${question.gold}`));
    made.append(event(seconds(last + one.wait), answer));
    return made;
  }

  function article(run, q) {
    const one = rollout(run, q);
    const made = element("article");
    const heading = element("h3", "", data.runs[run].name);
    heading.append(
      element("span", `verdict ${one.right ? "right" : "wrong"}`, one.right ? "✓ right" : "✗ wrong"),
    );
    const facts = `wait ${seconds(one.wait)}, of it backlog ${seconds(one.backlog)}; ` +
      `${Math.round(100 * one.overlap)} % of the writing hidden`;
    made.append(heading, element("p", "facts", facts), timeline(one), legend(), events(data.questions[q], one));
    return made;
  }

  function show() {
    if (list.value === "") {
      shown.replaceChildren(element("p", "", "No question fits."));
      return;
    }
    const q = Number(list.value);
    const runs = second.value === "" ? [first.value] : [first.value, second.value];
    shown.replaceChildren(
      element("p", "asked", data.questions[q].question),
      ...runs.map((run) => article(run, q)),
    );
  }

  // ---- start

  data.runs.forEach((run, n) => {
    first.append(option(n, run.name));
    second.append(option(n, run.name));
  });
  second.prepend(option("", "nothing"));
  first.value = String(data.runs.length - 1);
  second.value = "";
  [first, second, filter].forEach((control) => control.addEventListener("change", fill));
  search.addEventListener("input", fill);
  list.addEventListener("change", show);
  theme.addEventListener("change", () => {
    if (theme.value) document.documentElement.dataset.theme = theme.value;
    else delete document.documentElement.dataset.theme;
  });
  fill();
})();
