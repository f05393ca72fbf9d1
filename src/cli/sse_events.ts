/** The `data:` fields of an event stream, up to "[DONE]". */
export async function* readEvents(response: Response): AsyncGenerator<string, void, void> {
  if (response.body === null) return;
  let pending = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (pending + text).split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) {
      const data = /^data:\s?(.*?)\r?$/.exec(line)?.[1];
      if (data === "[DONE]") return;
      if (data !== undefined) yield data;
    }
  }
}
