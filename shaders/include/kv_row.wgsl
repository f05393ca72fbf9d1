// Where K and V of a position live: [block][kv_head][slot in block][HEAD_DIM].
fn kv_row(block: u32, kv_head: u32, slot: u32) -> u32 {
  return ((block * NUM_KV_HEADS + kv_head) * BLOCK_SIZE + slot) * HEAD_DIM;
}
