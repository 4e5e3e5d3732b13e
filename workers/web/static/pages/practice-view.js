// Draws a learner's knowledge and the raw events.

import { at, element, percent, shape } from "./dom.js";

const MOST_EVENTS = 20;

// `learner.concepts` holds the newest event of each concept; `moved` names the one that changed.
export function showLearner(curriculum, learner, moved) {
  const { concepts } = learner;
  const mastered = (id) => concepts.get(id)?.mastered ?? false;
  const isReady = ({ prerequisites }) => prerequisites.every(mastered);
  const names = new Map(curriculum.concepts.map(({ id, name }) => [id, name]));
  at("concepts").replaceChildren(
    ...curriculum.concepts.map((concept) => {
      const missing = concept.prerequisites.filter((id) => !mastered(id)).map((id) => names.get(id));
      return card(concept, concepts.get(concept.id), mastered(concept.id), missing, concept.id === moved);
    }),
  );
  const unlocked = curriculum.concepts.filter((concept) => isReady(concept) && !mastered(concept.id));
  const isNew = ({ prerequisites }) => prerequisites.includes(moved) && mastered(moved);
  at("unlocked").replaceChildren(
    ...(unlocked.length > 0
      ? unlocked.map((concept) => element("li", { class: isNew(concept) ? "new" : null }, concept.name))
      : [element("li", {}, "all concepts are mastered")]),
  );
  showAbility(learner.ability);
}

function card(concept, event, isMastered, missing, moves) {
  const [kind, word] = isMastered ? ["mastered", "mastered"] : missing.length > 0 ? ["locked", `after ${missing.join(", ")}`] : ["ready", "unlocked"];
  return element("li", {},
    element("div", { class: "name" }, element("strong", {}, concept.name), element("span", { class: `badge ${kind}` }, word)),
    bar(event, moves),
    element("div", { class: "numbers" }, event ? numbers(event) : "no answer yet"),
  );
}

function numbers({ mastery, mastery_interval: interval, attempts }) {
  const between = interval ? ` (${percent(interval.low)} to ${percent(interval.high)})` : "";
  return `${percent(mastery, 1)}${between}, ${attempts} ${attempts === 1 ? "answer" : "answers"}`;
}

function bar(event, moves) {
  const drawn = shape("svg", { viewBox: "0 0 300 14", "aria-hidden": "true" },
    shape("rect", { class: "track", x: 0, y: 2, width: 300, height: 10, rx: 5 }));
  if (!event) return drawn;
  const { mastery, previous_mastery: before, mastery_interval: interval } = event;
  const value = shape("rect", { class: "value", x: 0, y: 2, width: 300 * (moves ? before : mastery), height: 10, rx: 5 });
  drawn.append(value);
  // Drawn at its value before, then moved, so that the change is seen.
  if (moves) requestAnimationFrame(() => requestAnimationFrame(() => (value.style.width = `${300 * mastery}px`)));
  if (interval) drawn.append(shape("line", { class: "interval", x1: 300 * interval.low, x2: 300 * interval.high, y1: 7, y2: 7 }));
  return drawn;
}

function showAbility(ability) {
  const x = (logits) => 150 + 45 * Math.max(-3.2, Math.min(3.2, logits));
  const drawn = shape("svg", { viewBox: "0 0 300 44", "aria-hidden": "true" },
    shape("line", { class: "axis", x1: x(-3.2), x2: x(3.2), y1: 16, y2: 16 }),
    ...[-3, -2, -1, 0, 1, 2, 3].map((tick) => shape("text", { x: x(tick), y: 40 }, tick)));
  if (ability) {
    const { theta, standard_error: error, interval } = ability;
    const { low, high } = interval ?? { low: theta - 1.96 * error, high: theta + 1.96 * error };
    drawn.append(
      shape("line", { class: "interval", x1: x(low), x2: x(high), y1: 16, y2: 16 }),
      shape("circle", { class: "theta", cx: x(theta), cy: 16, r: 7 }),
    );
    at("ability-text").textContent = `θ = ${theta.toFixed(2)} ± ${error.toFixed(2)} logits on the scale ${ability.scale}`;
  } else {
    at("ability-text").textContent = "No answer yet.";
  }
  at("ability").replaceChildren(drawn);
}

export function showEvent(list, title, event) {
  if (list.firstElementChild?.classList.contains("soft")) list.replaceChildren();
  const open = list.firstElementChild?.querySelector("details")?.open ?? true;
  for (const details of list.querySelectorAll("details")) details.open = false;
  list.prepend(element("li", {}, element("details", { open }, element("summary", {}, title), element("pre", {}, JSON.stringify(event, null, 1)))));
  while (list.children.length > MOST_EVENTS) list.lastElementChild.remove();
}
