// The page: one photo, a list of clicks on it, and the mask its back end answers with. The back end
// is a server with any artifact (server.js), or the browser itself (browser.js); page.json says which.

const element = (id) => document.getElementById(id);
const canvas = element("photo");
const pen = canvas.getContext("2d");

/** Longest side of the drawing, in canvas pixels; the mask itself has the photo's size. */
const DRAWN_SIDE = 1400;
/** How near a click must be to a dot to take it away, in CSS pixels. */
const DOT_REACH = 12;
/** Share of the longer side that an arrow key moves the pointer by. */
const STEP = 0.02;

/** How far the pointer must be dragged to draw a box, in CSS pixels. */
const DRAG = 6;

/** The photo on the page: {id, name, bitmap, width, height}, or null. */
let photo = null;
/** What is asked: clicks {x, y, label} and a box [x0, y0, x1, y1] or null, in pixels of the photo,
 * and which of the masks that the network offers is shown, the best first. */
let asked = { points: [], box: null, chosen: 0 };
/** What saliency picked, to start over with. */
let start = asked;
/** Earlier questions, latest last. */
let past = [];
/** The same clicks as the server answered: {x, y, label, used}. */
let dots = [];
/** Canvas that darkens what is outside the mask, with its outline. */
let shade = null;
/** The keyboard's pointer in pixels of the photo, while the canvas has the focus. */
let pointer = null;
/** The first corner of a box that is being drawn: {x, y}, and where the other one is now. */
let corner = null;
let opposite = null;
/** Number of the latest request: an answer to an older one is not shown. */
let latest = 0;

/** What makes the masks: {title, open(file), mask(id, asked), cutout(id)}, once it has started. */
const backend = begin();
backend.catch((error) => showError(error.message));

async function begin() {
  const answer = await fetch("page.json").catch(() => null);
  if (!answer?.ok) throw new Error("the server does not answer: is sqsam-demo still running?");
  const about = await answer.json();
  const inBrowser = about.backend === "browser";
  element("promise").textContent = inBrowser ? "It does not leave this browser." : "It goes to this server and nowhere else.";
  element("about").textContent = inBrowser ? "loading the model" : "";
  const { start } = await import(inBrowser ? "./browser.js" : "./server.js");
  const started = await start(about);
  element("about").textContent = started.title;
  started.offline?.then((kept) => {
    if (kept) element("about").textContent += ", works offline";
  });
  offerModels(started);
  return started;
}

/** A list of the models, where there are several. */
function offerModels({ models = [] }) {
  const list = element("model");
  list.replaceChildren(...models.map((title, number) => new Option(title, number)));
  list.hidden = models.length < 2;
}

element("model").addEventListener("change", async () => {
  const answer = await ask(async (made) => {
    await made.choose(Number(element("model").value));
    element("about").textContent = made.title;
    return photo ? made.open(photo.file) : {};
  });
  if (answer?.id === undefined) return;
  photo.id = answer.id;
  const corrected = asked !== start;
  start = { points: answer.points, box: answer.box, chosen: answer.chosen };
  apply(corrected ? { ...asked, chosen: 0 } : start, "Another model");
});

// ---- the photo ----

async function open(file) {
  if (!file) return;
  const opened = performance.now();
  const answer = await ask((made) => made.open(file));
  if (!answer) return;
  const { id, bitmap, width, height } = answer;
  photo = { id, file, name: file.name || "photo", bitmap, width, height };
  const scale = Math.min(1, DRAWN_SIDE / Math.max(photo.width, photo.height));
  canvas.width = Math.max(1, Math.round(photo.width * scale));
  canvas.height = Math.max(1, Math.round(photo.height * scale));
  shade = null;
  asked = start = { points: answer.points, box: answer.box, chosen: answer.chosen };
  past = [];
  pointer = corner = opposite = null;
  for (const id of ["tools", "help", "photo", "choices"]) element(id).hidden = false;
  for (const id of ["drop", "example"]) element(id).hidden = true;
  element("credit").hidden = !file.isExample;
  await show(answer, opened, "Started by itself");
  canvas.focus({ preventScroll: true });
}

async function openExample() {
  const answer = await fetch("example.jpg").catch(() => null);
  if (!answer?.ok) return showError("the example cannot be loaded: the server does not answer");
  const file = new File([await answer.blob()], "example.jpg", { type: "image/jpeg" });
  open(Object.assign(file, { isExample: true }));
}

