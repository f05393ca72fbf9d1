// logits[s, id] of tokens seen in prompt or output: repetition (divides positive, multiplies negative logits), then
// frequency (for each time in the output) and presence (once if in the output) subtracted. In place, one workgroup a
// row. Ids of a row are distinct, so no logit has two writers. NaN and infinities stay as they are.
#include "step.wgsl"
struct PenaltyRow {
  start: u32,  // its entries are [start, end)
  end: u32,
  presence: f32,
  frequency: f32,
  repetition: f32,
}
@group(0) @binding(1) var<storage, read> rows: array<PenaltyRow>;    // [num_samples]
@group(0) @binding(2) var<storage, read> entries: array<vec2u>;      // (token id, times in the output)
@group(0) @binding(3) var<storage, read_write> logits: array<u32>;   // f32 bits [num_samples, VOCAB]

const THREADS = 256u;

@compute @workgroup_size(THREADS)
fn penalize(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = group.x;
  if (index >= step.num_samples) { return; }
  let row = rows[index];
  for (var i = row.start + local; i < row.end; i += THREADS) {
    let entry = entries[i];
    if (entry.x >= VOCAB) { continue; }
    let at = index * VOCAB + entry.x;
    let bits = logits[at];
    if ((bits & 0x7f800000u) == 0x7f800000u) { continue; }
    var logit = bitcast<f32>(bits);
    if (logit > 0.0) {
      logit /= row.repetition;
    } else {
      logit *= row.repetition;
    }
    logit -= row.frequency * f32(entry.y);
    if (entry.y > 0u) { logit -= row.presence; }
    logits[at] = bitcast<u32>(logit);
  }
}
