/**
 * What a damaged or unsupported model file throws.
 *
 * @module
 */

/** A file that cannot be used. The message names the file, what is wrong and what to do. */
export class FormatError extends Error {
  override readonly name = "FormatError";
  /** The file as its ByteSource names it. */
  readonly fileName: string;

  constructor(fileName: string, problem: string) {
    super(`Cannot read "${fileName}": ${problem}`);
    this.fileName = fileName;
  }
}

/** The advice that fits a file whose parts contradict each other. */
export const DAMAGED = "the file is damaged or incomplete: download it again";
