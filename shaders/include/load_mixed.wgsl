// Elements i..i + 3 of the query or key that starts at `at`; needs `mixed` bound as array<vec4f>, or as array<f32>
// with KEY_TAIL.
fn load_mixed4(at: u32, i: u32) -> vec4f {
#if KEY_TAIL
  var v = vec4f();
  for (var c = 0u; c < 4u; c++) {
    v[c] = select(0.0, mixed[at + min(i + c, KEY_DIM - 1u)], i + c < KEY_DIM);
  }
  return v;
#else
  return mixed[(at + i) / 4u];
#endif
}
