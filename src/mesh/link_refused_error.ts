/** The other side of a connection is not who it should be, or does not want this one. */
export class LinkRefusedError extends Error {
  override readonly name = "LinkRefusedError";
}
