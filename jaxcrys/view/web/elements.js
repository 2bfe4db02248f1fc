/** Small helpers: elements of the page, formulas, numbers. Texts of crystals are only ever text. */

function byId(id) {
  return document.getElementById(id);
}

/** An element with properties or attributes, and children; texts among them stay texts. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A formula with its numbers as subscripts; anything else as it is. */
function formulaNodes(text) {
  if (!/^([A-Z][a-z]?\d*)+$/.test(text)) return [text];
  const parts = text.match(/[A-Za-z]+|\d+/g);
  return parts.map((part) => (/\d/.test(part) ? make("sub", {}, part) : part));
}

/** Decimals that show four digits of the largest of some numbers; none for whole numbers. */
function decimalsOf(values) {
  if (values.every(Number.isInteger)) return 0;
  const largest = Math.max(...values.map(Math.abs));
  return Math.min(8, Math.max(0, 3 - Math.floor(Math.log10(largest || 1))));
}

/** A number with so many decimals, never minus zero. */
function fixed(value, decimals) {
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

/** Hand a text to the user as a file. */
function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

/** The value of a colour of the style sheet, light or dark as it is now. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
