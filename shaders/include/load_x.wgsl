// Input rows x [num_tokens, COLS]; needs `x` bound as array<vec4f>, or as array<f32> with COLS_TAIL.
fn load_x8(token: u32, unit: u32) -> Vec8 {
#if COLS_TAIL
  var v = array<f32, 8>();
  for (var i = 0u; i < 8u; i++) {
    let k = unit * 8u + i;
    v[i] = select(0.0, x[token * COLS + min(k, COLS - 1u)], k < COLS);
  }
  return Vec8(vec4f(v[0], v[1], v[2], v[3]), vec4f(v[4], v[5], v[6], v[7]));
#else
  let at = token * (COLS / 4u) + unit * 2u;
  return Vec8(x[at], x[at + 1u]);
#endif
}
