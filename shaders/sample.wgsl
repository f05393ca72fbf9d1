// tokens[s] = the next token of row s: its highest logit, or one drawn after temperature, top-k, top-p and min-p.
// One workgroup a row. Rows never meet and every sum is either of integers or in a fixed order, so a row draws the
// same token alone and in any batch. Ranks compare the bits of logits as integers, so they are exact.
//
// Survivors (the order of Hugging Face's warpers): top-k keeps every logit >= the k-th highest, ties included; top-p
// keeps the fewest highest logits whose renormalised probabilities reach top_p, at least one and ties included;
// min-p keeps p >= min_p * p_max. The first two thresholds come from a radix select over the logit's order-preserving
// key: four passes over 256 bins, of counts for top-k, of probabilities in units of about 2^-31 for top-p. Each
// probability is rounded to that unit and comes from f32 exp(): a cumulative probability is right to about 1e-6.
//
// The draw is argmax(logit / temperature + Gumbel noise), which is a draw from the softmax (Gumbel-max). The noise of
// a token is a hash of (seed, token_index, token id): Philox2x32-10 of Salmon et al., "Parallel random numbers: as
// easy as 1, 2, 3" (SC 2011). Devices share its bits; their log() may differ in the last ones.
//
// NaN counts as -inf and is never drawn; +inf is above all numbers. When all logits of a row are NaN or -inf its
// token is 0: only then is the logit of the returned token not a number above -inf.
#include "step.wgsl"
struct SampleParams {
  temperature: f32,  // 0: greedy; else in [1e-30, 1e30]
  top_p: f32,        // >= 1: off
  min_p: f32,        // 0: off
  top_k: u32,        // 0: off
  seed: u32,
  token_index: u32,
}
@group(0) @binding(1) var<storage, read> logits: array<u32>;           // f32 bits [num_samples, VOCAB]
@group(0) @binding(2) var<storage, read> params: array<SampleParams>;  // [num_samples]
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;     // [num_samples]

const THREADS = 256u;
const GROUPS = 16u;             // reductions go over groups of GROUPS threads, then over the groups
const COPIES = 8u;              // of each bin, so that threads with equal digits do not queue for one address
const DEAD = 0u;                // key of NaN and -inf
const LOWEST_KEY = 0x00800000u; // key of the most negative number
const MASS_UNITS = 2147483648.0;
// Gumbel noise lies within [-3.2, 22.9]: a token below this share of the best one's probability cannot win.
const MIN_SHARE = 1e-12;
const MIN_SCALED = -64.0;

var<workgroup> histogram: array<atomic<u32>, 256u * COPIES>;
var<workgroup> bins: array<u32, THREADS>;
var<workgroup> candidates: array<vec2u, THREADS>;
var<workgroup> weights: array<f32, THREADS>;
var<workgroup> group_sums: array<u32, GROUPS>;
var<workgroup> found: vec3u;
var<workgroup> winner: vec2u;
var<workgroup> sum: f32;

// A row as one thread sees it.
struct Row {
  start: u32,        // index of its first logit
  local: u32,
  max_logit: f32,
  temperature: f32,
}

// How much the kept tokens must hold together: a number of them, or a share of all probability.
struct Goal {
  count: u32,
  share: f32,        // 0: only the count matters
  scale: f32,        // from exp(scaled logit) to units of probability
}

@compute @workgroup_size(THREADS)
fn sample(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let index = group.x;
  if (index >= step.num_samples) { return; }
  let request = params[index];
  let best = highest(index * VOCAB, local);
  var token = best.y;
  if (request.temperature > 0.0 && best.x != DEAD) {
    let row = Row(index * VOCAB, local, logit_of(vec4u(best.x)).x, request.temperature);
    var floor_key = LOWEST_KEY;
    // Top-k, then top-p. Compilers inline calls: one call compiles twice as fast as two.
    for (var warper = 0u; warper < 2u; warper++) {
      var goal = Goal(request.top_k, 0.0, 0.0);
      if (warper == 0u) {
        if (request.top_k == 0u || request.top_k >= VOCAB) { continue; }
      } else {
        if (request.top_p >= 1.0) { continue; }
        goal = Goal(1u, max(request.top_p, MIN_SHARE), MASS_UNITS / total_weight(row, floor_key));
      }
      floor_key = select_floor(row, floor_key, goal);
    }
    token = draw(row, floor_key, request);
  }
  if (local == 0u) { tokens[index] = token; }
}

