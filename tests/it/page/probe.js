// Put into the page by a test: does what somebody would, and writes down what is to be seen then.

const see = (selector) => [...document.querySelectorAll(selector)];
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const wide = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
const marks = () =>
  see("svg .own > rect, svg .borne > rect").map((mark) => ["x", "y", "width"].map((name) => Number(mark.getAttribute(name))));

async function probe() {
  for (let n = 0; n < 50 && !see("#restarts tr").length; n += 1) await pause(100);
  await pause(200);
  const found = {
    within: document.documentElement.clientWidth,
    beyond: wide(),
    unknown: document.getElementById("odd").hidden ? null : document.getElementById("unknown").textContent,
    rows: see("#restarts tr").length,
    marks: marks(),
    counted: see("svg .own, svg .borne").map((mark) => Number(mark.querySelector(".number")?.textContent || 1)),
    letters: see("svg text.lane").map((text) => text.getBoundingClientRect().height),
  };
  const [first] = see("#restarts td:nth-child(3) a");
  first.click();
  await pause(300);
  found.incident = see("#incidents details[open]").length;
  const back = see("#incidents details[open] a");
  found.back = back.map((link) => link.textContent);
  back[back.length - 1].click();
  await pause(300);
  found.opened = see("#restarts details[open]").length;
  found.beyondOpened = wide();
  const said = parent.document.createElement("pre");
  said.id = "probed";
  said.textContent = JSON.stringify(found);
  parent.document.body.append(said);
}

probe();
