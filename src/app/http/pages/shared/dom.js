// Elements from code. Whatever a peer has named reaches the page as text or as the value of an attribute, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = ["onclick", "onsubmit", "oninput", "onchange", "onkeydown"];

// An element; properties that begin with `on` are handlers, `false` and `null` leave an attribute out.
export const h = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);

// The same for SVG.
export const svg = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name.startsWith("on")) element[name] = value;
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

// Makes an element's children what they are in `wanted`, touching only what differs: focus, selection and scrolling stay.
// Children are matched by `data-key`, or in order. An element with `data-keep` keeps what is inside.
export function update(element, ...wanted) {
  const rest = new Map();
  for (const child of element.children) {
    if (child.dataset.key) rest.set(child.dataset.key, child);
  }
  let at = element.firstChild;
  for (const child of wanted.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    const node = child instanceof Node ? child : document.createTextNode(child);
    const key = node.dataset?.key;
    const match = key ? rest.get(key) : at;
    if (key && match) rest.delete(key);
    if (match && !(match.dataset?.key && !key) && canBecome(match, node)) {
      if (match !== at) element.insertBefore(match, at);
      else at = at.nextSibling;
      become(match, node);
    } else {
      element.insertBefore(node, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const canBecome = (old, node) => old.nodeType === node.nodeType && old.nodeName === node.nodeName;

function become(old, node) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== node.data) old.data = node.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!node.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of node.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const name of HANDLERS) old[name] = node[name];
  if (!node.dataset || !("keep" in node.dataset)) update(old, [...node.childNodes]);
}
