// Sum of one f32 over the WORKGROUP_SIZE threads of a workgroup, in a fixed order; all threads get it.
// Call from uniform control flow.
#if SUBGROUPS
enable subgroups;
const NUM_SUBGROUPS = WORKGROUP_SIZE / SUBGROUP_SIZE;
var<workgroup> subgroup_sums: array<f32, NUM_SUBGROUPS>;

fn workgroup_sum(value: f32, local: u32) -> f32 {
  let sum = subgroupAdd(value);
  workgroupBarrier();
  if (local % SUBGROUP_SIZE == 0u) { subgroup_sums[local / SUBGROUP_SIZE] = sum; }
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < NUM_SUBGROUPS; i++) { total += subgroup_sums[i]; }
  return total;
}
#else
var<workgroup> thread_sums: array<f32, WORKGROUP_SIZE>;

fn workgroup_sum(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  thread_sums[local] = value;
  for (var stride = WORKGROUP_SIZE / 2u; stride > 0u; stride /= 2u) {
    workgroupBarrier();
    if (local < stride) { thread_sums[local] += thread_sums[local + stride]; }
  }
  workgroupBarrier();
  return thread_sums[0];
}
#endif
