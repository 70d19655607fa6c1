//! The contents of the lease's files: one block of lines of text, blanks, and a sum over all of it.

use std::fmt::Write as _;

use crate::decide::lease::{Claim, HolderIdentity, MAX_EPOCH, Record};

/// Bytes of a block: within one sector, which a disk writes whole.
pub const BLOCK: usize = 512;
/// The first line of a claim, with its version: every version of the supervisor so far writes and reads this
/// one.
const HEAD: &str = "sql-edge-supervisor lease 1\n";
/// Bytes of each of the holder's names.
pub(super) const MAX_NAME: usize = 64;
/// Bytes of the sum's line.
const SUM: usize = 22;

// Head, three names, five numbers and a sum, each with its word.
const _: () = assert!(HEAD.len() + 3 * (MAX_NAME + 8) + 5 * (20 + 11) + 24 <= BLOCK);

/// Returns the block of these lines, which are shorter than it by the sum at least.
pub(super) fn seal(lines: &str) -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    block[..lines.len()].copy_from_slice(lines.as_bytes());
    let end = format!("\nsum {:016x}\n", sum(&block[..BLOCK - SUM]));
    block[BLOCK - SUM..].copy_from_slice(end.as_bytes());
    block
}

/// Returns the FNV-1a sum of 64 bits: it finds what is torn, not what is forged.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Returns a name as it may stand in a record: without what would break its line, and not too long.
#[must_use]
pub fn plain(name: &str) -> String {
    let mut plain: String = name
        .chars()
        .filter(char::is_ascii_graphic)
        .take(MAX_NAME)
        .collect();
    if plain.is_empty() {
        plain.push('-');
    }
    plain
}

/// Returns the block of a claim.
#[must_use]
pub fn encode(claim: &Claim) -> [u8; BLOCK] {
    let holder = &claim.holder;
    let mut text = String::with_capacity(BLOCK);
    // Writing to a String can't fail.
    let _ = write!(
        text,
        "{HEAD}epoch {}\nfirst {}\nholder {}\nnode {}\nboot {}\nheartbeat {}\nnonce {}\nreleased {}\n",
        claim.epoch,
        claim.first,
        plain(&holder.id),
        plain(&holder.node),
        plain(&holder.boot_id),
        claim.heartbeat,
        claim.nonce,
        u8::from(claim.released),
    );
    seal(&text)
}

/// Returns the claim of a claim's file, or that the file is torn.
#[must_use]
pub fn decode(bytes: &[u8]) -> Record {
    match parse(bytes) {
        Some(claim) => Record::Claim(claim),
        None => Record::Torn(sum(bytes)),
    }
}

fn parse(bytes: &[u8]) -> Option<Claim> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.len() != BLOCK {
        return None;
    }
    let mut lines = text.strip_prefix(HEAD)?.lines();
    let mut field = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
    let name = |text: &str| match text {
        "-" => String::new(),
        text => text.to_owned(),
    };
    let claim = Claim {
        epoch: field("epoch")?.parse().ok()?,
        first: field("first")?.parse().ok()?,
        holder: HolderIdentity {
            id: name(field("holder")?),
            node: name(field("node")?),
            boot_id: name(field("boot")?),
        },
        heartbeat: field("heartbeat")?.parse().ok()?,
        nonce: field("nonce")?.parse().ok()?,
        released: match field("released")? {
            "0" => false,
            "1" => true,
            _ => return None,
        },
    };
    // Whatever it says, it is what this would have written, or it is torn.
    (encode(&claim) == bytes && claim.epoch <= MAX_EPOCH).then_some(claim)
}
