// What changes with every batch. Written once a step; every kernel reads it at binding 0.
struct Step {
  num_tokens: u32,       // rows of the hidden states
  num_samples: u32,      // rows of the logits
  num_decode_rows: u32,  // rows that attention_decode computes
  num_tiles: u32,        // query tiles that attention_prefill computes
}
@group(0) @binding(0) var<uniform> step: Step;
