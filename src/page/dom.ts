type Child = Node | string | undefined | false;
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * An element with attributes and children. Text is always a text node: nothing that the relay or a client says is ever
 * read as markup.
 */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** The same for drawings. */
export function svg(
  tag: string,
  attributes: Readonly<Record<string, string | number>> = {},
  ...children: readonly Child[]
): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  append(element, children);
  return element;
}

function append(element: Element, children: readonly Child[]): void {
  for (const child of children) if (child !== undefined && child !== false) element.append(child);
}

/** An element of index.html. Throws when it is not there, which a test would see. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** A button that copies a text and says that it did. */
export function copyButton(text: () => string, label: string): HTMLButtonElement {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${label}` }, "Copy");
  button.addEventListener("click", () => {
    void copy(text()).then((isCopied) => {
      button.textContent = isCopied ? "Copied" : "Press Ctrl+C";
      say(isCopied ? `Copied ${label}.` : "The browser did not allow copying; the text is selected.");
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  });
  return button;
}

/** The clipboard exists only on secure pages; off loopback without TLS the older way is left. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = el("textarea", { class: "offscreen" });
    field.value = text;
    document.body.append(field);
    field.select();
    const isCopied = document.execCommand("copy");
    field.remove();
    return isCopied;
  }
}

/** Tells screen readers. */
export function say(text: string): void {
  byId("announcer").textContent = text;
}

/** A line of code with its copy button. */
export function codeLine(text: string, label: string): HTMLElement {
  return el(
    "div",
    { class: "code" },
    el("code", {}, text),
    copyButton(() => text, label),
  );
}
