//! PEM (RFC 7468, and the headers of RFC 1421 that old keys have).
//!
//! Reads what tools and people make of it: other line lengths, indentation, text around the blocks. The decoder of the
//! key crates is stricter, and leaves octets behind when it fails.

use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Imported, Refusal, decode, der};
use crate::jose::Algorithm;

/// The one private key in the text.
pub(super) fn read(text: &str, algorithm: Algorithm) -> Result<Imported, Refusal> {
    let mut blocks = blocks(text)?;
    // Some versions of OpenSSL write the curve before the key that names it again.
    blocks.retain(|block| block.label != "EC PARAMETERS");
    let (private, other): (Vec<_>, Vec<_>) = blocks.iter().partition(|block| block.label.ends_with("PRIVATE KEY"));
    let block = match (&private[..], &other[..]) {
        ([block], []) => block,
        ([_], _) => return Err(Refusal::NotAlone),
        ([], [block, ..]) if block.label.ends_with("CERTIFICATE") => return Err(Refusal::PublicHalf("a certificate")),
        ([], [block, ..]) if block.label.ends_with("PUBLIC KEY") => return Err(Refusal::PublicHalf("a public key")),
        ([], _) => return Err(Refusal::UnknownFormat),
        _ => return Err(Refusal::SeveralKeys),
    };
    if block.is_encrypted() {
        return Err(Refusal::Encrypted);
    }
    let private = match block.label {
        "PRIVATE KEY" => der::from_pkcs8(&block.octets()?, algorithm),
        "RSA PRIVATE KEY" => der::from_pkcs1(&block.octets()?, algorithm),
        "EC PRIVATE KEY" => der::from_sec1(&block.octets()?, algorithm),
        "DSA PRIVATE KEY" => Err(Refusal::WrongType { found: "DSA", algorithm }),
        "OPENSSH PRIVATE KEY" => Err(Refusal::OpenSsh),
        _ => Err(Refusal::UnknownFormat),
    }?;
    Ok(Imported { private, kid: None })
}

struct Block<'a> {
    label: &'a str,
    lines: Vec<&'a str>,
}

impl Block<'_> {
    fn is_encrypted(&self) -> bool {
        let has_header = |line: &&str| line.starts_with("Proc-Type:") && line.ends_with("ENCRYPTED");
        self.label.starts_with("ENCRYPTED") || self.lines.iter().any(has_header)
    }

    fn octets(&self) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let lines = || self.lines.iter().filter(|line| !line.contains(':'));
        // Large enough never to grow: a buffer that grows leaves a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(lines().map(|line| line.len()).sum()));
        lines().for_each(|line| text.push_str(line));
        decode(&STANDARD, &text).ok_or(Refusal::Malformed("the base64 of PEM"))
    }
}

fn blocks(text: &str) -> Result<Vec<Block<'_>>, Refusal> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ") else { continue };
        let label = label.strip_suffix("-----").ok_or(BROKEN)?;
        let mut block = Block { label, lines: Vec::new() };
        loop {
            let line = lines.next().ok_or(BROKEN)?;
            if let Some(end) = line.strip_prefix("-----") {
                let is_ours = end.strip_prefix("END ").and_then(|end| end.strip_suffix("-----")) == Some(label);
                if is_ours {
                    break;
                }
                return Err(BROKEN);
            }
            block.lines.push(line);
        }
        blocks.push(block);
    }
    Ok(blocks)
}

const BROKEN: Refusal = Refusal::Malformed("PEM with BEGIN and END on lines of their own");
