// Which question and which runs are shown.
(() => {
  const { element, article, seconds, verdict } = drawing;
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const [first, second, filter, search, list, shown, status, announcement, theme] = [
    ...["first", "second", "filter", "search", "questions"],
    ...["shown", "status", "announcement", "theme"],
  ].map(byId);
  const rollout = (run, question) => data.runs[run].rollouts[question];
  const haystacks = data.questions.map((question) =>
    `${question.id} ${question.question} ${question.chunks.join(" ")}`.toLowerCase(),
  );

  function option(value, text) {
    const node = element("option", "", text);
    node.value = String(value);
    return node;
  }

  // ---- the list

  const filters = {
    all: () => true,
    latency: () => true,
    wrong: (q) => !rollout(first.value, q).right,
    right: (q) => rollout(first.value, q).right,
    skipped: (q) => {
      const ends = rollout(first.value, q).ends;
      return ends.length > 0 && ends.every((end) => end === "skip");
    },
    disagree: (q) =>
      second.value === ""
        ? data.runs.some((_, run) => rollout(run, q).right !== rollout(first.value, q).right)
        : rollout(first.value, q).right !== rollout(second.value, q).right,
  };

  function listed() {
    const words = search.value.trim().toLowerCase();
    const numbers = [...data.questions.keys()].filter(
      (q) => filters[filter.value](q) && haystacks[q].includes(words),
    );
    if (filter.value === "latency") {
      const latency = (q) => rollout(first.value, q).answerLatency;
      numbers.sort((a, b) => latency(b) - latency(a));
    }
    return numbers;
  }

  // The question that is shown stays chosen where it is still listed, unless the order is new.
  function fill(event) {
    const before = event && event.target === filter ? "" : list.value;
    const numbers = listed();
    list.replaceChildren(
      ...numbers.map((q) => {
        const answer = rollout(first.value, q);
        return option(q, `${verdict(answer)}, ${seconds(answer.answerLatency)}: ${data.questions[q].question}`);
      }),
    );
    const stays = before !== "" && numbers.includes(Number(before));
    if (numbers.length > 0) list.value = stays ? before : String(numbers[0]);
    status.textContent = `${numbers.length} of ${data.questions.length} questions listed.`;
    show();
  }

  // ---- the question

  function show() {
    byId("previous").disabled = list.selectedIndex <= 0;
    byId("next").disabled = list.selectedIndex >= list.length - 1;
    if (list.value === "") {
      shown.replaceChildren(element("p", "asked", "No question fits."));
      announcement.textContent = "";
      return;
    }
    const q = Number(list.value);
    const runs = second.value === "" ? [first.value] : [first.value, second.value];
    const rollouts = runs.map((run) => rollout(run, q));
    shown.replaceChildren(
      element("p", "asked", data.questions[q].question),
      ...runs.map((run, n) => article(data.runs[run].name, data.questions[q], rollouts[n], rollouts)),
    );
    announcement.textContent = runs
      .map((run, n) => `${data.runs[run].name}: ${verdict(rollouts[n])}, answer latency ${seconds(rollouts[n].answerLatency)}.`)
      .join(" ");
  }

  function move(by) {
    list.selectedIndex = Math.min(Math.max(list.selectedIndex + by, 0), list.length - 1);
    show();
  }

  // ---- start

  data.runs.forEach((run, n) => {
    first.append(option(n, run.name));
    second.append(option(n, run.name));
  });
  second.prepend(option("", "nothing"));
  first.value = String(data.start.first);
  second.value = data.start.second === null ? "" : String(data.start.second);
  [first, second, filter].forEach((control) => control.addEventListener("change", fill));
  search.addEventListener("input", fill);
  list.addEventListener("change", show);
  byId("previous").addEventListener("click", () => move(-1));
  byId("next").addEventListener("click", () => move(1));
  theme.addEventListener("change", () => {
    if (theme.value) document.documentElement.dataset.theme = theme.value;
    else delete document.documentElement.dataset.theme;
  });
  fill();
  list.value = String(data.start.question);
  show();
})();
