// Rotary position embedding of single elements; needs `angles` bound: (cos, sin) [positions, ROPE_DIM / 2].

// The element that turns together with element i of ROPE_DIM.
fn rope_partner(i: u32) -> u32 {
#if INTERLEAVED
  return i ^ 1u;
#else
  return (i + ROPE_DIM / 2u) % ROPE_DIM;
#endif
}

// Element i after the turn, from itself and its partner.
fn rope_element(position: u32, i: u32, value: f32, partner: f32) -> f32 {
#if INTERLEAVED
  let pair = i / 2u;
  let is_first = i % 2u == 0u;
#else
  let pair = i % (ROPE_DIM / 2u);
  let is_first = i < ROPE_DIM / 2u;
#endif
  let angle = angles[position * (ROPE_DIM / 2u) + pair];
  return value * angle.x + select(partner, -partner, is_first) * angle.y;
}
