// Put into the page by a test that asks for a name: writes down what is answered.

const see = (selector) => [...document.querySelectorAll(selector)];
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function probe() {
  for (let n = 0; n < 50 && !see("#answer h2, #meant a").length; n += 1) await pause(100);
  await pause(300);
  const state = document.getElementById("state").textContent;
  const found = {
    answer: document.getElementById("answer").textContent,
    memory: document.querySelector("#memory figcaption")?.textContent,
    runs: see("#memory polyline").map((line) => line.getAttribute("points").split(" ").length),
    ends: see("#memory .end").length,
    folded: see("#answer details:not([open])").length,
    rows: see("#restarts tr").map((row) => row.textContent),
    meant: see("#meant a").map((link) => link.getAttribute("href")),
    // How often it is told why there is no answer.
    said: document.querySelector("main").innerText.split(state).length - 1,
    beyond: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  };
  const said = parent.document.createElement("pre");
  said.id = "probed";
  said.textContent = JSON.stringify(found);
  parent.document.body.append(said);
}

probe();