// ---- clicks, the box, the choice ----

/** Asks for something else than now; other clicks or another box begin with the best mask. */
async function change(changed, what) {
  past.push(asked);
  await apply({ ...asked, chosen: 0, ...changed }, what);
}

async function apply(changed, what) {
  asked = changed;
  dots = asked.points.map((point) => ({ used: true, ...point }));
  draw();
  const begun = performance.now();
  const { points, box, chosen } = asked;
  const told = { points: points.map(({ x, y, label }) => ({ x, y, label })), box, chosen };
  const answer = await ask((made) => made.mask(photo.id, told));
  if (answer) await show(answer, begun, what);
}

function undo() {
  if (past.length) apply(past.pop(), "Undone");
}

function clickAt(position, removing) {
  const reach = DOT_REACH * (photo.width / canvas.getBoundingClientRect().width);
  const near = asked.points.findIndex(
    (p) => Math.hypot(p.x - position.x, p.y - position.y) <= reach);
  // A person's click may lie outside the box that saliency drew.
  const box = asked.box === start.box ? null : asked.box;
  if (near >= 0) {
    return change({ points: asked.points.toSpliced(near, 1), box }, "Click taken away");
  }
  const label = removing ? 0 : 1;
  const points = [...asked.points, { ...position, label }];
  return change({ points, box }, removing ? "Removed" : "Added");
}

/** A box around an object says which one is meant: clicks that saliency picked leave. */
function drawBox(one, other) {
  const [x0, x1] = [one.x, other.x].sort((a, b) => a - b);
  const [y0, y1] = [one.y, other.y].sort((a, b) => a - b);
  corner = opposite = null;
  const points = asked.points === start.points ? [] : asked.points;
  return change({ points, box: [x0, y0, x1, y1] }, "Box drawn");
}

function dropBox() {
  corner = opposite = null;
  if (asked.box) return change({ box: null }, "Box taken away");
  draw();
}

const mode = () => document.querySelector("input[name=mode]:checked").value;
const removing = (event) => event.shiftKey || mode() === "remove";

function positionOf(event) {
  const area = canvas.getBoundingClientRect();
  return {
    x: ((event.clientX - area.left) / area.width) * photo.width - 0.5,
    y: ((event.clientY - area.top) / area.height) * photo.height - 0.5,
  };
}

const inside = ({ x, y }) => ({
  x: Math.min(Math.max(x, 0), photo.width - 1),
  y: Math.min(Math.max(y, 0), photo.height - 1),
});

/** Where a press began, in CSS pixels; null while nothing is pressed. */
let pressed = null;

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  pointer = corner = opposite = null;
  // A finger scrolls the page unless it is to draw a box.
  const draws = event.pointerType === "mouse" || mode() === "box";
  pressed = { x: event.clientX, y: event.clientY, at: positionOf(event), draws };
  if (draws) canvas.setPointerCapture(event.pointerId);
});

canvas.addEventListener("pointermove", (event) => {
  if (!pressed?.draws) return;
  const far = Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > DRAG;
  if (!corner && !far) return;
  corner = inside(pressed.at);
  opposite = inside(positionOf(event));
  draw();
});

canvas.addEventListener("pointerup", (event) => {
  if (!pressed) return;
  pressed = null;
  if (corner) return drawBox(corner, opposite);
  if (mode() === "box") return dropBox();
  clickAt(positionOf(event), removing(event));
});

canvas.addEventListener("pointercancel", () => {
  pressed = corner = opposite = null;
  draw();
});

// ---- the keyboard ----

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in MOVES) {
    const step = STEP * Math.max(photo.width, photo.height);
    const [dx, dy] = MOVES[event.key];
    pointer ??= { x: photo.width / 2, y: photo.height / 2 };
    pointer = {
      x: Math.min(Math.max(pointer.x + dx * step, 0), photo.width - 1),
      y: Math.min(Math.max(pointer.y + dy * step, 0), photo.height - 1),
    };
    if (corner) opposite = pointer;
    draw();
  } else if (event.key.toLowerCase() === "b" || (mode() === "box" && event.key === "Enter")) {
    pointer ??= { x: photo.width / 2, y: photo.height / 2 };
    if (corner) drawBox(corner, pointer);
    else [corner, opposite] = [pointer, pointer];
  } else if (event.key === "Escape") {
    dropBox();
  } else if ((event.key === "Enter" || event.key === " ") && pointer) {
    clickAt(pointer, removing(event));
  } else if (event.key === "Backspace" || event.key === "Delete") {
    undo();
  } else return;
  event.preventDefault();
});