// The highest key of a row and the lowest id that has it; (DEAD, 0) when all are dead.
fn highest(start: u32, local: u32) -> vec2u {
  var key = DEAD;
  var id = 0u;
  for (var i = local; i < VOCAB; i += 4u * THREADS) {
    let keys = load_keys(start, i);
    for (var c = 0u; c < 4u; c++) {
      if (keys[c] > key) {
        key = keys[c];
        id = i + c * THREADS;
      }
    }
  }
  return highest_of(local, vec2u(key, id));
}

// The highest (key, id) of all threads, the lowest id on a tie.
fn highest_of(local: u32, own: vec2u) -> vec2u {
  candidates[local] = own;
  workgroupBarrier();
  var best = own;
  if (local < GROUPS) {
    for (var i = local + GROUPS; i < THREADS; i += GROUPS) { best = higher(best, candidates[i]); }
    candidates[local] = best;
  }
  workgroupBarrier();
  if (local == 0u) {
    for (var i = 1u; i < GROUPS; i++) { best = higher(best, candidates[i]); }
    winner = best;
  }
  return workgroupUniformLoad(&winner);
}

fn higher(a: vec2u, b: vec2u) -> vec2u {
  return select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y));
}

// The highest key such that the tokens from it upwards reach the goal, counting those from floor_key upwards only.
// For a count it may be a lower key with none between.
fn select_floor(row: Row, floor_key: u32, goal: Goal) -> u32 {
  var prefix = 0u;
  var wanted = goal.count;
  var share = goal.share;
  for (var digit = 0u; digit < 4u; digit++) {
    let shift = 24u - 8u * digit;
    clear_histogram(row.local);
    for (var i = row.local; i < VOCAB; i += 4u * THREADS) {
      let keys = load_keys(row.start, i);
      var amount = vec4u(1u);
      if (goal.share > 0.0) { amount = vec4u(exp(scaled_logit(row, keys)) * goal.scale + 0.5); }
      for (var c = 0u; c < 4u; c++) {
        if (keys[c] >= floor_key && (keys[c] >> shift) >> 8u == prefix && amount[c] > 0u) {
          add_to_bin(row.local, (keys[c] >> shift) & 255u, amount[c]);
        }
      }
    }
    let bin = find_bin(row.local, wanted, share);
    prefix = (prefix << 8u) | bin.x;
    wanted = bin.y;
    share = 0.0;
    // All of the bin is wanted: its lower digits do not matter.
    if (goal.share == 0.0 && bin.y == bin.z) { return max(prefix << shift, floor_key); }
  }
  return prefix;
}

// Sum of exp(scaled logit) from floor_key upwards, in an order that VOCAB alone decides.
fn total_weight(row: Row, floor_key: u32) -> f32 {
  var own = vec4f(0.0);
  for (var i = row.local; i < VOCAB; i += 4u * THREADS) {
    let keys = load_keys(row.start, i);
    own += select(vec4f(0.0), exp(scaled_logit(row, keys)), keys >= vec4u(floor_key));
  }
  weights[row.local] = (own.x + own.y) + (own.z + own.w);
  workgroupBarrier();
  if (row.local < GROUPS) {
    for (var i = row.local + GROUPS; i < THREADS; i += GROUPS) { weights[row.local] += weights[i]; }
  }
  workgroupBarrier();
  if (row.local == 0u) {
    sum = 0.0;
    for (var i = 0u; i < GROUPS; i++) { sum += weights[i]; }
  }
  return workgroupUniformLoad(&sum);
}

// The survivor with the highest noisy logit, the lowest id on a tie.
fn draw(row: Row, floor_key: u32, request: SampleParams) -> u32 {
  let min_scaled = min(0.0, log(max(request.min_p, MIN_SHARE)));
  var best = vec2u(DEAD, VOCAB);
  for (var i = row.local; i < VOCAB; i += 4u * THREADS) {
    let keys = load_keys(row.start, i);
    let scaled = scaled_logit(row, keys);
    let is_kept = (keys >= vec4u(floor_key)) & (scaled >= vec4f(min_scaled));
    var kept = dot(vec4u(is_kept), vec4u(1u, 2u, 4u, 8u));
    while (kept != 0u) {
      let c = firstTrailingBit(kept);
      kept &= kept - 1u;
      let id = i + c * THREADS;
      let noise = gumbel(philox(vec2u(id, request.token_index), request.seed));
      best = higher(best, vec2u(keys_of(vec4u(bitcast<u32>(scaled[c] + noise))).x, id));
    }
  }
  return highest_of(row.local, best).y;
}

