// Fused multiply-adds on registers alone: 12 independent chains a thread, what f32 arithmetic can reach here.
// More chains than 16 registers hold would measure llvmpipe's stack; fewer would wait for each other on a GPU.
@group(0) @binding(0) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(64)
fn fma_peak(@builtin(global_invocation_id) id: vec3u) {
  let factor = 0.999 + f32(id.x % 7u) * 1e-5;
  let addend = 0.001;
  var a = f32(id.x);
  var b = a + 1.0;
  var c = a + 2.0;
  var d = a + 3.0;
  var e = a + 4.0;
  var f = a + 5.0;
  var g = a + 6.0;
  var h = a + 7.0;
  var i = a + 8.0;
  var j = a + 9.0;
  var k = a + 10.0;
  var l = a + 11.0;
  for (var turn = 0u; turn < TURNS; turn++) {
    a = fma(a, factor, addend);
    b = fma(b, factor, addend);
    c = fma(c, factor, addend);
    d = fma(d, factor, addend);
    e = fma(e, factor, addend);
    f = fma(f, factor, addend);
    g = fma(g, factor, addend);
    h = fma(h, factor, addend);
    i = fma(i, factor, addend);
    j = fma(j, factor, addend);
    k = fma(k, factor, addend);
    l = fma(l, factor, addend);
  }
  let all = a + b + c + d + e + f + g + h + i + j + k + l;
  // Every chain converges to a positive number.
  if (all < 0.0) { result[0] = all; }
}
