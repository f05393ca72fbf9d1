// The experts of each token and their weights, from the router's logits. One workgroup for a token.
// Equal values: the lower expert comes first.
#include "step.wgsl"
@group(0) @binding(1) var<storage, read> logits: array<f32>;           // [num_tokens, NUM_EXPERTS]
@group(0) @binding(2) var<storage, read_write> experts: array<u32>;    // [num_tokens, PER_TOKEN], best first
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;    // [num_tokens, PER_TOKEN]
#if HAS_CORRECTION
@group(0) @binding(4) var<storage, read> correction: array<f32>;       // [NUM_EXPERTS]
#endif

var<workgroup> scores: array<f32, NUM_EXPERTS>;   // what weights are made of
var<workgroup> choices: array<f32, NUM_EXPERTS>;  // what the choice compares
var<workgroup> chosen: array<u32, PER_TOKEN>;
#if GROUPED
var<workgroup> worths: array<f32, NUM_GROUPS>;
const GROUP_SIZE = NUM_EXPERTS / NUM_GROUPS;

// A group's best expert, or its best two together.
fn worth_of(group: u32) -> f32 {
  var best = choices[group * GROUP_SIZE];
#if GROUP_SCORE == max
  for (var i = 1u; i < GROUP_SIZE; i++) { best = max(best, choices[group * GROUP_SIZE + i]); }
  return best;
#else
  var second = choices[group * GROUP_SIZE + 1u];
  if (second > best) {
    let swapped = best;
    best = second;
    second = swapped;
  }
  for (var i = 2u; i < GROUP_SIZE; i++) {
    let choice = choices[group * GROUP_SIZE + i];
    if (choice > best) {
      second = best;
      best = choice;
    } else {
      second = max(second, choice);
    }
  }
  return best + second;
#endif
}
#endif

@compute @workgroup_size(WORKGROUP_SIZE)
fn route(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let token = group.x;
  for (var k = local; k < PER_TOKEN; k += WORKGROUP_SIZE) { chosen[k] = 0u; }
  for (var i = local; i < NUM_EXPERTS; i += WORKGROUP_SIZE) {
    let logit = logits[token * NUM_EXPERTS + i];
#if SCORING == sigmoid
    scores[i] = 1.0 / (1.0 + exp(-logit));
#else
    scores[i] = logit;
#endif
  }
#if SCORING == softmax
  workgroupBarrier();
  var highest = scores[0];
  for (var i = 1u; i < NUM_EXPERTS; i++) { highest = max(highest, scores[i]); }
  workgroupBarrier();
  for (var i = local; i < NUM_EXPERTS; i += WORKGROUP_SIZE) { scores[i] = exp(scores[i] - highest); }
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < NUM_EXPERTS; i++) { total += scores[i]; }
  workgroupBarrier();
  for (var i = local; i < NUM_EXPERTS; i += WORKGROUP_SIZE) { scores[i] /= total; }
#endif
  for (var i = local; i < NUM_EXPERTS; i += WORKGROUP_SIZE) {
#if HAS_CORRECTION
    choices[i] = scores[i] + correction[i];
#else
    choices[i] = scores[i];
#endif
  }
#if GROUPED
  workgroupBarrier();
  for (var g = local; g < NUM_GROUPS; g += WORKGROUP_SIZE) { worths[g] = worth_of(g); }
  workgroupBarrier();
  for (var i = local; i < NUM_EXPERTS; i += WORKGROUP_SIZE) {
    let own = i / GROUP_SIZE;
    var rank = 0u;
    for (var g = 0u; g < NUM_GROUPS; g++) {
      let is_before = worths[g] > worths[own] || (worths[g] == worths[own] && g < own);
      rank += select(0u, 1u, is_before);
    }
    if (rank >= NUM_CHOSEN_GROUPS) { choices[i] = -3e38; }
  }
#endif
  workgroupBarrier();
  for (var i = local; i < NUM_EXPERTS; i += WORKGROUP_SIZE) {
    let own = choices[i];
    var rank = 0u;
    for (var j = 0u; j < NUM_EXPERTS; j++) {
      let choice = choices[j];
      rank += select(0u, 1u, choice > own || (choice == own && j < i));
    }
    if (rank < PER_TOKEN) { chosen[rank] = i; }
  }
  workgroupBarrier();
  for (var k = local; k < PER_TOKEN; k += WORKGROUP_SIZE) {
    var weight = scores[chosen[k]];
#if SCORING == chosen
    let highest = scores[chosen[0]];
    var total = 0.0;
    for (var j = 0u; j < PER_TOKEN; j++) { total += exp(scores[chosen[j]] - highest); }
    weight = exp(weight - highest) / total;
#else
#if NORMALISED
    var total = 0.0;
    for (var j = 0u; j < PER_TOKEN; j++) { total += scores[chosen[j]]; }
    weight /= total + NORM_EPSILON;
#endif
#endif
    experts[token * PER_TOKEN + k] = chosen[k];
    weights[token * PER_TOKEN + k] = weight * SCALE;
  }
}
