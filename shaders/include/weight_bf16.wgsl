// BF16: two elements a word, each the upper half of an f32; rows are padded to whole words with zero.
fn unpack_bf16(word: u32) -> vec2f {
  return vec2f(bitcast<f32>(word << 16u), bitcast<f32>(word & 0xffff0000u));
}

fn load_weight8(row: u32, unit: u32) -> Vec8 {
  let row_words = (COLS + 1u) / 2u;
  let first = unit * 4u;
  var v = array<vec2f, 4>();
  for (var i = 0u; i < 4u; i++) {
#if COLS_TAIL
    let word = weights[row * row_words + min(first + i, row_words - 1u)];
    v[i] = select(vec2f(), unpack_bf16(word), first + i < row_words);
#else
    v[i] = unpack_bf16(weights[row * row_words + first + i]);
#endif
  }
  return Vec8(vec4f(v[0], v[1]), vec4f(v[2], v[3]));
}
