/** The panel of the crystal that was chosen. */

const LATTICE_NAMES = ["a", "b", "c", "α", "β", "γ"];

class CrystalPanel {
  constructor(data, table, changed) {
    this.data = data;
    this.table = table;
    this.changed = changed;
    this.cells = 1;
    this.structure = make("div", { id: "structure", role: "img" });
    this.pattern = make("div", { id: "pattern", role: "img", "aria-label": "Powder pattern" });
  }

  /** Show a crystal: its numbers at once, its pictures as soon as the user stays with it. */
  show(index) {
    this.index = index;
    const card = this.data.cards[index];
    const parts = card.reason ? [this.broken(card)] : this.parts(card);
    byId("crystal").replaceChildren(this.heading(index, card), ...parts, this.values(index));
    byId("crystal").scrollTop = 0;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.draw(), 50);
  }

  /** Draw the pictures, again when the colours or the number of cells have changed. */
  draw() {
    const card = this.data.cards[this.index];
    if (!card || card.reason) return;
    this.structure.setAttribute("aria-label", this.cells === 1 ? "Unit cell" : "2×2×2 cells");
    drawStructure(this.structure, card, this.cells, this.data.elements);
    if (!card.powder.missing) drawPattern(this.pattern, card.powder, card.name);
  }

  heading(index, card) {
    const value = (name) => this.table.value(index, name);
    const title = make("h2", {}, ...formulaNodes(value("formula") || ""), " ");
    title.append(make("span", { className: "id" }, value("id")));
    const facts = [`${value("group")} ${this.table.symbolOf(index)}`];
    if (!card.reason) {
      facts.push(card.system, `${value("atoms")} atoms`, `${fixed(value("density"), 3)} g/cm³`);
    }
    return make("div", {}, title, make("p", { className: "facts" }, facts.join(" · ")));
  }

  broken(card) {
    const text = `It has no cell that could be shown: ${card.reason}.`;
    return make("p", { className: "warning" }, text);
  }

  parts(card) {
    const { missing } = card.powder;
    const powder = missing ? make("p", { className: "warning" }, `${missing}.`) : this.pattern;
    return [
      this.tools(card), this.structure, this.legend(card),
      make("h3", {}, "Wyckoff positions"), make("div", { className: "wide" }, this.sites(card)),
      make("h3", {}, "Lattice"), this.lattice(card),
      make("h3", {}, "Powder pattern, simulated"), powder,
    ];
  }

  tools(card) {
    const choice = (cells, text) => {
      const input = make("input", { type: "radio", name: "cells", checked: this.cells === cells });
      input.addEventListener("change", () => { this.cells = cells; this.draw(); this.changed(); });
      return make("label", {}, input, make("span", {}, text));
    };
    const save = make("button", { type: "button", id: "cif" }, "Download CIF");
    save.addEventListener("click", () => download(`${card.name}.cif`, "chemical/x-cif", card.cif));
    const cells = make("div", { className: "choice", role: "group", "aria-label": "Cells shown" });
    cells.append(choice(1, "Unit cell"), choice(2, "2×2×2"));
    return make("div", { className: "tools" }, cells, save);
  }

  legend(card) {
    const counts = new Map();
    for (const site of card.sites) {
      counts.set(site.element, (counts.get(site.element) || 0) + site.atoms.length / 3);
    }
    const entries = [...counts].map(([element, count]) => {
      const dot = make("span", { className: "dot" });
      dot.style.background = this.data.elements[element].colour;
      return make("li", {}, dot, element, make("small", {}, ` ${count}`));
    });
    return make("ul", { className: "legend", "aria-label": "Atoms in the cell" }, ...entries);
  }

  sites(card) {
    const heads = ["position", "symmetry", "element", "x", "y", "z"];
    const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
    const rows = card.sites.map((site) => {
      const cells = [site.label, site.symmetry, site.element].map((text) => make("td", {}, text));
      const point = site.point.map((value, i) => this.coordinate(value, site.texts[i]));
      return make("tr", {}, ...cells, ...point);
    });
    const table = make("table", { className: "sites" }, make("thead", {}, head));
    table.append(make("tbody", {}, ...rows));
    return table;
  }

  /** A coordinate of the representative: exact where it is fixed, marked where it is free. */
  coordinate(value, text) {
    if (!/[xyz]/.test(text)) return make("td", {}, text);
    const name = make("small", {}, ` ${text}`);
    return make("td", { className: "free", title: "free" }, fixed(value, 5), name);
  }

  lattice(card) {
    const entries = LATTICE_NAMES.map((name, i) => {
      const rule = card.constraints[i];
      const exact = rule.endsWith("°");
      const length = `${fixed(card.parameters[i], 4)} Å`;
      const angle = exact ? rule : `${fixed(card.parameters[i], 3)}°`;
      const note = make("small", {}, exact ? " fixed" : ` ${rule}`);
      const value = make("dd", {}, i < 3 ? length : angle, note);
      const className = rule === "free" ? "free" : "";
      return make("div", { className }, make("dt", {}, name), value);
    });
    const volume = make("dd", {}, `${fixed(card.volume, 2)} Å³`);
    entries.push(make("div", {}, make("dt", {}, "V"), volume));
    return make("dl", { className: "lattice" }, ...entries);
  }

  /** All that the table says of the crystal, numbers with all their digits. */
  values(index) {
    const entries = this.data.columns.flatMap(({ name, kind, unit }, place) => {
      const nodes = kind === "number"
        ? [this.data.rows[index][place] ?? ""].map(String) : this.table.nodes(place, index);
      if (!nodes.join("")) return [];
      const value = make("dd", {}, ...nodes, unit ? ` ${unit}` : "");
      return [make("div", {}, make("dt", {}, name), value)];
    });
    const list = make("dl", { className: "values" }, ...entries);
    return make("details", {}, make("summary", {}, "All values"), list);
  }
}
