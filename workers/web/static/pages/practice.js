// The practice page: publishes answers of a demo student, and shows what comes back on the socket.

import { at, element } from "./dom.js";
import { LiveSocket } from "./live-socket.js";
import { showEvent, showLearner } from "./practice-view.js";

const AUTOMATIC = "";
const session = crypto.randomUUID();
let curriculum;
let question;
let asked = 0;
let socket;
// By student: the newest that is known of each concept.
const learners = new Map();
const sentAt = new Map();
const delays = [];

async function call(path, body, token) {
  const headers = { ...(body && { "Content-Type": "application/json" }), ...(token && { Authorization: `Bearer ${token}` }) };
  const how = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) };
  const answer = await fetch(new URL(path, document.baseURI), how);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error?.message ?? `The worker answered ${answer.status}.`);
  return content;
}

async function begin() {
  const [{ students }, found] = await Promise.all([call("dev/students"), call("dev/curriculum")]);
  curriculum = found;
  at("student").replaceChildren(...students.map(({ student_id, name }) => element("option", { value: student_id }, `${name} (${student_id})`)));
  at("concept").replaceChildren(
    element("option", { value: AUTOMATIC }, "the next that is unlocked"),
    ...curriculum.concepts.map(({ id, name }) => element("option", { value: id }, name)),
  );
  at("student").addEventListener("change", changeStudent);
  at("concept").addEventListener("change", ask);
  at("choose").addEventListener("submit", (event) => event.preventDefault());
  at("right").addEventListener("click", () => answer(question.answer));
  at("wrong").addEventListener("click", () => answer(question.choices.find((choice) => choice !== question.answer)));
  changeStudent();
}

const student = () => at("student").value;

function learner() {
  if (!learners.has(student())) learners.set(student(), { concepts: new Map(), ability: null });
  return learners.get(student());
}

function changeStudent() {
  const chosen = student();
  socket?.close();
  const path = `v1/ws/students/${encodeURIComponent(chosen)}/mastery`;
  socket = new LiveSocket(path, {
    token: async () => (await call("dev/token", { student_id: chosen })).token,
    message: (data) => heard(chosen, data),
    state: (text) => (at("connection").textContent = text),
  });
  at("feedback").textContent = "";
  at("delay").textContent = "";
  showLearner(curriculum, learner());
  ask();
  current(chosen).catch((error) => (at("problem").textContent = error.message));
}

// What was answered before this page was opened: the socket tells what comes later.
async function current(chosen) {
  const { token } = await call("dev/token", { student_id: chosen });
  const known = learner();
  let cursor = null;
  do {
    const query = new URLSearchParams({ limit: "200", ...(cursor && { cursor }) });
    const page = await call(`v1/students/${encodeURIComponent(chosen)}/mastery?${query}`, null, token);
    page.mastery.forEach((row) => know(known, row));
    page.abilities.forEach((row) => knowAbility(known, row));
    cursor = page.next_cursor;
  } while (cursor);
  if (chosen !== student() || known.concepts.size === 0) return;
  showLearner(curriculum, known);
  if (at("concept").value === AUTOMATIC) ask();
}

// --- Asking and answering -------------------------------------------------------------------------

function nextConcept() {
  const { concepts } = learner();
  const mastered = (id) => concepts.get(id)?.mastered ?? false;
  const open = curriculum.concepts.filter(({ id }) => !mastered(id));
  const ready = open.find(({ prerequisites }) => prerequisites.every(mastered));
  return (ready ?? open[0] ?? curriculum.concepts[asked % curriculum.concepts.length]).id;
}

function ask() {
  const concept = at("concept").value || nextConcept();
  const items = curriculum.items.filter((item) => item.concept_ids.includes(concept));
  question = { ...items[asked % items.length], shownAt: performance.now() };
  asked += 1;
  const name = curriculum.concepts.find(({ id }) => id === concept).name;
  at("about").textContent = `${name}, item ${question.id}`;
  at("question").textContent = question.question;
  const focused = at("choices").contains(document.activeElement);
  at("choices").replaceChildren(
    ...question.choices.map((choice) => {
      const button = element("button", {}, choice);
      button.addEventListener("click", () => answer(choice));
      return button;
    }),
  );
  if (focused) at("choices").firstElementChild.focus();
  at("right").disabled = at("wrong").disabled = false;
}

async function answer(given) {
  const { id, concept_ids, scale, question: text, answer: right, shownAt } = question;
  const correct = given === right;
  const response = {
    response_id: crypto.randomUUID(),
    student_id: student(),
    session_id: session,
    item_id: id,
    concept_ids,
    scale,
    correct,
    answered_at: new Date().toISOString(),
    response_time_ms: Math.round(performance.now() - shownAt),
  };
  sentAt.set(response.response_id, performance.now());
  at("feedback").className = correct ? "is-good" : "is-bad";
  at("feedback").textContent = `${correct ? "Right" : "Wrong"}: ${solved(text, right)}${correct ? "." : `, not ${given}.`}`;
  ask();
  try {
    const { entry_id, event } = await call("dev/responses", response);
    showEvent(at("events-in"), `${entry_id} · ${id} ${correct ? "right" : "wrong"}`, shortened(event));
    at("problem").textContent = "";
  } catch (error) {
    sentAt.delete(response.response_id);
    at("problem").textContent = error.message;
  }
}

// "5 - 32 = ?" has a gap for the answer; "What is x?" has none.
function solved(text, right) {
  const gap = /([=/] ?)\?$/;
  return gap.test(text) ? text.replace(gap, `$1${right}`) : `${text} ${right}`;
}

// The token alone is longer than the rest of the event.
function shortened(event) {
  const { token } = event.data;
  return { ...event, data: { ...event.data, token: `${token.slice(0, 12)}… (${token.length} characters)` } };
}

// --- What comes back ------------------------------------------------------------------------------

function heard(from, data) {
  if (from !== student()) return;
  const known = learner();
  if (!know(known, data)) return;
  knowAbility(known, { ...data.ability, version: data.version });
  showLearner(curriculum, known, data.concept_id);
  showEvent(at("events-out"), `${data.concept_id} ${data.previous_mastery.toFixed(3)} → ${data.mastery.toFixed(3)}`, data);
  showDelay(data.response_id);
  if (data.transition !== "none" && at("concept").value === AUTOMATIC) ask();
}

// Events can come again or late: the highest version counts.
function know(known, row) {
  if (row.version <= (known.concepts.get(row.concept_id)?.version ?? 0)) return false;
  known.concepts.set(row.concept_id, row);
  return true;
}

function knowAbility(known, ability) {
  if (ability.version >= (known.ability?.version ?? 0)) known.ability = ability;
}

function showDelay(responseId) {
  const began = sentAt.get(responseId);
  if (began === undefined) return;
  sentAt.delete(responseId);
  const delay = performance.now() - began;
  delays.push(delay);
  const sorted = [...delays].sort((a, b) => a - b);
  const p95 = sorted[Math.ceil(0.95 * sorted.length) - 1];
  at("delay").textContent = `Mastery moved ${Math.round(delay)} ms after the answer; 95% of ${delays.length} within ${Math.round(p95)} ms.`;
}

begin().catch((error) => (at("problem").textContent = error.message));
