// The controls of the page.

const find = (id) => document.getElementById(id);

/** A new element with attributes and children. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Buttons of which one is pressed. @returns {(name: string) => void} presses another one */
export function choice(id, names, chosen) {
  const buttons = names.map((name) => {
    const button = element("button", { type: "button", "aria-pressed": "false", "data-name": name }, name);
    button.addEventListener("click", () => chosen(name));
    return button;
  });
  find(id).replaceChildren(...buttons);
  return (name) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.name === name));
  };
}

/** A button that stays pressed. @returns {{set: (on: boolean) => void, toggle: () => void}} */
export function toggle(id, changed) {
  const button = find(id);
  const set = (on) => {
    button.setAttribute("aria-pressed", String(on));
    changed(on);
  };
  const turn = () => set(button.getAttribute("aria-pressed") !== "true");
  button.addEventListener("click", turn);
  return { set, toggle: turn };
}

/** One slider for each shape, with its name and number. */
export class Shapes {
  constructor(names, [low, high], changed) {
    this.rows = new Map();
    const list = find("sliders");
    for (const name of names) {
      const number = element("output");
      const slider = element("input", { type: "range", min: low, max: high, step: (high - low) / 100, "aria-label": name });
      slider.addEventListener("input", () => {
        changed(name, Number(slider.value));
        number.textContent = Number(slider.value).toFixed(2);
      });
      const row = element("label", { class: "shape" }, element("span", { title: name }, name), slider, number);
      this.rows.set(name, { row, slider, number });
      list.append(row);
    }
    find("find").addEventListener("input", (event) => {
      const part = event.target.value.toLowerCase();
      for (const [name, { row }] of this.rows) row.hidden = !name.toLowerCase().includes(part);
    });
  }

  show(weights) {
    for (const [name, { slider, number }] of this.rows) {
      slider.value = weights.get(name);
      number.textContent = weights.get(name).toFixed(2);
    }
  }
}

/** The round field on which the light is moved, by finger, mouse and arrow keys. */
export function lightField(changed) {
  const field = find("light"), dot = field.firstElementChild;
  const at = { x: -0.35, y: 0.45 };
  const place = (x, y) => {
    const far = Math.max(1, Math.hypot(x, y) / 0.98);
    at.x = x / far;
    at.y = y / far;
    dot.style.left = `${50 + 50 * at.x}%`;
    dot.style.top = `${50 - 50 * at.y}%`;
    changed(at.x, at.y);
  };
  const move = (event) => {
    const { left, top, width, height } = field.getBoundingClientRect();
    place(((event.clientX - left) / width) * 2 - 1, 1 - ((event.clientY - top) / height) * 2);
  };
  field.addEventListener("pointerdown", (event) => {
    field.setPointerCapture(event.pointerId);
    move(event);
  });
  field.addEventListener("pointermove", (event) => {
    if (field.hasPointerCapture(event.pointerId)) move(event);
  });
  const steps = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
  field.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    place(at.x + step[0], at.y + step[1]);
  });
  place(at.x, at.y);
}

/** Rows of a table: what, how much. */
export function rows(id, pairs) {
  find(id).replaceChildren(
    ...pairs.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value))),
  );
}

/** The colours of the parts. */
export function legend(parts) {
  find("legend").replaceChildren(
    ...parts.map(([name, colour]) => {
      const box = element("i");
      box.style.background = colour;
      return element("span", {}, box, name);
    }),
  );
}

/** Dark or light: the system's choice until another one is made. */
export function theme() {
  const root = document.documentElement;
  find("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
}

/** Keys, where no field is being written into. */
export function keys(actions) {
  addEventListener("keydown", (event) => {
    const { target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target instanceof HTMLInputElement && (target.type !== "range" || event.key.startsWith("Arrow"))) return;
    if (target instanceof HTMLButtonElement && (event.key === " " || event.key === "Enter")) return;
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

export { find };
