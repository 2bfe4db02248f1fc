/** The table of all crystals: sorting, filters, choosing a row, and its rows as CSV. */

class CrystalTable {
  /** Rows know their crystal by its index; `chosen` and `changed` are told what the user does. */
  constructor(data, { chosen, changed }) {
    this.data = data;
    this.chosen = chosen;
    this.changed = changed;
    this.names = data.columns.map((column) => column.name);
    this.numeric = data.columns.map(({ kind }) => kind === "number" || kind === "group");
    this.decimals = data.columns.map((_, place) => decimalsOf(this.known(place)));
    this.texts = data.rows.map((row, index) => this.searchable(row, index));
    this.elements = data.cards.map((card) => new Set((card.sites || []).map((s) => s.element)));
    this.allElements = new Set(data.allElements);
    this.order = data.rows.map((_, index) => index);
    this.shown = this.order;
    this.index = -1;
    this.head();
    this.rows = data.rows.map((row, index) => this.row(row, index));
    byId("crystals").tBodies[0].append(...this.rows);
    this.ranges();
  }

  /** The numbers of a column. */
  known(place) {
    const values = this.data.rows.map((row) => row[place]);
    return values.filter((value) => typeof value === "number");
  }

  /** All texts of a row, in which words of the filter are looked for. */
  searchable(row, index) {
    const texts = row.filter((value) => typeof value === "string");
    return [...texts, this.symbolOf(index)].join("\n").toLowerCase();
  }

  symbolOf(index) {
    return this.data.symbols[this.value(index, "group")] || "";
  }

  value(index, name) {
    return this.data.rows[index][this.names.indexOf(name)];
  }

  /** The whole of a value as nodes of the page. */
  nodes(place, index) {
    const value = this.data.rows[index][place];
    if (value === null) return [];
    const { kind } = this.data.columns[place];
    if (kind === "formula") return formulaNodes(value);
    if (kind === "group") {
      return [`${value} `, make("span", { className: "symbol" }, this.symbolOf(index))];
    }
    return [kind === "number" ? fixed(value, this.decimals[place]) : value];
  }

  // Headings and rows.

  head() {
    const cells = this.data.columns.map(({ name, unit }, place) => {
      const label = make("button", { type: "button" }, name);
      if (unit) label.append(make("small", {}, ` ${unit}`));
      label.addEventListener("click", () => this.clickHeading(name));
      const heading = make("th", { scope: "col", "aria-sort": "none", "data-column": name }, label);
      if (this.numeric[place]) heading.className = "number";
      return heading;
    });
    byId("crystals").tHead.append(make("tr", {}, ...cells));
  }

  row(values, index) {
    const cells = values.map((value, place) => {
      const cell = make("td", {}, ...this.nodes(place, index));
      if (this.numeric[place]) cell.className = "number";
      if (typeof value === "string" && value.length > 24) cell.title = value;
      return cell;
    });
    const row = make("tr", { tabIndex: -1, "aria-selected": "false" }, ...cells);
    row.addEventListener("click", () => this.choose(index));
    if (this.data.cards[index].reason) row.classList.add("broken");
    return row;
  }

  ranges() {
    this.inputs = Object.create(null); // a column may have any name
    this.data.columns.forEach(({ name, unit }, place) => {
      const values = this.known(place);
      if (!this.numeric[place] || new Set(values).size < 2) return;
      const bounds = [Math.min(...values), Math.max(...values)];
      const inputs = bounds.map((bound, end) => {
        const label = `${end ? "largest" : "smallest"} ${name}`;
        const input = make("input", { type: "number", step: "any", "aria-label": label });
        input.placeholder = fixed(bound, this.decimals[place]);
        input.addEventListener("input", () => this.changed());
        return input;
      });
      this.inputs[name] = inputs;
      const text = name + (unit ? `, ${unit}` : "");
      const line = make("div", { className: "range" }, make("span", {}, text));
      line.append(inputs[0], "–", inputs[1]);
      byId("ranges").append(line);
    });
    byId("ranges-button").hidden = !Object.keys(this.inputs).length;
  }

  // Sorting and filters.

