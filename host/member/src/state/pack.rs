//! Chunks on the wire: LZ4, which costs less than the loopback.
//!
//! Invariant: unpacking never makes more bytes than it was told to expect.

/// Packed bytes; `None` = packing saves less than an eighth.
#[must_use]
pub fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    let packed = lz4_flex::block::compress(bytes);
    (packed.len() < bytes.len() - bytes.len() / 8).then_some(packed)
}

/// Unpacks to exactly `length` bytes, at most [`super::CHUNK_BYTES_MAX`]; `None` = it is something else.
#[must_use]
pub fn decompress(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > super::CHUNK_BYTES_MAX as usize {
        return None;
    }
    lz4_flex::block::decompress(packed, length).ok().filter(|bytes| bytes.len() == length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packs_well_is_packed_and_a_bomb_stays_small() {
        let zeros = vec![0; 1 << 20];
        let packed = compress(&zeros).unwrap();
        assert!(packed.len() < 8_192, "{}", packed.len());
        assert_eq!(decompress(&packed, zeros.len()), Some(zeros));
        assert_eq!(decompress(&packed, 4_096), None);
        assert_eq!(decompress(&packed, 1 << 30), None);
        assert_eq!(decompress(&packed[..packed.len() / 2], 1 << 20), None);
        let noise: Vec<u8> = (0..64u32).flat_map(|at| super::super::digest(&[&at.to_le_bytes()])).collect();
        assert_eq!(compress(&noise), None);
        assert_eq!(compress(&[]), None);
    }
}
