// Eight 4-bit fields of a word, lowest first.
fn nibbles(word: u32) -> Vec8 {
  let lo = (vec4u(word) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u);
  let hi = (vec4u(word) >> vec4u(16u, 20u, 24u, 28u)) & vec4u(15u);
  return Vec8(vec4f(lo), vec4f(hi));
}
