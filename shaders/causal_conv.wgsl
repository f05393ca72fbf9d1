// Causal depthwise convolution over the last KERNEL inputs of every channel, then silu.
// Channels are the queries of all key heads, then the keys, then the values; projected rows hold them by key head.
// A slice's first thread of a channel does the tokens that see inputs of earlier slices, and is the only one that
// touches the state: the last KERNEL - 1 inputs. A slice at position 0 starts from zeros.
#include "step.wgsl"
#include "token_row.wgsl"
@group(0) @binding(1) var<storage, read> token_rows: array<TokenRow>;
@group(0) @binding(2) var<storage, read> slices: array<vec4u>;        // first row, rows, position of first, slot
@group(0) @binding(3) var<storage, read> projected: array<f32>;       // [num_tokens, NUM_KEY_HEADS, GROUP]: q, k, v, z
@group(0) @binding(4) var<storage, read> weight: array<f32>;          // [CHANNELS, KERNEL]
@group(0) @binding(5) var<storage, read_write> states: array<f32>;    // [slots, KERNEL - 1, CHANNELS]
@group(0) @binding(6) var<storage, read_write> mixed: array<f32>;     // [num_tokens, CHANNELS]

const HISTORY = KERNEL - 1u;
const KEY_SIZE = NUM_KEY_HEADS * KEY_DIM;
const GROUP_VALUES = NUM_VALUE_HEADS / NUM_KEY_HEADS * VALUE_DIM;
const GROUP = 2u * (KEY_DIM + GROUP_VALUES);
const CHANNELS = 2u * KEY_SIZE + NUM_VALUE_HEADS * VALUE_DIM;

// Column of a projected row that feeds a channel.
fn column_of(channel: u32) -> u32 {
  if (channel < KEY_SIZE) { return channel / KEY_DIM * GROUP + channel % KEY_DIM; }
  if (channel < 2u * KEY_SIZE) {
    let key = channel - KEY_SIZE;
    return key / KEY_DIM * GROUP + KEY_DIM + key % KEY_DIM;
  }
  let value = channel - 2u * KEY_SIZE;
  return value / GROUP_VALUES * GROUP + 2u * KEY_DIM + value % GROUP_VALUES;
}

@compute @workgroup_size(64)
fn causal_conv(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let channel = group.x * 64u + local;
  let row = group.y;
  let slice = slices[token_rows[row].sequence];
  let is_first = row == slice.x;
  if (channel >= CHANNELS || (!is_first && row < slice.x + HISTORY)) { return; }

  let stride = NUM_KEY_HEADS * GROUP;
  let column = column_of(channel);
  let state = slice.w * HISTORY * CHANNELS + channel;
  var window = array<f32, KERNEL>();  // oldest first
  for (var i = 0u; i < HISTORY; i++) {
    if (!is_first) {
      window[i] = projected[(row + i - HISTORY) * stride + column];
    } else if (slice.z > 0u) {
      window[i] = states[state + i * CHANNELS];
    }
  }
  let count = select(1u, min(slice.y, HISTORY), is_first);
  for (var t = row; t < row + count; t++) {
    window[HISTORY] = projected[t * stride + column];
    var sum = 0.0;
    for (var i = 0u; i < KERNEL; i++) { sum += weight[channel * KERNEL + i] * window[i]; }
    mixed[t * CHANNELS + channel] = sum / (1.0 + exp(-sum));
    for (var i = 0u; i < HISTORY; i++) { window[i] = window[i + 1u]; }
  }
  if (!is_first) { return; }
  for (var i = 0u; i < HISTORY; i++) {
    if (slice.y > HISTORY) { window[i] = projected[(row + slice.y + i - HISTORY) * stride + column]; }
    states[state + i * CHANNELS] = window[i];
  }
}
