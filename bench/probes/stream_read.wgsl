// Reads `source` once, from one end to the other, and does next to nothing with it: what reading can reach here.
// Each turn of the grid takes 4 consecutive stretches, so that every thread has 4 loads in flight.
@group(0) @binding(0) var<storage, read> source: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;

@compute @workgroup_size(256)
fn stream_read(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) num_groups: vec3u,
) {
  let num_threads = num_groups.x * 256u;
  var a = vec4u();
  var b = vec4u();
  var c = vec4u();
  var d = vec4u();
  for (var i = id.x; i < LENGTH; i += 4u * num_threads) {
    a ^= source[i];
    b ^= source[i + num_threads];
    c ^= source[i + 2u * num_threads];
    d ^= source[i + 3u * num_threads];
  }
  let all = a ^ b ^ c ^ d;
  // Random data never gives this, but the compiler cannot know.
  if (all.x == 1u && all.y == 2u && all.z == 3u && all.w == 4u) { result[0] = id.x; }
}
