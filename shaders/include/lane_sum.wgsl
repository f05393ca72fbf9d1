// Sum of one f32 over the LANES neighbouring threads of a workgroup, in a fixed order; the first of them gets it.
// Call from uniform control flow.
#if LANES == 1
fn lane_sum(value: f32, local: u32) -> f32 {
  return value;
}
#elif SUBGROUPS
enable subgroups;
fn lane_sum(value: f32, local: u32) -> f32 {
  return subgroupAdd(value);
}
#else
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;

fn lane_sum(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  partial[local] = value;
  for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
    workgroupBarrier();
    if (local % LANES < stride) { partial[local] += partial[local + stride]; }
  }
  return partial[local];
}
#endif
