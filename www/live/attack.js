// The part of the page that attacks: choices, progress, and what came of it. The requests themselves are the worker's.

import { KINDS } from "./attacks.js";
import { count } from "./format.js";

const by = (id) => document.getElementById(id);

function made(name, text, properties = {}) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(text);
  return element;
}

/** Outcomes are statuses, or words where there was none. */
const outcomeName = (outcome) => ({ closed: "closed without an answer", stopped: "stopped" })[outcome] ?? outcome;

function isExpected({ expected }, outcome) {
  // What was stopped by us says nothing about the server, and a server that has no room may say so to any request.
  return outcome === "stopped" || outcome === "503" || expected.map(String).includes(outcome);
}

function rowOf(result) {
  const outcomes = Object.entries(result.outcomes).sort(([, one], [, other]) => other - one);
  const answered = outcomes.map(([outcome, times]) => `${outcomeName(outcome)} × ${count(times)}`).join(", ");
  const wrong = outcomes.filter(([outcome]) => !isExpected(result, outcome));
  const row = document.createElement("tr");
  row.dataset.kind = result.name;
  row.append(
    made("th", result.title, { scope: "row" }),
    made("td", count(result.sent), { className: "num" }),
    made("td", answered || "–"),
    made("td", wrong.length === 0 ? "yes" : `no: ${wrong.map(([outcome]) => outcomeName(outcome)).join(", ")}`,
      { className: wrong.length === 0 ? "good" : "bad" }),
  );
  return row;
}

/** What the statistics before and after say of the promises. */
function promises(before, after) {
  if (before.type !== "sample" || after.type !== "sample") return { holds: false, text: "The server did not tell its statistics." };
  const [earlier, later] = [before.document, after.document];
  const grown = (name) => later[name] - earlier[name];
  const heap = grown("malloc_calls") + grown("free_calls");
  const violations = grown("invariant_violations");
  const rejects = Object.entries(later.rejects).reduce((sum, [name, times]) => sum + times - (earlier.rejects[name] ?? 0), 0);
  const text = `The server refused ${count(rejects)} of them by name and checked its invariants ` +
    `${count(grown("invariant_checks_passed") + violations)} times: violations ${count(violations)}, heap calls ${count(heap)}. ` +
    "It is still serving.";
  return { holds: heap === 0 && violations === 0, text };
}

export class Attack {
  constructor(worker) {
    this.worker = worker;
    for (const { name, title, text } of KINDS) {
      const label = made("label", "", { className: "check" });
      const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "kind", value: name, checked: true });
      const words = made("span", "");
      words.append(made("strong", title), " ", made("small", text));
      label.append(box, words);
      by("kinds").append(label);
    }
    const boxes = () => [...by("kinds").querySelectorAll("input")];
    const chosen = () => boxes().filter((box) => box.checked).map((box) => box.value);
    const choose = (on) => {
      for (const box of boxes()) box.checked = on;
    };
    by("all").addEventListener("click", () => choose(true));
    by("none").addEventListener("click", () => choose(false));
    by("stop").addEventListener("click", () => worker.postMessage({ type: "stop" }));
    by("attack").addEventListener("submit", (event) => {
      event.preventDefault();
      const kinds = chosen();
      if (kinds.length === 0) {
        by("verdict").textContent = "Choose at least one kind.";
        return;
      }
      this.begin(kinds, Number(by("count").value));
    });
  }

  begin(kinds, times) {
    by("verdict").textContent = "";
    by("verdict").className = "verdict";
    by("outcome").hidden = true;
    this.running(true);
    this.progress({ sent: 0, all: 1 });
    this.worker.postMessage({ type: "attack", kinds, count: times });
  }

  running(is) {
    // The button keeps the focus of whoever pressed it, so it is not disabled.
    by("go").setAttribute("aria-disabled", String(is));
    by("stop").disabled = !is;
    by("progress").hidden = !is;
  }

  get isRunning() {
    return by("go").getAttribute("aria-disabled") === "true";
  }

  progress({ sent, all }) {
    Object.assign(by("progress"), { value: sent, max: all });
  }

  end({ results, milliseconds, before, after }) {
    this.running(false);
    by("answers").replaceChildren(...results.map(rowOf));
    by("outcome").hidden = false;
    const sent = results.reduce((sum, result) => sum + result.sent, 0);
    const isRight = (result) => Object.keys(result.outcomes).every((outcome) => isExpected(result, outcome));
    const { holds, text } = promises(before, after);
    const answers = results.every(isRight) ? "Every answer was as it should be." : "Some answers were not as they should be.";
    by("verdict").textContent = `${count(sent)} requests in ${(milliseconds / 1000).toFixed(1)} s. ${answers} ${text}`;
    by("verdict").className = `verdict ${holds && results.every(isRight) ? "good" : "bad"}`;
  }
}
