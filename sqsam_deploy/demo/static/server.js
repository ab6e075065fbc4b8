// The page's back end on a server: sqsam-demo with any artifact.

/** @param {{ title: string }} about */
export async function start(about) {
  return { title: about.title, open, mask, cutout };
}

async function open(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  const answer = await ask("photos", { method: "POST", body: file });
  if (!bitmap) throw new Error("this browser cannot show that kind of file: use JPEG, PNG or WebP");
  return { ...(await drawable(answer)), bitmap };
}

async function mask(id, asked) {
  return drawable(await ask(`photos/${id}/mask`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(asked),
  }));
}

/** The address of the latest cut-out of a photo. */
async function cutout(id) {
  return `photos/${id}/cutout.png`;
}

async function ask(url, request) {
  const answer = await fetch(url, request).catch(() => null);
  const content = await answer?.json().catch(() => null);
  if (!content) throw new Error("the server does not answer: is sqsam-demo still running?");
  if (!answer.ok) throw new Error(content.error ?? "that did not work");
  return content;
}

/** The same answer with its masks as images. */
async function drawable({ mask, choices, ...answer }) {
  const images = await Promise.all([mask, ...choices.map((choice) => choice.mask)].map(decoded));
  const offered = choices.map((choice, number) => ({ ...choice, mask: images[number + 1] }));
  return { ...answer, mask: images[0], choices: offered };
}

async function decoded(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}
