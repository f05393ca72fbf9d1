/** A conversation that the model's chat template cannot render; the text says why. */
export class ChatTemplateError extends Error {
  readonly status = 400;
  override readonly name = "ChatTemplateError";
}