// Four logits as keys, from ids i, i + THREADS...; DEAD beyond the vocabulary.
fn load_keys(start: u32, i: u32) -> vec4u {
  let id = i + THREADS * vec4u(0u, 1u, 2u, 3u);
  let at = start + min(id, vec4u(VOCAB - 1u));
  let bits = vec4u(logits[at.x], logits[at.y], logits[at.z], logits[at.w]);
  return select(vec4u(DEAD), keys_of(bits), id < vec4u(VOCAB));
}

// Unsigned integers in the order of the numbers; -0 equals 0.
fn keys_of(bits: vec4u) -> vec4u {
  let ordered = select(bits | vec4u(0x80000000u), ~bits, bits >= vec4u(0x80000000u));
  let keys = select(ordered, vec4u(0x80000000u), bits == vec4u(0x80000000u));
  return select(vec4u(DEAD), keys, (keys >= vec4u(LOWEST_KEY)) & (keys <= vec4u(0xff800000u)));
}

// The numbers of keys, limited to +-2^126 so that no difference of two overflows.
fn logit_of(keys: vec4u) -> vec4f {
  let limited = clamp(keys, vec4u(0x017fffffu), vec4u(0xfe800000u));
  return bitcast<vec4f>(select(~limited, limited ^ vec4u(0x80000000u), limited >= vec4u(0x80000000u)));
}

// (logit - highest logit) / temperature, at least MIN_SCALED.
fn scaled_logit(row: Row, keys: vec4u) -> vec4f {
  let difference = logit_of(keys) - row.max_logit;
  return max(difference, vec4f(MIN_SCALED * row.temperature)) / row.temperature;
}

fn clear_histogram(local: u32) {
  workgroupBarrier();
  for (var i = 0u; i < COPIES; i++) { atomicStore(&histogram[i * THREADS + local], 0u); }
  workgroupBarrier();
}

fn add_to_bin(local: u32, bin: u32, amount: u32) {
  atomicAdd(&histogram[bin * COPIES + local % COPIES], amount);
}

// The bin in which the sum from the top reaches max(wanted, share of all bins), or the last one that holds anything;
// how much of it is needed; how much it holds.
fn find_bin(local: u32, wanted: u32, share: f32) -> vec3u {
  workgroupBarrier();
  var own = 0u;
  for (var i = 0u; i < COPIES; i++) { own += atomicLoad(&histogram[(255u - local) * COPIES + i]); }
  bins[local] = own;
  workgroupBarrier();
  if (local < GROUPS) {
    var in_group = 0u;
    for (var i = 0u; i < THREADS / GROUPS; i++) { in_group += bins[local * (THREADS / GROUPS) + i]; }
    group_sums[local] = in_group;
  }
  workgroupBarrier();
  let own_group = local / (THREADS / GROUPS);
  var total = 0u;
  var before = 0u;
  for (var i = 0u; i < GROUPS; i++) {
    total += group_sums[i];
    before += select(0u, group_sums[i], i < own_group);
  }
  for (var i = own_group * (THREADS / GROUPS); i < local; i++) { before += bins[i]; }
  let needed = min(max(wanted, u32(ceil(share * f32(total)))), total);
  if (before < needed && before + own >= needed) {
    found = vec3u(255u - local, needed - before, own);
  }
  return workgroupUniformLoad(&found);
}

// Standard Gumbel noise -log(-log(1 - u)) for u = (bits + 0.5) / 2^32, precise at both ends: all of a vocabulary
// competes for the smallest -log(1 - u), so u near 0 must keep its bits.
fn gumbel(bits: u32) -> f32 {
  var exponential = 0.0;
  if (bits < 0x10000000u) {
    let u = (f32(bits) + 0.5) * 0x1p-32;
    exponential = u * (1.0 + u * (1.0 / 2.0 + u * (1.0 / 3.0 + u * (1.0 / 4.0 + u * (1.0 / 5.0 + u / 6.0)))));
  } else {
    exponential = -log((f32(~bits) + 0.5) * 0x1p-32);
  }
  return -log(exponential);
}

// The first word of Philox2x32-10.
fn philox(counter: vec2u, seed: u32) -> u32 {
  var words = counter;
  var key = seed;
  for (var i = 0u; i < 10u; i++) {
    words = vec2u(multiply_high(0xd256d193u, words.x) ^ key ^ words.y, 0xd256d193u * words.x);
    key += 0x9e3779b9u;
  }
  return words.x;
}

// The upper 32 bits of a * b.
fn multiply_high(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let cross_a = (a >> 16u) * (b & 0xffffu);
  let cross_b = (a & 0xffffu) * (b >> 16u);
  let middle = (low >> 16u) + (cross_a & 0xffffu) + (cross_b & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (cross_a >> 16u) + (cross_b >> 16u) + (middle >> 16u);
}
