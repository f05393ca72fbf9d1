/**
 * Clients in a process of their own, so that their time is not the server's. Arguments: URL, number
 * of requests at once, the body of each. Prints the bytes that all have read.
 *
 * @module
 */
const [url = "", numText = "1", body = ""] = Deno.args;

let numBytes = 0;
await Promise.all(Array.from({ length: Number(numText) }, async () => {
  const response = await fetch(url, { method: "POST", body });
  if (!response.ok || response.body === null) throw new Error(await response.text());
  for await (const chunk of response.body) numBytes += chunk.length;
}));
console.log(numBytes);
