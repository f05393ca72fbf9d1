// logits = CAP * tanh(logits / CAP), in place.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;  // [num_samples, VOCAB]

@compute @workgroup_size(64)
fn softcap(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let id = group.x * 64u + local;
  if (id >= VOCAB || group.y >= step.num_samples) { return; }
  let at = group.y * VOCAB + id;
  // tanh(x) = 1 - 2 / (exp(2x) + 1), which is 1 or -1 in f32 from 10 on.
  let x = clamp(logits[at] / CAP, -10.0, 10.0);
  logits[at] = CAP - 2.0 * CAP / (exp(2.0 * x) + 1.0);
}
