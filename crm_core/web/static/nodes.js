// Builds and fills nodes: the only way modules make markup. Text always goes in as text; there is no way in for HTML.
// It is not a template language and keeps no state.

const SVG = "http://www.w3.org/2000/svg";

// make("p.hint", {data: {test: "x"}, href: "/"}, "text", node): tag and classes, attributes, children.
export function make(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "data") for (const [key, v] of Object.entries(value)) node.dataset[key] = v;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return node;
}

export function icon(id, size = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${size}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${document.documentElement.dataset.icons}#${id}`);
  svg.append(use);
  return svg;
}

export function setIcon(holder, id) {
  const use = holder.querySelector("use");
  const href = `${document.documentElement.dataset.icons}#${id}`;
  if (use && use.getAttribute("href") !== href) use.setAttribute("href", href);
}

// Writes only what differs, so that an unchanged cell costs nothing and keeps a selection.
export function setText(node, text) {
  const value = text === null || text === undefined ? "" : String(text);
  if (node && node.textContent !== value) node.textContent = value;
}

export function setAttribute(node, name, value) {
  if (!node) return;
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

export const fill = (holder, ...children) => holder.replaceChildren(...children.flat().filter(Boolean));
export const bdi = (text) => make("bdi", {}, text);
