/** Starts the page, and keeps what is seen in its address, to be shared:
 *  #sort=density&desc=1&filter=Li+O&max.e_hull=0.1&select=00003&cells=2 */

const data = JSON.parse(byId("data").textContent);
const keys = data.cards.map((card, index) => card.name || `${index}`);
const table = new CrystalTable(data, { chosen: (index) => choose(index), changed: () => change() });
const panel = new CrystalPanel(data, table, () => writeState());

function choose(index) {
  panel.show(index);
  writeState();
}

function change() {
  table.filter(byId("filter").value, ranges());
  writeState();
}

/** The ranges that are filled in, open ends being infinite. */
function ranges() {
  const found = Object.create(null);
  for (const [name, inputs] of Object.entries(table.inputs)) {
    const [low, high] = inputs.map((input) => input.valueAsNumber);
    if (Number.isNaN(low) && Number.isNaN(high)) continue;
    found[name] = [Number.isNaN(low) ? -Infinity : low, Number.isNaN(high) ? Infinity : high];
  }
  return found;
}

function writeState() {
  const state = new URLSearchParams();
  if (table.sorted) state.set("sort", table.sorted);
  if (table.falling) state.set("desc", "1");
  if (byId("filter").value.trim()) state.set("filter", byId("filter").value.trim());
  for (const [name, inputs] of Object.entries(table.inputs)) {
    if (inputs[0].value) state.set(`min.${name}`, inputs[0].value);
    if (inputs[1].value) state.set(`max.${name}`, inputs[1].value);
  }
  if (table.index >= 0) state.set("select", keys[table.index]);
  if (panel.cells > 1) state.set("cells", `${panel.cells}`);
  history.replaceState(null, "", `#${state}`);
}

function readState() {
  const state = new URLSearchParams(location.hash.slice(1));
  byId("filter").value = state.get("filter") || "";
  for (const [name, inputs] of Object.entries(table.inputs)) {
    inputs[0].value = state.get(`min.${name}`) || "";
    inputs[1].value = state.get(`max.${name}`) || "";
  }
  if (Object.keys(ranges()).length) showRanges(true);
  table.sort(state.get("sort"), state.get("desc") === "1");
  table.filter(byId("filter").value, ranges());
  panel.cells = state.get("cells") === "2" ? 2 : 1;
  const asked = keys.indexOf(state.get("select"));
  table.choose(asked >= 0 ? asked : table.shown[0] ?? 0, { focus: false });
}

function showRanges(shown) {
  byId("ranges").hidden = !shown;
  byId("ranges-button").setAttribute("aria-expanded", `${shown}`);
}

function clearFilters() {
  byId("filter").value = "";
  Object.values(table.inputs).flat().forEach((input) => { input.value = ""; });
  change();
}

byId("filter").addEventListener("input", change);
byId("ranges-button").addEventListener("click", () => showRanges(byId("ranges").hidden));
byId("clear").addEventListener("click", clearFilters);
byId("csv").addEventListener("click", () => download(`${data.title}.csv`, "text/csv", table.csv()));
document.addEventListener("keydown", (event) => {
  const inTable = byId("crystals").contains(event.target) || event.target === document.body;
  const held = event.ctrlKey || event.altKey || event.metaKey;
  if (inTable && !held) table.key(event);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => panel.draw());
addEventListener("hashchange", readState);
readState();
