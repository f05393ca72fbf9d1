// y[t, OUT_OFFSET + r] = sum_k W[r, k] x[t, k] (+ bias[r]) (+ y), for few tokens at a time.
// A row's sum is split over LANES threads and joined in a fixed order that depends neither on the number of
// tokens nor on TOKENS: batched equals single bit for bit.
#if SUBGROUPS
enable subgroups;
#endif
#if BROADCAST
enable subgroups;
#endif
#include "step.wgsl"
#include "row_count.wgsl"
#include "vec8.wgsl"
@group(0) @binding(1) var<storage, read> weights: array<u32>;  // [ROWS, COLS] in WEIGHT_FORMAT
#if COLS_TAIL
@group(0) @binding(2) var<storage, read> x: array<f32>;        // [num_tokens, COLS]
#else
@group(0) @binding(2) var<storage, read> x: array<vec4f>;      // [num_tokens, COLS / 4]
#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [num_tokens, OUT_STRIDE]
#if HAS_BIAS
@group(0) @binding(4) var<storage, read> bias: array<f32>;     // [OUT_STRIDE]
#endif
#include "weight_${WEIGHT_FORMAT}.wgsl"
#include "load_x.wgsl"

const UNITS = (COLS + 7u) / 8u;
const ROWS_PER_GROUP = WORKGROUP_SIZE / LANES;

#if LANES != 1
#if !SUBGROUPS
var<workgroup> partial: array<f32, WORKGROUP_SIZE>;
#endif
#endif

@compute @workgroup_size(WORKGROUP_SIZE)
fn matvec(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) num_groups: vec3u,
  @builtin(local_invocation_index) local: u32,
#if BROADCAST
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
#endif
) {
  let lane = local % LANES;
  let row = (group.z * num_groups.x + group.x) * ROWS_PER_GROUP + local / LANES;
  let weight_row = min(row, ROWS - 1u);
  let first_token = group.y * TOKENS;
  let num_tokens = num_rows();

  var sums = array<f32, TOKENS>();
#if BROADCAST
  // llvmpipe loads lane by lane, even one address for all: so each of its 8 lanes loads 4 of the next 32
  // inputs, and broadcasts, which are shuffles of registers, bring all of them to every lane.
  for (var unit = 0u; unit < UNITS; unit += 4u) {
    var own = array<vec4f, TOKENS>();
    for (var t = 0u; t < TOKENS; t++) {
      own[t] = x[min(first_token + t, num_tokens - 1u) * (COLS / 4u) + unit * 2u + subgroup_lane];
    }
    let w0 = load_weight8(weight_row, unit);
    for (var t = 0u; t < TOKENS; t++) {
      sums[t] += dot8(w0, Vec8(subgroupBroadcast(own[t], 0u), subgroupBroadcast(own[t], 1u)));
    }
    let w1 = load_weight8(weight_row, unit + 1u);
    for (var t = 0u; t < TOKENS; t++) {
      sums[t] += dot8(w1, Vec8(subgroupBroadcast(own[t], 2u), subgroupBroadcast(own[t], 3u)));
    }
    let w2 = load_weight8(weight_row, unit + 2u);
    for (var t = 0u; t < TOKENS; t++) {
      sums[t] += dot8(w2, Vec8(subgroupBroadcast(own[t], 4u), subgroupBroadcast(own[t], 5u)));
    }
    let w3 = load_weight8(weight_row, unit + 3u);
    for (var t = 0u; t < TOKENS; t++) {
      sums[t] += dot8(w3, Vec8(subgroupBroadcast(own[t], 6u), subgroupBroadcast(own[t], 7u)));
    }
  }
#else
  for (var unit = lane; unit < UNITS; unit += LANES) {
    let w = load_weight8(weight_row, unit);
    for (var t = 0u; t < TOKENS; t++) {
      sums[t] += dot8(w, load_x8(min(first_token + t, num_tokens - 1u), unit));
    }
  }
#endif

  for (var t = 0u; t < TOKENS; t++) {
#if LANES != 1
#if SUBGROUPS
    sums[t] = subgroupAdd(sums[t]);
#else
    workgroupBarrier();
    partial[local] = sums[t];
    for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
      workgroupBarrier();
      if (lane < stride) { partial[local] += partial[local + stride]; }
    }
    sums[t] = partial[local];
#endif
#endif
    let token = first_token + t;
    if (lane == 0u && row < ROWS && token < num_tokens) {
      let at = token * OUT_STRIDE + OUT_OFFSET + row;
      var value = sums[t];
#if HAS_BIAS
      value += bias[OUT_OFFSET + row];
#endif
#if ACCUMULATE
      value += y[at];
#endif
      y[at] = value;
    }
  }
}