canvas.addEventListener("blur", () => {
  pointer = corner = opposite = null;
  if (photo) draw();
});

document.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  if (photo && (event.ctrlKey || event.metaKey) && key === "z") {
    event.preventDefault();
    return undo();
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (key === "o") element("file").click();
  if (photo && key === "r") element("restart").click();
  if (photo && key === "d") element("download").click();
  if (photo && "1234".includes(key)) element("choices").querySelectorAll("input")[key - 1]?.click();
});

// ---- buttons and dropping ----

element("undo").addEventListener("click", undo);
element("download").addEventListener("click", async () => {
  const href = await ask((made) => made.cutout(photo.id));
  if (!href) return;
  const download = `${photo.name.replace(/\.[^.]*$/, "")}-cutout.png`;
  Object.assign(document.createElement("a"), { href, download }).click();
  if (href.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(href), 60_000);
});
element("restart").addEventListener("click", () => change(start, "Back to the start"));
element("example").addEventListener("click", openExample);
for (const choice of document.querySelectorAll("input[name=mode]")) {
  // A finger that draws a box must not scroll the page.
  choice.addEventListener("change", () => canvas.classList.toggle("drawing", mode() === "box"));
}
element("another").addEventListener("click", () => element("file").click());
element("file").addEventListener("change", (event) => {
  open(event.target.files[0]);
  event.target.value = "";
});

const stage = element("stage");
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  stage.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) stage.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  stage.classList.remove("over");
  open(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => open(event.clipboardData.files[0]));

// ---- asking the back end ----

/** The answer; null after an error, which is shown, or where a later request was made. */
async function ask(request) {
  const number = ++latest;
  element("busy").hidden = false;
  let answer, error;
  try {
    answer = await request(await backend);
  } catch (failed) {
    error = failed.message;
  }
  if (number !== latest) return null;
  element("busy").hidden = true;
  if (error) return showError(error);
  element("error").hidden = true;
  return answer;
}

function showError(sentence) {
  element("error").textContent = sentence[0].toUpperCase() + sentence.slice(1) + ".";
  element("error").hidden = false;
  return null;
}

// ---- drawing ----

async function show(answer, begun, what) {
  shade = shadeOf(answer.mask);
  dots = answer.points;
  draw();
  const shown = performance.now() - begun;
  element("empty").hidden = !answer.empty;
  element("status").textContent = `${what}. ${counted(answer)}; ` +
    `predicted IoU ${answer.choices[answer.chosen].predicted_iou.toFixed(2)}.`;
  const rows = { ...answer.milliseconds, "shown after": shown };
  element("timing").replaceChildren(...Object.entries(rows).map(([name, value]) => row(name, value)));
  offer(answer);
}

/** What the network was told of: a dot that it does not take counts for nothing. */
function counted(answer) {
  const count = (label) => answer.points.filter((p) => p.used && p.label === label).length;
  const ignored = answer.points.filter((p) => !p.used).length;
  const left = ignored ? `, ${ignored} ignored (the network takes the first and the latest)` : "";
  return `${count(1)} on the object, ${count(0)} beside it${left}${answer.box ? ", a box" : ""}`;
}

/** The masks to choose from, each a small photo in its shade. */
function offer(answer) {
  const made = answer.choices.map(({ mask, predicted_iou: iou }, number) => {
    const [label, input, small, text] = ["label", "input", "canvas", "span"].map((tag) =>
      document.createElement(tag));
    Object.assign(input, { type: "radio", name: "choice", value: number, checked: number === answer.chosen });
    input.addEventListener("change", () => change({ chosen: number }, `Mask ${number + 1}`));
    small.width = 120;
    small.height = Math.max(1, Math.round((120 * photo.height) / photo.width));
    const brush = small.getContext("2d");
    brush.drawImage(photo.bitmap, 0, 0, small.width, small.height);
    brush.drawImage(shadeOf(mask, small), 0, 0);
    text.textContent = `${number + 1}: ${iou.toFixed(2)}`;
    label.append(input, small, text);
    return label;
  });
  // Who chose with the keyboard stays where they are.
  const focused = element("choices").contains(document.activeElement);
  element("choices").replaceChildren(...made);
  if (focused) element("choices").querySelector("input:checked")?.focus();
}