  clickHeading(name) {
    this.sort(name, this.sorted === name && !this.falling);
    this.changed();
  }

  /** Order by a column, numbers as numbers, what is missing last; equal ones stay as they came. */
  sort(name, falling) {
    const known = this.names.includes(name);
    this.sorted = known ? name : null;
    this.falling = known && falling;
    const place = this.names.indexOf(name);
    const words = new Intl.Collator("en", { numeric: true });
    const compare = this.numeric[place] ? (a, b) => a - b : (a, b) => words.compare(a, b);
    const value = (index) => this.data.rows[index][place];
    this.order = this.data.rows.map((_, index) => index);
    if (known) {
      this.order.sort((a, b) => {
        const [first, second] = [value(a), value(b)];
        if (first === null || second === null) return (first === null) - (second === null);
        return (falling ? -1 : 1) * compare(first, second);
      });
    }
    byId("crystals").tBodies[0].append(...this.order.map((index) => this.rows[index]));
    const direction = falling ? "descending" : "ascending";
    for (const heading of byId("crystals").tHead.rows[0].cells) {
      const own = heading.dataset.column === this.sorted;
      heading.setAttribute("aria-sort", own ? direction : "none");
    }
  }

  /** Show the rows that meet every word and every range. */
  filter(words, ranges) {
    const tests = words.split(/\s+/).filter(Boolean).map((word) => this.meets(word));
    for (const [name, [low, high]] of Object.entries(ranges)) {
      const place = this.names.indexOf(name);
      tests.push((index) => {
        const value = this.data.rows[index][place];
        return typeof value === "number" && value >= low && value <= high;
      });
    }
    this.shown = this.order.filter((index) => tests.every((test) => test(index)));
    const shown = new Set(this.shown);
    this.rows.forEach((row, index) => { row.hidden = !shown.has(index); });
    const total = this.rows.length;
    byId("count").textContent =
      shown.size === total ? `${total} shown` : `${shown.size} of ${total} shown`;
    byId("none").hidden = shown.size > 0;
    byId("csv").disabled = !shown.size;
    this.reach();
  }

  /** What a word of the filter asks of a crystal: an element, a group, or a part of its texts. */
  meets(word) {
    if (this.allElements.has(word)) return (index) => this.elements[index].has(word);
    if (/^[1-9]\d{0,2}$/.test(word) && Number(word) <= 230) {
      return (index) => this.value(index, "group") === Number(word);
    }
    const part = word.toLowerCase();
    return (index) => this.texts[index].includes(part);
  }

  // Choosing a row.

  choose(index, { focus = true } = {}) {
    if (this.rows[this.index]) this.rows[this.index].setAttribute("aria-selected", "false");
    this.index = index;
    this.rows[index].setAttribute("aria-selected", "true");
    this.reach();
    if (focus) this.rows[index].focus({ preventScroll: true });
    this.rows[index].scrollIntoView({ block: "nearest", inline: "nearest" });
    this.chosen(index);
  }

  /** One row can be reached with the tabulator: the chosen one, or the first if it is hidden. */
  reach() {
    const reached = this.shown.includes(this.index) ? this.index : this.shown[0];
    this.rows.forEach((row, index) => { row.tabIndex = index === reached ? 0 : -1; });
  }

  /** Choose by a key: the next or previous row that is shown, the first, the last. */
  key(event) {
    const place = this.shown.indexOf(this.index);
    const last = this.shown.length - 1;
    const goal = { ArrowDown: place + 1, ArrowUp: place - 1, PageDown: place + 10,
      PageUp: place - 10, Home: 0, End: last }[event.key];
    if (goal === undefined || last < 0) return;
    event.preventDefault();
    this.choose(this.shown[Math.min(last, Math.max(0, goal))]);
  }

  // What is taken away.

  /** The rows shown, in their order, as CSV. */
  csv() {
    const quoted = (value) => {
      const text = value === null ? "" : String(value);
      return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const names = [...this.names, "symbol"];
    const lines = this.shown.map((index) => [...this.data.rows[index], this.symbolOf(index)]);
    return [names, ...lines].map((line) => line.map(quoted).join(",") + "\n").join("");
  }
}
