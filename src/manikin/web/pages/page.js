"use strict";
// Takes a reader through the images. Every decision is on the server's disk before the page goes on; reloading loses nothing.
const $ = (id) => document.getElementById(id);
const WORDS = ["", "guessing", "rather unsure", "fairly sure", "sure", "certain"];
const KEEP = "manikin-reader";
let form, state = {}, reader = null, decided = null, told = {}, started = 0, hidden = 0, hiddenAt = 0, busy = false;

const viewer = new Viewer($("canvas"), (v) => {
  $("zoom").textContent = `${Math.round(v.zoom * 100)} %`;
  $("level").value = Math.round(v.level);
  $("width").value = Math.round(v.width);
});

async function ask(path, body) {
  let response;
  try {
    response = await fetch(path, body === undefined ? { cache: "no-store" } : {
      method: "POST", cache: "no-store", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ reader, ...body }),
    });
  } catch { throw new Error("There is no connection to the computer that runs the test. Your last step is not stored; try again."); }
  if (path.startsWith("image/") && response.ok) return response.blob();
  const answer = await response.json().catch(() => ({ error: "The page was not understood. Load it anew." }));
  if (!response.ok) throw Object.assign(new Error(answer.error || "Not stored. Try again."), { status: response.status });
  return answer;
}

function say(text) { $("alert").textContent = text || ""; $("alert").hidden = !text; }
function view(name) { for (const id of ["welcome", "reading", "done"]) $(id).hidden = id !== name; }

// One step at a time: a second click or key while the first is under way is passed over.
async function step(work) {
  if (busy) return;
  busy = true;
  document.body.dataset.busy = "1";
  try { await work(); say(""); } catch (error) { say(error.message); } finally { busy = false; delete document.body.dataset.busy; }
}

function button(text, pressed, key, name) {
  const made = document.createElement("button");
  made.type = "button";
  made.append(text);
  if (key) { const k = document.createElement("kbd"); k.textContent = key.toUpperCase(); made.append(k); }
  made.setAttribute("aria-pressed", "false");
  if (name) made.dataset.value = name;
  made.addEventListener("click", pressed);
  return made;
}

function build() {
  document.title = form.title;
  $("title").textContent = form.title;
  $("question").textContent = form.question;
  for (const text of form.intro) { const p = document.createElement("p"); p.textContent = text; $("intro").append(p); }
  for (const role of form.roles) $("role").append(new Option(role, role));
  for (const choice of form.choices) $("choices").append(button(choice.text, () => choose(choice.value), choice.key, choice.value));
  for (let i = 1; i <= 5; i++) $("steps").append(button(String(i), () => sure(i), "", String(i)));
  for (const reason of form.reasons) $("reasons").append(button(reason, () => because(reason), "", reason));
  $("sure").hidden = !form.confidence;
  $("reasons").hidden = !form.reasons.length;
  const keys = form.choices.map((c) => `${c.key.toUpperCase()} ${c.text.toLowerCase()}`);
  if (form.confidence) keys.push("1–5 how sure");
  $("keys").textContent = [...keys, "Enter next", "+ − 0 zoom", "arrows or right drag: window and level", "W reset it", "I smooth"].join("  ·  ");
}

function mark() {
  for (const one of $("choices").children) one.setAttribute("aria-pressed", String(one.dataset.value === decided));
  for (const one of $("steps").children) one.setAttribute("aria-pressed", String(Number(one.dataset.value) === told.confidence));
  for (const one of $("reasons").children) one.setAttribute("aria-pressed", String((told.reasons || []).includes(one.dataset.value)));
  $("sureword").textContent = WORDS[told.confidence || 0];
  $("details").classList.toggle("waiting", !decided);
  $("next").disabled = !decided;
  for (const one of [...$("steps").children, ...$("reasons").children, $("comment")]) one.disabled = !decided;
}

