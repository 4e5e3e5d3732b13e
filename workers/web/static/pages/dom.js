// Makes elements. Text is only ever text: nothing that comes from a server is read as HTML.

const SVG = "http://www.w3.org/2000/svg";

export const at = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

// Fills a table's body; `rows` holds cells, each a text or a node, the first one heads its row.
export function fillTable(table, rows, none = "none") {
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const body = table.tBodies[0];
  body.replaceChildren(
    ...(rows.length > 0
      ? rows.map((cells) => element("tr", {}, ...cells.map((cell, place) => cellOf(cell, place, heads))))
      : [element("tr", {}, element("td", { colspan: heads.length, class: "soft" }, none))]),
  );
}

function cellOf(cell, place, heads) {
  return place === 0 ? element("th", { scope: "row" }, cell) : element("td", { "data-head": heads[place] }, cell);
}

export function fillFacts(list, facts) {
  list.replaceChildren(
    ...Object.entries(facts).flatMap(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]),
  );
}

const DASH = "–";

export const whole = (value) => (value === null || value === undefined ? DASH : Math.round(value).toLocaleString("en"));
export const decimal = (value, digits) => (value === null || value === undefined ? DASH : value.toFixed(digits));
export const percent = (value, digits = 0) => (value === null || value === undefined ? DASH : `${(100 * value).toFixed(digits)}%`);

export function seconds(value) {
  if (value === null || value === undefined) return DASH;
  if (value < 120) return `${Math.round(value)} s`;
  return value < 7200 ? `${Math.round(value / 60)} min` : `${Math.round(value / 3600)} h`;
}
