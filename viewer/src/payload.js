// What a page carries: a JSON, and long arrays as base64 of gzip.

/** The JSON of the element with that id. */
export function json(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

/** The bytes of base64 of gzip. */
export async function bytes(text) {
  const stream = new DecompressionStream("gzip");
  const writer = stream.writable.getWriter();
  const written = writer.write(decoded(text)).then(() => writer.close());
  const data = await new Response(stream.readable).arrayBuffer();
  await written;
  return data;
}

function decoded(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text); // with a plain loop: Uint8Array.from and addresses of data take ten times as long
  const data = new Uint8Array(letters.length);
  for (let i = 0; i < data.length; i++) data[i] = letters.charCodeAt(i);
  return data;
}

/** The text of the element with that id; it is taken out of the page, which need not hold it twice. */
export function taken(id) {
  const element = document.getElementById(id);
  const text = element.textContent.trim();
  element.remove();
  return text;
}
