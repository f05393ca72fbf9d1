// Fused multiply-adds on registers alone: 32 independent chains a thread, what f32 arithmetic can reach here.
@group(0) @binding(0) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(64)
fn fma_peak(@builtin(global_invocation_id) id: vec3u) {
  let factor = vec4f(0.999 + f32(id.x % 7u) * 1e-5);
  let addend = vec4f(0.001);
  var a = vec4f(f32(id.x));
  var b = a + 1.0;
  var c = a + 2.0;
  var d = a + 3.0;
  var e = a + 4.0;
  var f = a + 5.0;
  var g = a + 6.0;
  var h = a + 7.0;
  for (var i = 0u; i < TURNS; i++) {
    a = fma(a, factor, addend);
    b = fma(b, factor, addend);
    c = fma(c, factor, addend);
    d = fma(d, factor, addend);
    e = fma(e, factor, addend);
    f = fma(f, factor, addend);
    g = fma(g, factor, addend);
    h = fma(h, factor, addend);
  }
  let all = a + b + c + d + e + f + g + h;
  // Every chain converges to a positive number.
  if (dot(all, vec4f(1.0)) < 0.0) { result[0] = all.x; }
}
