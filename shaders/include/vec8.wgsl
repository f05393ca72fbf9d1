// Eight consecutive elements along the reduced dimension: the unit of weight and input loads.
struct Vec8 {
  lo: vec4f,
  hi: vec4f,
}

fn dot8(a: Vec8, b: Vec8) -> f32 {
  return dot(a.lo, b.lo) + dot(a.hi, b.hi);
}
