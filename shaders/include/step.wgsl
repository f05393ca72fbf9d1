// What changes with every batch. Written once a step; every kernel reads it at binding 0.
struct Step {
  num_tokens: u32,   // rows of the hidden states
  num_samples: u32,  // rows of the logits
}
@group(0) @binding(0) var<uniform> step: Step;

// Rows that this dispatch computes.
fn num_rows() -> u32 {
#if FOR_SAMPLES
  return step.num_samples;
#else
  return step.num_tokens;
#endif
}
