/** What a serving process says on stdout once it answers; one line of JSON. */
export interface ReadyLine {
  readonly url: string;
  readonly model: string;
  readonly vocabSize: number;
  readonly adapter: string;
  readonly isSoftware: boolean;
  readonly isDeterministic: boolean;
  /** Of KV cache. */
  readonly kvTokens: number;
  readonly weightBytes: number;
  /** Until the model was on the device and warm. */
  readonly loadMs: number;
}