async function proceed(now) {
  state = now;
  decided = null; told = {};
  $("comment").value = "";
  if (!state.image) {
    $("thanks").textContent = `You have read all ${state.total} images.`;
    sessionStorage.removeItem(KEEP);
    view("done");
    return;
  }
  view("reading");
  $("count").textContent = `${state.position + 1} of ${state.total}`;
  $("progress").value = state.position / state.total;
  viewer.clear();
  mark();
  for (const one of $("choices").children) one.disabled = true;
  await viewer.show(await ask(`image/${state.image}`));
  for (const one of $("choices").children) one.disabled = false;
  document.activeElement?.blur();
  started = performance.now(); hidden = 0; hiddenAt = document.hidden ? started : 0;
  document.body.dataset.position = state.position;
}

function choose(value) {
  if (!state.image || $("choices").firstChild.disabled || value === decided) return;
  const seconds = (performance.now() - started - hidden) / 1000;
  step(async () => {
    await ask("answer", { position: state.position, answer: value, seconds: Math.round(seconds * 1000) / 1000 });
    decided = value;
    document.body.dataset.decided = `${state.position}:${value}`;
    mark();
  });
}
function sure(value) { if (decided) { told.confidence = told.confidence === value ? undefined : value; mark(); } }
function because(reason) {
  if (!decided) return;
  const now = new Set(told.reasons || []);
  now.delete(reason) || now.add(reason);
  told.reasons = [...now];
  mark();
}
function next() {
  if (decided) step(async () => proceed(await ask("detail", { position: state.position, ...told, comment: $("comment").value })));
}

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const years = $("years").value === "" ? null : Number($("years").value);
  step(async () => {
    const joined = await ask("join", { name: $("name").value, role: $("role").value, years });
    reader = joined.reader;
    sessionStorage.setItem(KEEP, reader);
    await proceed(joined);
  });
});
$("next").addEventListener("click", next);
$("in").addEventListener("click", () => viewer.zoomBy(1.3));
$("out").addEventListener("click", () => viewer.zoomBy(1 / 1.3));
$("fit").addEventListener("click", () => viewer.fit());
$("reset").addEventListener("click", () => viewer.setWindow(128, 255));
for (const id of ["level", "width"]) $(id).addEventListener("input", () => viewer.setWindow(Number($("level").value), Number($("width").value)));
$("window").addEventListener("click", () => { $("levels").hidden = !$("levels").hidden; $("window").setAttribute("aria-expanded", String(!$("levels").hidden)); });
function smooth() { viewer.smooth = !viewer.smooth; $("smooth").setAttribute("aria-pressed", String(viewer.smooth)); viewer.draw(); }
$("smooth").addEventListener("click", smooth);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenAt = performance.now();
  else if (hiddenAt) { hidden += performance.now() - hiddenAt; hiddenAt = 0; }
});
document.addEventListener("keydown", (event) => {
  if ($("reading").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat && event.key === "Enter") return;
  if (event.key === "Enter") { if (decided) { event.preventDefault(); next(); } return; }
  if (document.activeElement === $("comment") || document.activeElement?.type === "range") return;
  const key = event.key.toLowerCase(), chosen = form.choices.find((c) => c.key === key);
  const moves = { arrowup: [8, 0], arrowdown: [-8, 0], arrowright: [0, 16], arrowleft: [0, -16] };
  if (chosen) choose(chosen.value);
  else if (form.confidence && key >= "1" && key <= "5") sure(Number(key));
  else if (key === "+" || key === "=") viewer.zoomBy(1.3);
  else if (key === "-") viewer.zoomBy(1 / 1.3);
  else if (key === "0") viewer.fit();
  else if (key === "i") smooth();
  else if (key === "w") viewer.setWindow(128, 255);
  else if (moves[key]) viewer.setWindow(viewer.level - moves[key][0], viewer.width + moves[key][1]);
  else return;
  event.preventDefault();
});

step(async () => {
  form = await ask("form");
  build();
  reader = sessionStorage.getItem(KEEP);
  if (reader) {
    try { await proceed(await ask("state", {})); return; } catch (error) { if (error.status !== 404) throw error; reader = null; }
  }
  view("welcome");
  $("name").focus();
});