function row(name, milliseconds) {
  const [line, term, value] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
  term.textContent = name;
  value.textContent = `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
  line.append(term, value);
  return line;
}

/** Dark outside the mask, white on its edge, as a canvas of the size of another. */
function shadeOf(mask, { width, height } = canvas) {
  const made = Object.assign(document.createElement("canvas"), { width, height });
  const brush = made.getContext("2d", { willReadFrequently: true });
  brush.drawImage(mask, 0, 0, width, height);
  const pixels = brush.getImageData(0, 0, width, height);
  const data = pixels.data;
  const inside = new Uint8Array(width * height);
  for (let i = 0; i < inside.length; i++) inside[i] = data[4 * i] > 127 ? 1 : 0;
  const thick = Math.max(1, Math.round(Math.max(width, height) / 500));
  for (let i = 0; i < inside.length; i++) {
    const right = i % width < width - thick ? inside[i + thick] : inside[i];
    const below = inside[i + thick * width] ?? inside[i];
    const edge = inside[i] !== right || inside[i] !== below;
    data[4 * i] = data[4 * i + 1] = data[4 * i + 2] = edge ? 255 : 0;
    data[4 * i + 3] = edge ? 255 : inside[i] ? 0 : 165;
  }
  brush.putImageData(pixels, 0, 0);
  return made;
}

function draw() {
  element("undo").disabled = past.length === 0;
  pen.drawImage(photo.bitmap, 0, 0, canvas.width, canvas.height);
  if (shade) pen.drawImage(shade, 0, 0);
  const zoom = canvas.width / (canvas.getBoundingClientRect().width || canvas.width);
  if (asked.box) drawFrame(asked.box, 2 * zoom, []);
  if (corner) drawFrame([corner.x, corner.y, opposite.x, opposite.y], 2 * zoom, [6 * zoom, 4 * zoom]);
  for (const point of dots) drawDot(point, 6 * zoom);
  if (pointer) drawPointer(12 * zoom);
}

const toCanvas = ({ x, y }) => [
  ((x + 0.5) / photo.width) * canvas.width,
  ((y + 0.5) / photo.height) * canvas.height,
];

/** A box, white on black, so that it is seen on everything. */
function drawFrame([x0, y0, x1, y1], thick, dashes) {
  const [left, top] = toCanvas({ x: x0, y: y0 });
  const [right, bottom] = toCanvas({ x: x1, y: y1 });
  pen.save();
  for (const [color, width] of [["#000", 2 * thick], ["#fff", thick]]) {
    pen.setLineDash(color === "#fff" ? dashes : []);
    pen.lineWidth = width;
    pen.strokeStyle = color;
    pen.strokeRect(left, top, right - left, bottom - top);
  }
  pen.restore();
}

/** A dot that the network is not told of: gray, hollow and struck through. */
function drawIgnored(x, y, radius) {
  for (const [color, width] of [["#000", radius / 1.6], ["#c8ccd2", radius / 3.5]]) {
    pen.lineWidth = width;
    pen.strokeStyle = color;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.moveTo(x - 0.7 * radius, y + 0.7 * radius);
    pen.lineTo(x + 0.7 * radius, y - 0.7 * radius);
    pen.stroke();
  }
}

/** A green dot with a plus adds, a red one with a minus removes: not by color alone. */
function drawDot(point, radius) {
  const [x, y] = toCanvas(point);
  if (!point.used) return drawIgnored(x, y, radius);
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = point.label === 1 ? "#12833b" : "#c4261d";
  pen.fill();
  pen.lineWidth = radius / 3.5;
  pen.strokeStyle = "#fff";
  pen.stroke();
  pen.beginPath();
  pen.moveTo(x - radius / 2, y);
  pen.lineTo(x + radius / 2, y);
  if (point.label === 1) {
    pen.moveTo(x, y - radius / 2);
    pen.lineTo(x, y + radius / 2);
  }
  pen.stroke();
}

function drawPointer(size) {
  const [x, y] = toCanvas(pointer);
  for (const [color, width] of [["#000", size / 3], ["#fff", size / 7]]) {
    pen.beginPath();
    pen.moveTo(x - size, y);
    pen.lineTo(x + size, y);
    pen.moveTo(x, y - size);
    pen.lineTo(x, y + size);
    pen.lineWidth = width;
    pen.strokeStyle = color;
    pen.stroke();
  }
}

new ResizeObserver(() => photo && draw()).observe(canvas);
