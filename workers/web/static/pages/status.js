// The status of a worker: asks for it every two seconds and shows it.

import { at, decimal, element, fillFacts, fillTable, percent, seconds, shape, whole } from "./dom.js";

const EVERY_MS = 2000;
const needsToken = document.querySelector("main").dataset.needsToken === "yes";
// Kept in this page alone: a stored token could be read by whatever runs here later.
let token = "";
let timer;

async function ask(path) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(new URL(path, document.baseURI), { headers });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error?.message ?? `The worker answered ${answer.status}.`);
  return body;
}

async function poll() {
  clearTimeout(timer);
  try {
    show(await ask("status.json"));
    at("problem").textContent = "";
  } catch (error) {
    at("problem").textContent = error instanceof TypeError ? "The worker can't be reached." : error.message;
    if (needsToken && !(error instanceof TypeError)) return; // another token is needed first
  }
  timer = setTimeout(poll, EVERY_MS);
}

function show(status) {
  at("report").hidden = false;
  const { health, responses, groups, dead_letters: dead, predictions, parameters } = status;
  at("when").textContent = `Version ${health.version}, up for ${seconds(health.uptime_s)}. As of ${status.at.slice(11, 19)} UTC.`;
  const sum = (field) => (groups.length > 0 ? groups.reduce((total, group) => total + (group[field] ?? 0), 0) : null);
  at("rate").textContent = `${decimal(responses.per_s, responses.per_s < 10 ? 1 : 0)}/s`;
  at("lag").textContent = whole(sum("lag"));
  at("pending").textContent = whole(sum("pending"));
  at("dead").textContent = whole(dead?.total);
  at("learners").textContent = whole(responses.learners);
  at("applied").textContent = whole(responses.applied);
  at("applied-what").textContent = `applied; ${whole(responses.late)} late, ${whole(responses.duplicate)} repeated, ${whole(responses.rejected)} rejected`;
  showChecks(health);
  fillTable(
    at("groups"),
    groups.map((group) => [group.stream, group.group, whole(group.lag), whole(group.pending), seconds(group.oldest_age_s)]),
    "no consumer group yet",
  );
  showDead(dead);
  showPredictions(predictions);
  fillFacts(at("active"), parameters === null ? { State: "The ledger can't be reached." } : {
    Version: `${parameters.version} (${parameters.model})`,
    Note: parameters.note || "–",
    "Made": parameters.created_at ?? "built in",
    "Activated": parameters.activated_at ?? "from the start",
    "Learners under another version": whole(parameters.learners_outdated),
  });
}

function showChecks(health) {
  const rows = Object.entries(health.checks).map(([name, check]) => {
    const works = check.status === "healthy";
    const kind = works ? "is-good" : check.required ? "is-bad" : "is-warn";
    return [name, element("span", { class: kind }, works ? "works" : "away"), `${decimal(check.duration_ms, 1)} ms`, check.reason ?? check.note ?? ""];
  });
  const kind = { healthy: "is-good", degraded: "is-warn", unhealthy: "is-bad" }[health.status];
  fillTable(at("checks"), [["worker", element("span", { class: kind }, health.status), "", ""], ...rows]);
}

function showDead(dead) {
  if (dead === null) {
    at("letters-what").textContent = "Redis can't be reached.";
    return;
  }
  at("letters-what").textContent =
    dead.counted < dead.total ? `Counted by code: ${whole(dead.counted)} of ${whole(dead.total)} so far.` : "Of all tenants, by code.";
  fillTable(at("codes"), Object.entries(dead.by_code).map(([code, count]) => [code, whole(count)]), "No event was refused.");
}

function showPredictions(predictions) {
  const drifts = Object.entries(predictions.drift).filter(([, drifts]) => drifts).map(([kind]) => kind);
  fillFacts(at("measures"), {
    "Answers in the window": whole(predictions.answers),
    AUC: decimal(predictions.auc, 3),
    "Log loss": `${decimal(predictions.log_loss, 3)} nats`,
    "Brier score": decimal(predictions.brier, 3),
    "Calibration error": decimal(predictions.ece, 3),
    Drift: drifts.length > 0 ? `${drifts.join(", ")}: calibrate` : "none",
    "Parameters version": predictions.parameters_version ? whole(predictions.parameters_version) : "–",
  });
  at("curve").replaceChildren(curve(predictions.calibration));
}

function curve(bins) {
  const x = (value) => 44 + 340 * value;
  const y = (value) => 350 - 340 * value;
  const most = Math.max(1, ...bins.map((bin) => bin.answers));
  const told = bins.map((bin) => `${percent(bin.predicted)} predicted, ${percent(bin.observed)} observed`).join("; ");
  const drawn = shape("svg", { viewBox: "0 0 400 390", role: "img", "aria-label": `Calibration curve. ${told || "No prediction yet"}.` });
  for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    drawn.append(
      shape("line", { class: "grid", x1: x(0), x2: x(1), y1: y(tick), y2: y(tick) }),
      shape("text", { class: "end", x: 38, y: y(tick) + 4 }, percent(tick)),
      shape("text", { class: "middle", x: x(tick), y: 368 }, percent(tick)),
    );
  }
  drawn.append(
    shape("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    shape("text", { class: "middle", x: x(0.5), y: 385 }, "predicted; upwards: observed share of right answers"),
    ...bins.map((bin) =>
      shape("circle", { class: "dot", cx: x(bin.predicted), cy: y(bin.observed), r: 3 + 11 * Math.sqrt(bin.answers / most) }),
    ),
  );
  return drawn;
}

at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value.trim();
  at("token").value = "";
  at("problem").textContent = "";
  if (needsToken) poll();
  else list();
});

at("look").addEventListener("submit", (event) => {
  event.preventDefault();
  look(at("letter").value.trim());
});

at("newest").addEventListener("click", list);

async function look(id) {
  if (id === "") return list();
  await find(async () => {
    const letter = await ask(`v1/rejected/${encodeURIComponent(id)}`);
    return [element("h3", {}, `${letter.code}: ${letter.id}`), element("pre", {}, JSON.stringify(letter, null, 2))];
  });
}

async function list() {
  await find(async () => {
    const { rejected } = await ask("v1/rejected");
    if (rejected.length === 0) return ["Your tenant has no dead letter among the newest."];
    return rejected.map((letter) => {
      const open = element("button", { type: "button" }, letter.id);
      open.addEventListener("click", () => look(letter.id));
      return element("p", {}, open, ` ${letter.code}: ${letter.reason}`);
    });
  });
}

async function find(work) {
  try {
    at("found").replaceChildren(...(await work()));
  } catch (error) {
    at("found").replaceChildren(element("p", { class: "problem" }, error.message));
  }
}

if (!needsToken) poll();
