// Where a token of the batch stands: one entry for each row of the hidden states.
struct TokenRow {
  position: u32,  // in its sequence
  sequence: u32,  // row of block_tables
  slot: u32,      // block * BLOCK_SIZE + slot in block, where its K and V go
}
