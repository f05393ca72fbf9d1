// Rows that this dispatch computes: every token, or with FOR_SAMPLES those that are sampled.
fn num_rows() -> u32 {
#if FOR_SAMPLES
  return step.num_samples;
#else
  return step.num_tokens;
#endif
}
