// What pictures over time are made of.

const SVG = "http://www.w3.org/2000/svg";
const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400].map((s) => s * 1000);

export function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const text = (attributes, said) => draw("text", attributes, said);
export const pointed = (said) => draw("title", {}, said);
export const clock = (time) => time.slice(0, 19).replace("T", " ");

// Where the lines of the grid are, no more than there is room for.
function grid(from, to, most) {
  const step = STEPS.find((step) => (to - from) / step <= most) || STEPS[STEPS.length - 1];
  const lines = [];
  for (let at = Math.ceil(from / step) * step; at <= to && lines.length < 8; at += step) lines.push(at);
  return { step, lines };
}

// The grid with its times below: `x` is where a time is, `top` and `foot` where a line begins and ends.
export function rules(from, to, x, [top, foot], most) {
  const { step, lines } = grid(from, to, most);
  return lines.map((at) => {
    const time = new Date(at).toISOString();
    const said = step < 60000 ? time.slice(11, 19) : step < 86400000 ? time.slice(11, 16) : time.slice(5, 10);
    const line = draw("line", { x1: x(at), x2: x(at), y1: top, y2: foot, class: "rule" });
    // The last one is not cut at the edge.
    return draw("g", {}, line, text({ x: Math.min(x(at), x(to) - 18), y: foot + 16, class: "tick" }, said));
  });
}
