// The table of the last connections. Rows stay as long as their connection is told of, so that a selection in them does too.

import { bytes, count, lasting } from "./format.js";

const body = document.getElementById("last");
const rows = new Map();
/** Numbers are given anew where the statistics begin anew, so that two connections may have the same. */
const keyOf = ({ number, peer }) => `${number} ${peer}`;

function set(cell, text) {
  if (cell.textContent !== text) cell.textContent = text;
}

function newRow({ number, peer }) {
  const row = document.createElement("tr");
  for (const name of ["number", "peer", "state", "lifetime", "requests", "received", "sent", "request", "status"]) {
    const cell = document.createElement(name === "number" ? "th" : "td");
    if (name === "number") cell.scope = "row";
    if (!["peer", "state", "request"].includes(name)) cell.classList.add("num");
    cell.classList.add(`of-${name}`);
    row.append(cell);
  }
  set(row.children[0], count(number));
  set(row.children[1], peer);
  return row;
}

function fill(row, connection) {
  const { state, requests, request, status } = connection;
  const [, , stateCell, lifetimeCell, requestsCell, receivedCell, sentCell, requestCell, statusCell] = row.children;
  row.className = `${state === "CLOSED" ? "closed" : "open"}${connection.asking ? " own" : ""}`;
  row.dataset.state = state;
  set(stateCell, state);
  set(lifetimeCell, lasting(connection.lifetime_ms));
  set(requestsCell, count(requests));
  set(receivedCell, bytes(connection.bytes_received));
  set(sentCell, bytes(connection.bytes_sent));
  set(requestCell, connection.asking ? `${request} (this page)` : request || "–");
  set(statusCell, status === null ? "–" : String(status));
  statusCell.classList.toggle("bad", status >= 400);
}

/** Shows these, in this order. */
export function showConnections(connections, showsOwn) {
  const shown = connections.filter((connection) => showsOwn || !connection.asking);
  const keys = new Set(shown.map(keyOf));
  for (const [key, row] of rows) {
    if (!keys.has(key)) {
      row.remove();
      rows.delete(key);
    }
  }
  shown.forEach((connection, index) => {
    const row = rows.get(keyOf(connection)) ?? newRow(connection);
    rows.set(keyOf(connection), row);
    fill(row, connection);
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
}

/** Another server numbers its connections anew. */
export function forgetConnections() {
  rows.clear();
  body.replaceChildren();
}
