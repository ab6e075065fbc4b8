// The page: one photo, a list of clicks on it, and the mask the server answers with.

const element = (id) => document.getElementById(id);
const canvas = element("photo");
const pen = canvas.getContext("2d");

/** Longest side of the drawing, in canvas pixels; the mask itself has the photo's size. */
const DRAWN_SIDE = 1400;
/** How near a click must be to a dot to take it away, in CSS pixels. */
const DOT_REACH = 12;
/** Share of the longer side that an arrow key moves the pointer by. */
const STEP = 0.02;

/** The photo on the page: {id, name, bitmap, width, height}, or null. */
let photo = null;
/** Clicks in pixels of the photo: {x, y, label}. */
let points = [];
/** What saliency picked, to start over with. */
let start = [];
/** Earlier lists of clicks, latest last. */
let past = [];
/** Canvas that darkens what is outside the mask, with its outline. */
let shade = null;
/** The keyboard's pointer in pixels of the photo, while the canvas has the focus. */
let pointer = null;
/** Number of the latest request: an answer to an older one is not shown. */
let latest = 0;

fetch("/about").then(async (answer) => {
  element("about").textContent = (await answer.json()).title;
});

// ---- the photo ----

async function open(file) {
  if (!file) return;
  const bitmap = await createImageBitmap(file).catch(() => null);
  const opened = performance.now();
  const answer = await ask("/photos", { method: "POST", body: file });
  if (!answer) return;
  if (!bitmap) return showError("this browser cannot show that kind of file: use JPEG, PNG or WebP");
  photo = { id: answer.id, name: file.name || "photo", bitmap, width: answer.width, height: answer.height };
  const scale = Math.min(1, DRAWN_SIDE / Math.max(photo.width, photo.height));
  canvas.width = Math.max(1, Math.round(photo.width * scale));
  canvas.height = Math.max(1, Math.round(photo.height * scale));
  shade = null;
  points = start = answer.points;
  past = [];
  pointer = null;
  for (const id of ["tools", "help", "photo"]) element(id).hidden = false;
  element("drop").hidden = true;
  element("download").href = `/photos/${photo.id}/cutout.png`;
  element("download").download = `${photo.name.replace(/\.[^.]*$/, "")}-cutout.png`;
  await show(answer, opened, "Started by itself");
  canvas.focus({ preventScroll: true });
}

// ---- the clicks ----

async function change(changed, what) {
  past.push(points);
  await apply(changed, what);
}

async function apply(changed, what) {
  points = changed;
  draw();
  const asked = performance.now();
  const answer = await ask(`/photos/${photo.id}/mask`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ points: points.map(({ x, y, label }) => ({ x, y, label })) }),
  });
  if (answer) await show(answer, asked, what);
}

function undo() {
  if (past.length) apply(past.pop(), "Undone");
}

function clickAt(position, removing) {
  const reach = DOT_REACH * (photo.width / canvas.getBoundingClientRect().width);
  const near = points.findIndex((p) => Math.hypot(p.x - position.x, p.y - position.y) <= reach);
  if (near >= 0) return change(points.toSpliced(near, 1), "Click taken away");
  const label = removing ? 0 : 1;
  return change([...points, { ...position, label }], removing ? "Removed" : "Added");
}

const removing = (event) =>
  event.shiftKey || document.querySelector("input[name=mode]:checked").value === "remove";

function positionOf(event) {
  const area = canvas.getBoundingClientRect();
  return {
    x: ((event.clientX - area.left) / area.width) * photo.width - 0.5,
    y: ((event.clientY - area.top) / area.height) * photo.height - 0.5,
  };
}

canvas.addEventListener("click", (event) => {
  pointer = null;
  clickAt(positionOf(event), removing(event));
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
    draw();
  } else if ((event.key === "Enter" || event.key === " ") && pointer) {
    clickAt(pointer, removing(event));
  } else if (event.key === "Backspace" || event.key === "Delete") {
    undo();
  } else return;
  event.preventDefault();
});

canvas.addEventListener("blur", () => {
  pointer = null;
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
});

// ---- buttons and dropping ----

element("undo").addEventListener("click", undo);
element("restart").addEventListener("click", () => change(start, "Back to the start"));
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

// ---- asking the server ----

/** The answer as JSON; null after an error, which is shown, or where a later request was made. */
async function ask(url, request) {
  const number = ++latest;
  element("busy").hidden = false;
  let answer, content;
  try {
    answer = await fetch(url, request);
    content = await answer.json();
  } catch {
    content = { error: "the server does not answer: is sqsam-demo still running?" };
  }
  if (number !== latest) return null;
  element("busy").hidden = true;
  if (!answer?.ok) return showError(content.error ?? "that did not work");
  element("error").hidden = true;
  return content;
}

function showError(sentence) {
  element("error").textContent = sentence[0].toUpperCase() + sentence.slice(1) + ".";
  element("error").hidden = false;
  return null;
}

// ---- drawing ----

async function show(answer, asked, what) {
  const mask = new Image();
  mask.src = answer.mask;
  await mask.decode();
  shade = shadeOf(mask);
  draw();
  const shown = performance.now() - asked;
  const count = (label) => points.filter((p) => p.label === label).length;
  element("status").textContent =
    `${what}. ${count(1)} on the object, ${count(0)} beside it; ` +
    `predicted IoU ${answer.predicted_iou.toFixed(2)}.`;
  const rows = { ...answer.milliseconds, "shown after": shown };
  element("timing").replaceChildren(...Object.entries(rows).map(([name, value]) => row(name, value)));
}

function row(name, milliseconds) {
  const [line, term, value] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
  term.textContent = name;
  value.textContent = `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
  line.append(term, value);
  return line;
}

/** Dark outside the mask, white on its edge, as a canvas of the drawing's size. */
function shadeOf(mask) {
  const { width, height } = canvas;
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
  for (const point of points) drawDot(point, 6 * zoom);
  if (pointer) drawPointer(12 * zoom);
}

const toCanvas = ({ x, y }) => [
  ((x + 0.5) / photo.width) * canvas.width,
  ((y + 0.5) / photo.height) * canvas.height,
];

/** A green dot with a plus adds, a red one with a minus removes: not by colour alone. */
function drawDot(point, radius) {
  const [x, y] = toCanvas(point);
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
  for (const [colour, width] of [["#000", size / 3], ["#fff", size / 7]]) {
    pen.beginPath();
    pen.moveTo(x - size, y);
    pen.lineTo(x + size, y);
    pen.moveTo(x, y - size);
    pen.lineTo(x, y + size);
    pen.lineWidth = width;
    pen.strokeStyle = colour;
    pen.stroke();
  }
}

new ResizeObserver(() => photo && draw()).observe(canvas);
