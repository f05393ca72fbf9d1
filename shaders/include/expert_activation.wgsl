// What an expert does between its matrices.
fn activate(gate: f32, up: f32) -> f32 {
#if CLAMPED
  let g = min(gate, LIMIT);
  return (clamp(up, -LIMIT, LIMIT) + 1.0) * g / (1.0 + exp(-ALPHA * g));
#else
  return gate / (1.0 + exp(-gate)) * up;
#endif
}

// Rows of gate and up, of column i, in an expert's matrix.
fn gate_row(i: u32) -> u32 {
#if INTERLEAVED
  return 2u * i;
#else
  return i;
#endif
}

fn up_row(i: u32) -> u32 {
#if INTERLEAVED
  return 2u * i + 1u;
#else
  return EXPERT_SIZE + i;
#endif
}
