// Copies whole states of a layer, by a list in which no state is both copied from and copied to.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> pairs: array<vec2u>;          // (count, 0), then (from, to) [count]
@group(0) @binding(2) var<storage, read_write> states: array<u32>;     // [slots, COLS]

@compute @workgroup_size(64)
fn copy_states(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let column = (group.z * groups.x + group.x) * 64u + local;
  if (column >= COLS) { return; }
  let count = pairs[0].x;
  for (var i = 1u; i <= count; i++) {
    states[pairs[i].y * COLS + column] = states[pairs[i].x * COLS + column];
  }
}
